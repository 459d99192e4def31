//! Pools and members to plan for.

use crate::api::{
    Limits, POOL_FINALIZER, Phase, SandboxCost, SandboxPool, SandboxPoolSpec, SandboxPoolStatus, StartKind, Warm,
    fixture,
};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::{Failure, Member, Observed, RefsFact};
use crate::controllers::sandbox_pool::plan::{Effect, Plan};
use crate::providers::Account;
use jiff::Timestamp;
use kube::api::ObjectMeta;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

pub(super) fn pool(warm: Warm, limits: Limits) -> SandboxPool {
    SandboxPool {
        metadata: ObjectMeta {
            name: Some("python".into()),
            namespace: Some("ns".into()),
            uid: Some("pool-uid".into()),
            generation: Some(1),
            finalizers: Some(vec![POOL_FINALIZER.into()]),
            ..ObjectMeta::default()
        },
        spec: SandboxPoolSpec {
            provider: fixture::provider(),
            image: fixture::image(),
            env: vec![],
            ports: vec![],
            snapshot: None,
            warm,
            limits,
            on_empty: crate::api::OnEmpty::Create,
            create: crate::api::CreatePolicy::default(),
            claims: crate::api::ClaimPolicy::default(),
            apps: vec![],
            rollout: crate::api::Rollout::default(),
            budget: None,
        },
        status: None,
    }
}

pub(super) fn target(target: i32) -> Warm {
    Warm { target, ..Warm::default() }
}

pub(super) fn limits(max_sandboxes: i32, max_concurrent_creates: i32) -> Limits {
    Limits { max_sandboxes, max_concurrent_creates }
}

pub(super) fn observed(pool: SandboxPool, members: Vec<Member>, now: i64) -> Observed {
    Observed {
        pool: Arc::new(pool),
        now: at(now),
        hidden: 0,
        undecodable: 0,
        hidden_slots: BTreeSet::new(),
        blocked_slots: BTreeSet::new(),
        present: members.iter().map(|member| member.uid.clone()).collect(),
        members,
        usd_per_hour: None,
        queue: vec![],
        lost: vec![],
        provider: ProviderFact::Open { account: Account("team-1".into()) },
        refs: RefsFact::Resolved { leaving: None },
        account: None,
        secret_held: true,
        proved_empty: false,
        status_written_ago: None,
        clock_skew: Duration::ZERO,
    }
}

pub(super) fn member(slot: i32, phase: Phase) -> Member {
    Member {
        name: format!("python-{slot}"),
        uid: format!("{slot:08}-uid"),
        resource_version: "9".into(),
        slot,
        phase,
        claimed: false,
        bound: false,
        deleting: false,
        created: Some(at(0)),
        ready_at: (phase == Phase::Warm).then(|| at(60)),
        requested_at: (phase != Phase::Pending).then(|| at(1)),
        claimed_at: None,
        asked_at: None,
        expires_at: None,
        start_kind: None,
        generation: 1,
        lacks_refs: false,
        updated: true,
        cost: SandboxCost::default(),
        failure: None,
        restoring: false,
    }
}

pub(super) fn claimed(slot: i32, since: i64) -> Member {
    Member {
        phase: Phase::Claimed,
        claimed: true,
        ready_at: Some(at(60)),
        claimed_at: Some(at(since)),
        expires_at: Some(at(since + 600)),
        start_kind: Some(StartKind::Warm),
        ..member(slot, Phase::Warm)
    }
}

pub(super) fn failed(slot: i32, second: i64) -> Member {
    let failure =
        Failure { reason: "DeploymentFailed".into(), message: "no".into(), time: at(second), terminal: false };
    Member { failure: Some(failure), ..member(slot, Phase::Failed) }
}

pub(super) fn created(plan: &Plan) -> Vec<i32> {
    plan.effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::CreateMember { slot, .. } => Some(*slot),
            _ => None,
        })
        .collect()
}

pub(super) fn deleted(plan: &Plan) -> Vec<&str> {
    plan.effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::DeleteMember { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

/// The same pool with what the plan wrote.
pub(super) fn with_status(observed: &Observed, status: SandboxPoolStatus) -> Observed {
    let mut pool = observed.pool.as_ref().clone();
    pool.status = Some(status);
    Observed { pool: Arc::new(pool), ..observed.clone() }
}
