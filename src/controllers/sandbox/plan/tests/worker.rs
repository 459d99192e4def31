//! Members without an address.

use super::fixture::*;
use crate::api::conditions::{Type, is_true};
use crate::api::{Mode, Phase, Sandbox};
use crate::controllers::sandbox::facts::{BoundFact, MemberFacts, Observed, PoolFact, ProbeFact, RequestFacts};
use crate::controllers::sandbox::plan::{Effect, Plan, plan};
use crate::providers::{Instance, InstancePhase};
use std::sync::Arc;
use std::time::Duration;

const WELL: ProbeFact = ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO };

fn worker() -> Sandbox {
    let mut sandbox = member();
    let template = sandbox.spec.template.as_mut().expect("a member has one");
    template.provider.digital_ocean.as_mut().expect("is set").mode = Mode::Worker;
    sandbox.status = Some(crate::api::SandboxStatus {
        phase: Some(Phase::Creating),
        instance: Some(attempt(1, Some("id-1"))),
        ..Default::default()
    });
    sandbox
}

/// What the listing and the console say of it.
fn observed(sandbox: Sandbox, phase: InstancePhase, probe: Option<ProbeFact>) -> MemberFacts {
    let mut facts = facts(sandbox, 60);
    facts.evidence.listed = Some(Instance { url: None, ..seen(phase) });
    facts.evidence.listing_age = Some(Duration::from_secs(1));
    facts.probe = probe;
    facts
}

fn planned(facts: MemberFacts) -> Plan {
    plan(&Observed::Member(Box::new(facts)))
}

#[test]
fn a_deployment_that_runs_is_not_ready_before_its_console_answers() {
    let silent = ProbeFact { healthy: false, failures: 1, failing_for: Duration::from_secs(5) };
    let cases = [
        (InstancePhase::Starting, None, Phase::Creating),
        (InstancePhase::Running, Some(silent), Phase::Booting),
        (InstancePhase::Running, Some(WELL), Phase::Warm),
    ];
    for (phase, probe, expected) in cases {
        let plan = planned(observed(worker(), phase.clone(), probe));
        assert_eq!(plan.status.phase, Some(expected), "{phase:?} {probe:?}");
        assert_eq!(plan.status.instance.and_then(|instance| instance.ready_at).is_some(), expected == Phase::Warm);
    }
}

#[test]
fn people_are_told_where_the_operator_opens_the_console() {
    let mut facts = observed(worker(), InstancePhase::Running, Some(WELL));
    assert_eq!(planned(facts.clone()).status.url, None);
    facts.console = Some("https://consoles/v1/x".into());
    assert_eq!(planned(facts).status.url.as_deref(), Some("https://consoles/v1/x"));
}

#[test]
fn a_console_that_never_answers_ends_at_the_deadline_s13() {
    let mut facts = observed(worker(), InstancePhase::Running, None);
    facts.now = at(601);
    let plan = planned(facts);
    let failure = plan.status.instance.and_then(|instance| instance.failure).expect("the attempt is over");
    assert_eq!(failure.reason, "DeadlineExceeded");
}

#[test]
fn a_ready_one_that_the_provider_gave_up_is_replaced() {
    let mut sandbox = planned(observed(worker(), InstancePhase::Running, Some(WELL))).status;
    sandbox.observed_generation = None;
    let sandbox = Sandbox { status: Some(sandbox), ..worker() };
    let dead = ProbeFact { healthy: false, failures: u32::MAX, failing_for: Duration::from_secs(120) };
    let plan = planned(observed(sandbox, InstancePhase::Failed { message: "gone".into() }, Some(dead)));
    assert_eq!(plan.status.phase, Some(Phase::Failed));
}

#[test]
fn a_request_is_ready_with_a_member_that_has_no_address() {
    let mut held = worker();
    let status = planned(observed(worker(), InstancePhase::Running, Some(WELL))).status;
    held.status = Some(status);
    held.spec.claim = Some(claim_for("req-uid"));
    let mut request = member();
    request.metadata.uid = Some("req-uid".into());
    request.metadata.name = Some("req".into());
    (request.spec.slot, request.spec.template, request.spec.claim) = (None, None, Some(claim(600)));
    let facts = RequestFacts {
        sandbox: Arc::new(request),
        now: at(60),
        pool: PoolFact::Missing,
        bound: BoundFact::Present { member: Arc::new(held), live: true },
        candidates: vec![],
        ahead: 0,
    };
    let plan = plan(&Observed::Request(Box::new(facts)));
    assert!(is_true(&plan.status.conditions, Type::Ready), "{:?}", plan.status);
    assert!(!plan.effects.iter().any(|effect| matches!(effect, Effect::ClaimMember { .. })));
}
