//! Rules of the files that a claim begins with.

use super::fixture::*;
use super::hibernation::{after, asked, claimed, done, reason, run, running, status};
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{InstanceStatus, OperatingMode, Phase, Sandbox, SandboxStatus, SnapshotRef};
use crate::controllers::sandbox::facts::{MemberFacts, ProbeFact};
use crate::controllers::sandbox::plan::Effect;
use crate::controllers::transfers::{MoveError, Order, Progress, Purpose, Way};
use std::sync::Arc;
use std::time::Duration;

fn base(name: &str) -> Option<SnapshotRef> {
    Some(SnapshotRef { name: name.into() })
}

fn with_files(sandbox: &mut Sandbox) {
    let claim = sandbox.spec.claim.get_or_insert_with(|| claim(3600));
    claim.snapshot = base("notes");
}

/// A member that was warm and is claimed with a snapshot since a moment ago.
fn just_claimed() -> MemberFacts {
    let mut sandbox = warm();
    with_files(&mut sandbox);
    running(sandbox, 200)
}

fn order(snapshot: &str) -> Order {
    Order { way: Way::Restore(Purpose::Claim), snapshot: snapshot.into(), attempt: 1 }
}

fn came(facts: &mut MemberFacts, progress: Progress) {
    facts.transfer = Some((order("notes"), progress));
}

fn missing() -> Progress {
    Progress::Failed { reason: Reason::SnapshotMissing, message: "there is no snapshot notes".into() }
}

/// A claimed member with the claim's files in it.
fn begun() -> MemberFacts {
    let mut facts = just_claimed();
    facts = after(&facts, run(&facts));
    came(&mut facts, Progress::Done { bytes: 42 });
    facts = after(&facts, run(&facts));
    facts.transfer = None;
    facts
}

#[test]
fn a_claim_is_held_at_once_and_ready_with_its_files() {
    let mut facts = just_claimed();
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::Transfer { order: order("notes") }]);
    assert_eq!((plan.status.phase, plan.status.claimed_at.clone()), (Some(Phase::Claimed), Some(time(200))));
    assert!(is_true(&plan.status.conditions, Type::Claimed) && !is_true(&plan.status.conditions, Type::Ready));
    assert_eq!(reason(&plan.status, Type::Ready), "Restoring");
    facts = after(&facts, plan);
    for news in [Progress::Queued, Progress::Moving { trouble: None }] {
        came(&mut facts, news);
        assert_eq!(Some(run(&facts).status), facts.sandbox.status, "nothing new is written while they come (S10)");
    }
    came(&mut facts, Progress::Moving { trouble: Some(MoveError::passing(Reason::TransferFailed, "no answer")) });
    let plan = run(&facts);
    assert!(plan.status.conditions.iter().any(|told| told.message == "snapshot notes is tried again: no answer"));

    let facts = begun();
    assert!(is_true(&status(&facts).conditions, Type::Ready) && facts.sandbox.awaited_snapshot().is_none());
    assert_eq!(status(&facts).claim_files.and_then(|files| files.restored_at), Some(time(200)));
    let level = run(&facts);
    assert_eq!((done(&level), Some(level.status.clone())), (vec![], facts.sandbox.status.clone()), "once");
}

#[test]
fn a_new_process_puts_the_files_again_and_says_ready_no_sooner_s8() {
    let mut facts = just_claimed();
    facts = after(&facts, run(&facts));
    (facts.transfer, facts.probe) = (None, None);
    let plan = run(&facts);
    assert_eq!((done(&plan), Some(plan.status.clone())), (vec![], facts.sandbox.status.clone()), "not asked yet");
    facts.probe = Some(ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO });
    assert_eq!(done(&run(&facts)), [&Effect::Transfer { order: order("notes") }]);
}

#[test]
fn a_missing_snapshot_is_told_and_looked_for_again() {
    let mut facts = just_claimed();
    facts = after(&facts, run(&facts));
    came(&mut facts, missing());
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer]);
    assert_eq!(
        (reason(&plan.status, Type::Ready), plan.status.phase),
        ("SnapshotMissing".into(), Some(Phase::Claimed))
    );
    let told =
        plan.status.conditions.iter().find(|told| told.type_ == "FilesRestored").expect("a word").message.clone();
    assert!(told.starts_with("spec.claim.snapshot.name: notes cannot be put into the sandbox: there is no"), "{told}");
    facts = after(&facts, plan);
    facts.transfer = None;
    let waits = run(&facts);
    assert_eq!((done(&waits), Some(waits.status.clone())), (vec![], facts.sandbox.status.clone()));
    assert!(waits.again.is_some_and(|again| again <= Duration::from_secs(10)), "{:?}", waits.again);
    facts.now = at(211);
    let again = run(&facts);
    assert_eq!(done(&again), [&Effect::Transfer { order: order("notes") }], "the first back-off is 10 s");
    assert_eq!(reason(&again.status, Type::Ready), "SnapshotMissing", "what is known stands until it is better");
    facts = after(&facts, again);
    came(&mut facts, Progress::Done { bytes: 42 });
    let plan = run(&facts);
    assert!(is_true(&plan.status.conditions, Type::Ready) && is_true(&plan.status.conditions, Type::FilesRestored));
    assert_eq!(plan.status.claim_files.map(|files| files.failures), Some(0));
}

#[test]
fn a_cold_claim_gets_the_files_of_its_pool_first_and_then_its_own() {
    let mut sandbox = member();
    with_files(&mut sandbox);
    sandbox.spec.template.as_mut().expect("a template").snapshot = base("pool");
    let instance = Some(InstanceStatus { requested_at: time(0), ..attempt(1, Some("id-1")) });
    sandbox.status = Some(SandboxStatus { phase: Some(Phase::Creating), instance, ..SandboxStatus::default() });
    let mut facts = running(sandbox, 60);
    let plan = run(&facts);
    let first = Order { way: Way::Restore(Purpose::Instance), ..order("pool") };
    assert_eq!(done(&plan), [&Effect::Transfer { order: first.clone() }]);
    facts = after(&facts, plan);
    facts.transfer = Some((first, Progress::Done { bytes: 1 }));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer]);
    assert!(!is_true(&plan.status.conditions, Type::Ready) && plan.status.claim_files.is_none());
    facts = after(&facts, plan);
    facts.transfer = None;
    assert_eq!(done(&run(&facts)), [&Effect::Transfer { order: order("notes") }]);
}

#[test]
fn it_is_hibernated_only_with_its_files_and_wakes_with_those_that_were_kept() {
    let mut facts = just_claimed();
    asked(&mut facts, OperatingMode::Hibernated);
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::Transfer { order: order("notes") }], "nothing is kept before");
    assert_eq!((reason(&plan.status, Type::Hibernated), plan.status.hibernation), ("Restoring".into(), None));

    let mut facts = begun();
    asked(&mut facts, OperatingMode::Hibernated);
    let saving = run(&facts);
    assert!(matches!(&done(&saving)[..], [Effect::Transfer { order }] if order.way == Way::Save));

    let mut waking = super::hibernation::waking();
    let sandbox = Arc::make_mut(&mut waking.sandbox);
    with_files(sandbox);
    sandbox.status.as_mut().expect("a status").claim_files = status(&begun()).claim_files;
    let kept = super::hibernation::restore();
    assert_eq!(done(&run(&waking)), [&Effect::Transfer { order: kept.clone() }]);
    waking.transfer = Some((kept, Progress::Done { bytes: 42 }));
    let plan = run(&waking);
    assert_eq!((done(&plan), is_true(&plan.status.conditions, Type::Ready)), (vec![&Effect::EndTransfer], true));
}

#[test]
fn without_a_store_it_waits_and_says_so_once() {
    let mut facts = just_claimed();
    facts.has_store = false;
    let plan = run(&facts);
    assert_eq!((done(&plan), reason(&plan.status, Type::Ready)), (vec![], "NoSnapshotStore".into()));
    facts = after(&facts, plan);
    assert_eq!(Some(run(&facts).status), facts.sandbox.status);
}

#[test]
fn a_container_that_is_replaced_meanwhile_gets_the_files_too() {
    let mut facts = just_claimed();
    facts = after(&facts, run(&facts));
    came(&mut facts, Progress::Done { bytes: 42 });
    facts.evidence.listed.as_mut().expect("listed").deployment_id = Some("d2".into());
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer]);
    assert!(plan.status.claim_files.is_none() && !is_true(&plan.status.conditions, Type::FilesLost));
    facts = after(&facts, plan);
    facts.transfer = None;
    assert_eq!(done(&run(&facts)), [&Effect::Transfer { order: order("notes") }]);
    let mut facts = claimed(OperatingMode::Running);
    facts.evidence.listed.as_mut().expect("listed").deployment_id = Some("d2".into());
    assert!(is_true(&run(&facts).status.conditions, Type::FilesLost), "what its holder had is gone");
}

#[test]
fn a_silent_agent_is_told_before_files_are() {
    let mut facts = just_claimed();
    facts.probe = Some(ProbeFact { healthy: false, failures: 3, failing_for: Duration::from_secs(30) });
    let plan = run(&facts);
    assert_eq!((done(&plan), reason(&plan.status, Type::Ready)), (vec![], "ProbeFailed".into()));
    assert_eq!(reason(&plan.status, Type::FilesRestored), "Restoring");
}
