//! Rules of one member, one by one.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{ABANDON_ANNOTATION, AttemptFailure, Phase, Sandbox, SandboxStatus, Span, StartKind};
use crate::controllers::sandbox::facts::{
    Evidence, GetFact, MemberFacts, Observed, ProbeFact, ProviderFact, RequestFact,
};
use crate::controllers::sandbox::plan::{Effect, Plan, plan};
use crate::providers::{Account, Instance, InstancePhase};
use std::collections::BTreeMap;
use std::time::Duration;

fn run(facts: MemberFacts) -> Plan {
    plan(&Observed::Member(Box::new(facts)))
}

fn cloud(plan: &Plan) -> Vec<&Effect> {
    plan.effects.iter().filter(|effect| matches!(effect, Effect::Create { .. } | Effect::Delete { .. })).collect()
}

fn healthy() -> Option<ProbeFact> {
    Some(ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO })
}

fn bad(failures: u32, seconds: u64) -> Option<ProbeFact> {
    Some(ProbeFact { healthy: false, failures, failing_for: Duration::from_secs(seconds) })
}

fn deleting(mut sandbox: Sandbox) -> Sandbox {
    sandbox.metadata.deletion_timestamp = Some(time(1));
    sandbox
}

fn with_status(status: SandboxStatus) -> Sandbox {
    Sandbox { status: Some(status), ..member() }
}

fn creating(id: Option<&str>) -> Sandbox {
    with_status(SandboxStatus {
        phase: Some(Phase::Creating),
        instance: Some(attempt(1, id)),
        ..SandboxStatus::default()
    })
}

fn listed(instance: Instance) -> Evidence {
    let listing_age = Some(Duration::ZERO);
    Evidence { listed: Some(instance), listing_is_newer: true, listing_age, ..Evidence::default() }
}

#[test]
fn the_attempt_is_the_intent_before_the_create_s2() {
    let plan = run(facts(member(), 0));
    let written = plan.status.instance.expect("the attempt is written");
    assert_eq!((written.attempt, written.id.as_deref(), written.account.as_str()), (1, None, ACCOUNT));
    let [Effect::Create { name, marks, fresh: true, .. }] = &plan.effects[..] else { panic!("{:?}", plan.effects) };
    assert_eq!((name, marks.uid.as_str()), (&written.name, UID));
}

#[test]
fn nothing_is_created_without_the_finalizer_s2() {
    let mut bare = member();
    bare.metadata.finalizers = None;
    assert_eq!(run(facts(bare, 0)).effects, [Effect::AddFinalizer]);
}

#[test]
fn closed_or_foreign_credentials_cause_no_call_s3() {
    let shut = ProviderFact::Shut { reason: Reason::CredentialsMissing, message: "no Secret".into() };
    let other = ProviderFact::Open { account: Account("other".into()) };
    for provider in [shut, other.clone()] {
        for sandbox in [creating(None), creating(Some("id-1")), deleting(warm()), warm()] {
            let mut facts = facts(sandbox, 10);
            facts.provider = provider.clone();
            facts.evidence = Evidence { got: Some(GetFact::Gone), ..Evidence::default() };
            let plan = run(facts);
            assert_eq!(cloud(&plan), Vec::<&Effect>::new());
            assert!(!plan.effects.contains(&Effect::LiftFinalizer), "another account's 404 proves nothing");
            assert!(!is_true(&plan.status.conditions, Type::ProviderReachable));
        }
    }
}

#[test]
fn an_unclear_create_is_asked_again_under_the_same_name_s1() {
    let mut facts = facts(creating(None), 10);
    facts.evidence.listing_is_newer = true;
    let plan = run(facts);
    let [Effect::Create { name, fresh: false, .. }] = &plan.effects[..] else { panic!("{:?}", plan.effects) };
    assert_eq!(*name, attempt(1, None).name);
}

#[test]
fn an_unclear_create_waits_for_a_newer_listing_and_for_a_taken_name_s3() {
    let old = facts(creating(None), 10);
    assert_eq!(cloud(&run(old)), Vec::<&Effect>::new());
    let mut taken = facts(creating(None), 10);
    taken.evidence = Evidence { listing_is_newer: true, name_taken: true, ..Evidence::default() };
    assert_eq!(cloud(&run(taken)), Vec::<&Effect>::new());
}

#[test]
fn an_instance_found_by_name_is_adopted_s1() {
    let mut facts = facts(creating(None), 10);
    facts.evidence = listed(seen(InstancePhase::Starting));
    let plan = run(facts);
    assert_eq!(plan.status.instance.and_then(|instance| instance.id).as_deref(), Some("id-1"));
    assert!(plan.effects.is_empty());
}

#[test]
fn a_running_instance_is_warm_once_its_agent_answers() {
    let mut facts = facts(creating(Some("id-1")), 60);
    facts.evidence = listed(seen(InstancePhase::Running));
    let stored = run(facts.clone()).status;
    std::sync::Arc::make_mut(&mut facts.sandbox).status = Some(stored.clone());
    let later = MemberFacts { now: at(70), ..facts.clone() };
    assert_eq!(run(later).status, stored, "no write before the first answer");
    facts.probe = bad(1, 1);
    assert_eq!(run(facts.clone()).status.phase, Some(Phase::Booting));
    facts.probe = healthy();
    let plan = run(facts);
    assert_eq!(plan.status.phase, Some(Phase::Warm));
    assert!(is_true(&plan.status.conditions, Type::Ready));
    assert_eq!(plan.status.instance.and_then(|instance| instance.ready_at), Some(time(60)));
}

#[test]
fn a_level_member_writes_nothing_s10() {
    let mut facts = facts(creating(Some("id-1")), 60);
    facts.evidence = listed(seen(InstancePhase::Running));
    facts.probe = healthy();
    let mut settled = facts.sandbox.as_ref().clone();
    settled.status = Some(run(facts.clone()).status);
    facts.sandbox = settled.clone().into();
    for later in [61, 4000, 100_000] {
        facts.now = at(later);
        let plan = run(facts.clone());
        assert_eq!(Some(plan.status), settled.status);
        assert!(plan.effects.is_empty());
    }
}

#[test]
fn failed_attempts_end_with_a_reason_s13() {
    let mut failed = facts(creating(Some("id-1")), 60);
    failed.evidence = listed(seen(InstancePhase::Failed { message: "image not found".into() }));
    let plan = run(failed);
    let failure = plan.status.instance.and_then(|instance| instance.failure).expect("the attempt is over");
    assert_eq!((failure.reason.as_str(), failure.gone), ("DeploymentFailed", false));

    let mut late = facts(creating(Some("id-1")), 601);
    late.evidence = listed(seen(InstancePhase::Starting));
    let plan = run(late);
    let failure = plan.status.instance.and_then(|instance| instance.failure).expect("the attempt is over");
    assert_eq!(failure.reason, "DeadlineExceeded");
}

#[test]
fn an_old_view_ends_no_attempt_s3() {
    let mut late = facts(creating(Some("id-1")), 700);
    late.evidence = listed(seen(InstancePhase::Starting));
    late.evidence.listing_age = Some(Duration::from_secs(101));
    assert!(run(late.clone()).status.instance.is_some_and(|instance| instance.failure.is_none()));
    late.evidence = Evidence::default();
    let blind = run(late);
    assert!(blind.effects.is_empty() && blind.status.instance.is_some_and(|instance| instance.failure.is_none()));
}

#[test]
fn the_token_is_there_before_the_attempt_is_written() {
    assert!(run(facts(member(), 0)).needs_token);
    assert!(run(facts(after_failure(1, true, false), 200)).needs_token);
    let mut again = facts(creating(None), 10);
    again.evidence.listing_is_newer = true;
    assert!(!run(again).needs_token, "a missing one means that this attempt is lost");
}

fn after_failure(number: i32, gone: bool, terminal: bool) -> Sandbox {
    let mut instance = attempt(number, Some("id-1"));
    instance.failure = Some(AttemptFailure {
        reason: "DeploymentFailed".into(),
        message: "no".into(),
        time: time(100),
        terminal,
        gone,
    });
    with_status(SandboxStatus { phase: Some(Phase::Creating), instance: Some(instance), ..SandboxStatus::default() })
}

#[test]
fn the_next_attempt_waits_for_the_end_of_the_last_one_and_for_the_backoff_s1() {
    let removing = run(facts(after_failure(1, false, false), 200));
    assert_eq!(removing.effects, [Effect::Delete { id: "id-1".into() }]);
    assert_eq!(removing.status.instance.map(|instance| instance.attempt), Some(1));

    let early = run(facts(after_failure(1, true, false), 105));
    assert_eq!(early.status.instance.as_ref().map(|instance| instance.attempt), Some(1));
    assert_eq!(early.again, Some(Duration::from_secs(5)));

    let due = run(facts(after_failure(1, true, false), 110));
    assert_eq!(due.status.instance.map(|instance| instance.attempt), Some(2));
}

#[test]
fn the_last_or_a_terminal_failure_ends_the_member_s13() {
    for sandbox in [after_failure(3, true, false), after_failure(1, true, true)] {
        let plan = run(facts(sandbox, 500));
        assert_eq!((plan.status.phase, plan.status.reason.as_deref()), (Some(Phase::Failed), Some("DeploymentFailed")));
        assert_eq!(cloud(&plan), Vec::<&Effect>::new());
    }
}

#[test]
fn a_finalizer_goes_only_after_proof_s4() {
    let mut facts = facts(deleting(warm()), 100);
    facts.evidence = listed(seen(InstancePhase::Running));
    assert_eq!(run(facts.clone()).effects, [Effect::Delete { id: "id-1".into() }]);
    facts.evidence = Evidence {
        listing_is_newer: true,
        unlisted_twice: true,
        delete_asked_ago: Some(Duration::from_secs(60)),
        ..Evidence::default()
    };
    assert_eq!(run(facts.clone()).effects, [Effect::Delete { id: "id-1".into() }], "a listing is no proof");
    facts.evidence = Evidence { proved_gone: true, ..Evidence::default() };
    assert_eq!(run(facts).effects, [Effect::DeleteToken, Effect::LiftFinalizer]);
}

#[test]
fn a_member_that_never_asked_for_an_instance_goes_at_once() {
    assert_eq!(run(facts(deleting(member()), 1)).effects, [Effect::DeleteToken, Effect::LiftFinalizer]);
}

#[test]
fn deleting_never_creates_s2() {
    let mut facts = facts(deleting(creating(None)), 100);
    for evidence in [
        Evidence::default(),
        Evidence { listing_is_newer: true, unlisted_twice: true, ..Evidence::default() },
        Evidence { name_free: Some(false), unlisted_twice: true, ..Evidence::default() },
    ] {
        facts.evidence = evidence;
        let plan = run(facts.clone());
        assert!(plan.effects.is_empty(), "{:?}", plan.effects);
    }
}

#[test]
fn an_instance_is_abandoned_only_by_its_name_s4() {
    let mut sandbox = deleting(warm());
    let annotate = |value: &str| Some(BTreeMap::from([(ABANDON_ANNOTATION.to_owned(), value.to_owned())]));
    sandbox.metadata.annotations = annotate("true");
    assert!(!run(facts(sandbox.clone(), 100)).effects.contains(&Effect::LiftFinalizer));
    sandbox.metadata.annotations = annotate(&attempt(1, None).name);
    assert!(run(facts(sandbox, 100)).effects.contains(&Effect::LiftFinalizer));
}

#[test]
fn a_claim_is_noted_once_and_its_expiry_follows_the_ttl_s6() {
    let mut sandbox = warm();
    sandbox.spec.claim = Some(claim(600));
    let mut facts = facts(sandbox.clone(), 100);
    facts.evidence = listed(seen(InstancePhase::Running));
    facts.probe = healthy();
    let plan = run(facts.clone());
    assert_eq!((plan.status.claimed_at.clone(), plan.status.expires_at.clone()), (Some(time(100)), Some(time(700))));
    assert_eq!((plan.status.phase, plan.status.start_kind), (Some(Phase::Claimed), Some(StartKind::Warm)));
    assert!(plan.can_wait);
    sandbox.status = Some(plan.status);
    sandbox.spec.claim = Some(claim(900));
    facts.sandbox = sandbox.into();
    facts.now = at(650);
    let longer = run(facts);
    assert_eq!((longer.status.claimed_at, longer.status.expires_at), (Some(time(100)), Some(time(1000))));
    assert!(!longer.effects.contains(&Effect::DeleteSelf));
}

fn claimed_since(second: i64) -> Sandbox {
    let mut sandbox = warm();
    sandbox.spec.claim = Some(claim(600));
    let status = sandbox.status.as_mut().expect("warm has one");
    status.phase = Some(Phase::Claimed);
    status.claimed_at = Some(time(second));
    status.expires_at = Some(time(second + 600));
    sandbox
}

#[test]
fn a_claim_shows_and_ends_even_if_the_provider_is_away_s7() {
    let mut sandbox = claimed_since(100);
    sandbox.status.as_mut().expect("it has one").phase = Some(Phase::Warm);
    let mut facts = facts(sandbox, 200);
    facts.provider = ProviderFact::Shut { reason: Reason::ProviderUnavailable, message: "down".into() };
    assert_eq!(run(facts.clone()).status.phase, Some(Phase::Claimed));
    facts.now = at(700);
    let plan = run(facts);
    assert_eq!(plan.effects.last(), Some(&Effect::DeleteSelf));
    assert_eq!((plan.status.reason.as_deref(), plan.status.ended_at), (Some("Expired"), Some(time(700))));
}

#[test]
fn a_claim_ends_with_its_request_but_not_on_a_guess_s3() {
    let mut facts = facts(claimed_since(100), 200);
    facts.request = RequestFact::Unknown;
    assert!(!run(facts.clone()).effects.contains(&Effect::DeleteSelf));
    facts.request = RequestFact::Gone;
    assert!(run(facts).effects.contains(&Effect::DeleteSelf));
}

#[test]
fn a_lost_instance_ends_its_claim_and_is_never_made_again_s1() {
    let mut facts = facts(claimed_since(100), 200);
    facts.evidence = Evidence { got: Some(GetFact::Gone), listing_is_newer: true, ..Evidence::default() };
    let plan = run(facts.clone());
    assert_eq!((plan.status.phase, plan.status.reason.as_deref()), (Some(Phase::Failed), Some("InstanceLost")));
    assert_eq!(cloud(&plan), Vec::<&Effect>::new());
    let mut failed = facts.sandbox.as_ref().clone();
    failed.status = Some(plan.status);
    facts.sandbox = failed.into();
    facts.now = at(220);
    assert!(run(facts.clone()).effects.is_empty(), "its holder can read why for a while");
    facts.now = at(261);
    assert_eq!(run(facts).effects, [Effect::DeleteSelf]);
}

#[test]
fn three_bad_probes_make_it_unclaimable_and_two_minutes_replace_it() {
    let mut facts = facts(warm(), 300);
    facts.evidence = listed(seen(InstancePhase::Running));
    facts.probe = bad(2, 20);
    assert_eq!(run(facts.clone()).status.phase, Some(Phase::Warm));
    facts.probe = bad(3, 30);
    let plan = run(facts.clone());
    assert_eq!(plan.status.phase, Some(Phase::Booting));
    assert!(!is_true(&plan.status.conditions, Type::AgentReady));
    facts.probe = bad(9, 120);
    assert_eq!(run(facts).status.phase, Some(Phase::Failed));
}

#[test]
fn a_claimed_one_is_never_given_up_for_a_silent_agent_s7() {
    let mut facts = facts(claimed_since(100), 300);
    facts.evidence = listed(seen(InstancePhase::Running));
    facts.probe = bad(50, 500);
    let plan = run(facts);
    assert_eq!(plan.status.phase, Some(Phase::Claimed));
    assert!(!is_true(&plan.status.conditions, Type::AgentReady));
}

#[test]
fn a_redeploy_costs_a_warm_one_its_warmth_and_a_claimed_one_its_files() {
    let moved = Instance { deployment_id: Some("d2".into()), ..seen(InstancePhase::Running) };
    let mut facts = facts(warm(), 300);
    facts.evidence = listed(moved.clone());
    facts.probe = healthy();
    let plan = run(facts.clone());
    assert_eq!(plan.status.phase, Some(Phase::Booting));
    assert!(plan.effects.contains(&Effect::ResetProbe));
    facts.sandbox = claimed_since(100).into();
    let plan = run(facts);
    assert!(is_true(&plan.status.conditions, Type::FilesLost));
    assert_eq!(plan.status.phase, Some(Phase::Claimed));
}

#[test]
fn a_foreign_instance_under_our_name_is_left_alone_s9() {
    let foreign = Instance { marks: None, created_at: Some(at(-1000)), ..seen(InstancePhase::Running) };
    let mut facts = facts(creating(None), 10);
    facts.evidence = listed(foreign.clone());
    let plan = run(facts);
    let failure = plan.status.instance.and_then(|instance| instance.failure).expect("another name is needed");
    assert_eq!((failure.reason.as_str(), failure.gone), ("NameCollision", true));
    assert_eq!(plan.effects.iter().filter(|effect| matches!(effect, Effect::Delete { .. })).count(), 0);
}

#[test]
fn the_pause_that_the_provider_asked_for_is_kept_s12() {
    for sandbox in [member(), creating(None), deleting(warm())] {
        let mut facts = facts(sandbox, 10);
        facts.evidence.not_before = Some(Duration::from_secs(7));
        let plan = run(facts);
        assert_eq!((cloud(&plan), plan.again), (vec![], Some(Duration::from_secs(7))));
    }
}

#[test]
fn a_span_is_the_deadline_of_an_attempt() {
    let mut sandbox = creating(Some("id-1"));
    if let Some(template) = &mut sandbox.spec.template {
        template.create.deadline = Span::seconds(30);
    }
    let mut facts = facts(sandbox, 29);
    facts.evidence = listed(seen(InstancePhase::Starting));
    assert!(run(facts.clone()).status.instance.is_some_and(|instance| instance.failure.is_none()));
    facts.now = at(30);
    assert!(run(facts).status.instance.is_some_and(|instance| instance.failure.is_some()));
}
