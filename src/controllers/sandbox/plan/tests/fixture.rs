//! Members, requests and instances to plan for.

use crate::api::{
    Claim, ClaimFor, ClaimPolicy, CreatePolicy, InstanceStatus, MEMBER_FINALIZER, Phase, PoolRef, Sandbox, SandboxSpec,
    SandboxStatus, Span, Template, fixture,
};
use crate::controllers::sandbox::facts::{
    AppFact, BooksFact, Evidence, InputsFact, MemberFacts, ProviderFact, RequestFact,
};
use crate::providers::{Account, Inputs, Instance, InstancePhase, Marks, instance_name};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use std::sync::Arc;
use std::time::Duration;

pub(super) const UID: &str = "7d9a2c1e-0000-4000-8000-000000000001";
pub(super) const ACCOUNT: &str = "team-1";

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

pub(super) fn time(second: i64) -> Time {
    Time(at(second))
}

pub(super) fn template() -> Template {
    Template {
        pool_uid: "pool-uid".into(),
        pool_generation: 1,
        provider: fixture::provider(),
        image: fixture::image(),
        env: vec![],
        ports: vec![],
        snapshot: None,
        create: CreatePolicy::default(),
        claims: ClaimPolicy::default(),
    }
}

/// A member with its finalizer and nothing else.
pub(super) fn member() -> Sandbox {
    Sandbox {
        metadata: ObjectMeta {
            name: Some("python-0".into()),
            namespace: Some("ns".into()),
            uid: Some(UID.into()),
            resource_version: Some("1".into()),
            finalizers: Some(vec![MEMBER_FINALIZER.into()]),
            creation_timestamp: Some(time(0)),
            ..ObjectMeta::default()
        },
        spec: SandboxSpec {
            pool_ref: PoolRef { name: "python".into() },
            slot: Some(0),
            template: Some(template()),
            claim: None,
            operating_mode: None,
        },
        status: None,
    }
}

pub(super) fn attempt(number: i32, id: Option<&str>) -> InstanceStatus {
    InstanceStatus {
        provider: "digitalOcean".into(),
        account: ACCOUNT.into(),
        installation: "inst".into(),
        name: instance_name("inst", UID, number),
        attempt: number,
        requested_at: time(0),
        id: id.map(str::to_owned),
        deployment_id: id.map(|_| "d1".to_owned()),
        created_at: None,
        restore_began_at: None,
        restore_turn_at: None,
        ready_at: None,
        failure: None,
    }
}

/// A member that is warm since second 60.
pub(super) fn warm() -> Sandbox {
    let mut sandbox = member();
    sandbox.status = Some(SandboxStatus {
        phase: Some(Phase::Warm),
        instance: Some(InstanceStatus { ready_at: Some(time(60)), ..attempt(1, Some("id-1")) }),
        url: Some("http://sandbox".into()),
        ..SandboxStatus::default()
    });
    sandbox
}

pub(super) fn claim(ttl: u32) -> Claim {
    Claim {
        id: "run-1".into(),
        holder: "me".into(),
        ttl: Some(Span::seconds(ttl)),
        snapshot: None,
        app: None,
        for_: None,
        keep_ended: None,
    }
}

pub(super) fn claim_for(uid: &str) -> Claim {
    Claim { for_: Some(ClaimFor { name: "req".into(), uid: uid.into() }), ..claim(600) }
}

pub(super) fn seen(phase: InstancePhase) -> Instance {
    Instance {
        id: "id-1".into(),
        name: instance_name("inst", UID, 1),
        marks: Some(Marks {
            installation: "inst".into(),
            namespace: "ns".into(),
            name: "python-0".into(),
            uid: UID.into(),
            attempt: 1,
            pool_uid: "pool-uid".into(),
            spec_hash: "h".into(),
        }),
        phase,
        deployment_id: Some("d1".into()),
        url: Some("http://sandbox".into()),
        created_at: Some(at(1)),
    }
}

pub(super) fn facts(sandbox: Sandbox, now: i64) -> MemberFacts {
    MemberFacts {
        sandbox: Arc::new(sandbox),
        now: at(now),
        installation: "inst".into(),
        provider: ProviderFact::Open { account: Account(ACCOUNT.into()) },
        evidence: Evidence::default(),
        inputs: InputsFact::Ready(Inputs::default()),
        probe: None,
        has_store: true,
        transfer: None,
        app: AppFact::None,
        launch: None,
        console: None,
        request: RequestFact::None,
        usd_per_hour: "3.6".parse().ok(),
        books: BooksFact::Open,
        listing_period: Duration::from_secs(10),
        replace_unreachable: Duration::from_secs(120),
    }
}
