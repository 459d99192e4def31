//! What a create call carries out of Secrets, and what happens without it.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{AttemptFailure, InstanceStatus, Phase, Sandbox, SandboxStatus};
use crate::controllers::inputs::Unresolved;
use crate::controllers::sandbox::facts::{Evidence, InputsFact, MemberFacts, Observed};
use crate::controllers::sandbox::plan::{Effect, Plan, may_create, plan};
use crate::providers::Inputs;
use crate::telemetry::secret::Secret;
use std::time::Duration;

fn run(facts: MemberFacts) -> Plan {
    plan(&Observed::Member(Box::new(facts)))
}

fn lacking(reason: Reason) -> InputsFact {
    InputsFact::Unresolved(Unresolved { reason, message: "env[API_KEY]: there is no Secret".into() })
}

fn creates(plan: &Plan) -> Vec<&Inputs> {
    let mut found = Vec::new();
    for effect in &plan.effects {
        if let Effect::Create { inputs, .. } = effect {
            found.push(inputs);
        }
    }
    found
}

fn condition(status: &SandboxStatus) -> Option<(&str, &str)> {
    let found = status.conditions.iter().find(|condition| condition.type_ == Type::ResolvedRefs.as_str())?;
    Some((found.status.as_str(), found.reason.as_str()))
}

/// A member whose first attempt was sent and of which nothing is known yet.
fn unclear() -> Sandbox {
    let status =
        SandboxStatus { phase: Some(Phase::Creating), instance: Some(attempt(1, None)), ..SandboxStatus::default() };
    Sandbox { status: Some(status), ..member() }
}

/// A member whose first attempt failed and is gone.
fn failed() -> Sandbox {
    let failure = AttemptFailure {
        reason: "DeploymentFailed".into(),
        message: "no".into(),
        time: time(0),
        terminal: false,
        gone: true,
    };
    let instance = InstanceStatus { failure: Some(failure), ..attempt(1, Some("id-1")) };
    let status = SandboxStatus { phase: Some(Phase::Creating), instance: Some(instance), ..SandboxStatus::default() };
    Sandbox { status: Some(status), ..member() }
}

#[test]
fn the_values_go_with_the_create_and_nowhere_else() {
    let inputs = Inputs { env: vec![("API_KEY".into(), Secret::new("hunter22".into()))], registry_credentials: None };
    let plan = run(MemberFacts { inputs: InputsFact::Ready(inputs.clone()), ..facts(member(), 0) });
    assert_eq!(creates(&plan), [&inputs]);
    let written = serde_json::to_string(&plan.status).expect("JSON");
    assert!(!written.contains("hunter22") && !format!("{plan:?}").contains("hunter22"), "{plan:?}");
    assert_eq!(condition(&plan.status), None, "nothing lacked, so nothing is said");
}

#[test]
fn without_a_secret_no_attempt_is_begun_and_the_member_says_why() {
    let waiting = run(MemberFacts { inputs: lacking(Reason::SecretMissing), ..facts(member(), 0) });
    assert_eq!((creates(&waiting).len(), &waiting.status.instance, waiting.needs_token), (0, &None, false));
    assert_eq!(condition(&waiting.status), Some(("False", "SecretMissing")));
    assert_eq!(waiting.status.phase, Some(Phase::Pending));
    assert_eq!(waiting.again, Some(Duration::from_secs(15)));
    assert!(matches!(&waiting.effects[..], [Effect::Event { warning: true, .. }]), "{:?}", waiting.effects);

    let sandbox = Sandbox { status: Some(waiting.status.clone()), ..member() };
    let later = run(MemberFacts { inputs: lacking(Reason::SecretMissing), ..facts(sandbox.clone(), 900) });
    assert_eq!((&later.status, &later.effects[..]), (&waiting.status, &[][..]), "it is said once (S10)");

    let healed = run(facts(sandbox, 915));
    assert_eq!(creates(&healed).len(), 1);
    assert!(is_true(&healed.status.conditions, Type::ResolvedRefs));
    assert_eq!(healed.status.phase, Some(Phase::Creating));
}

#[test]
fn a_secret_that_cannot_be_read_holds_back_and_says_that_nobody_can_tell_s3() {
    let plan = run(MemberFacts { inputs: lacking(Reason::SecretUnreadable), ..facts(member(), 0) });
    assert!(creates(&plan).is_empty());
    assert_eq!(condition(&plan.status), Some(("Unknown", "SecretUnreadable")));
}

#[test]
fn neither_a_probe_nor_another_attempt_is_sent_without_its_secrets() {
    let newer = Evidence { listing_is_newer: true, listing_age: Some(Duration::ZERO), ..Evidence::default() };
    for (sandbox, now) in [(unclear(), 20), (failed(), 300)] {
        let ready = MemberFacts { evidence: newer.clone(), ..facts(sandbox.clone(), now) };
        assert_eq!(creates(&run(ready.clone())).len(), 1);
        let plan = run(MemberFacts { inputs: lacking(Reason::SecretMissing), ..ready });
        assert!(creates(&plan).is_empty());
        assert_eq!(condition(&plan.status), Some(("False", "SecretMissing")));
        assert_eq!(plan.status.instance.map(|instance| instance.attempt), Some(1), "no attempt is used up");
    }
}

#[test]
fn an_attempt_that_waits_for_a_secret_still_ends_by_its_deadline_s13() {
    let evidence = Evidence { listing_is_newer: true, listing_age: Some(Duration::ZERO), ..Evidence::default() };
    let plan = run(MemberFacts { inputs: lacking(Reason::SecretMissing), evidence, ..facts(unclear(), 700) });
    let failure = plan.status.instance.and_then(|instance| instance.failure).expect("it is over");
    assert_eq!(failure.reason, "DeadlineExceeded");
}

#[test]
fn secrets_are_read_for_every_member_that_a_create_can_come_for_and_no_other() {
    let mut bare = member();
    bare.metadata.finalizers = None;
    let mut deleting = member();
    deleting.metadata.deletion_timestamp = Some(time(1));
    let over =
        Sandbox { status: Some(SandboxStatus { phase: Some(Phase::Failed), ..SandboxStatus::default() }), ..member() };
    for sandbox in [member(), unclear(), failed()] {
        assert!(may_create(&sandbox), "{sandbox:?}");
    }
    for sandbox in [bare, deleting, over, warm()] {
        assert!(!may_create(&sandbox), "{sandbox:?}");
        assert!(creates(&run(facts(sandbox, 10_000))).is_empty());
    }
}
