//! Rules of waking.

use super::fixture::*;
use super::hibernation::{
    after, asked, asleep, done, find, kept, looking, reason, restore, run, saved, status, waking,
};
use crate::api::conditions::{Reason, Type, Wanted, is_true, merge};
use crate::api::{ABANDON_FILES_ANNOTATION, OperatingMode, Phase, SandboxStatus};
use crate::controllers::sandbox::facts::{Evidence, MemberFacts, ProbeFact};
use crate::controllers::sandbox::plan::{Effect, Plan};
use crate::controllers::transfers::{MoveError, Order, Progress, RESTORE_LIMIT, Way};
use std::sync::Arc;
use std::time::Duration;

/// One attempt of waking that is never ready, and its end.
fn wake_in_vain(mut facts: MemberFacts) -> MemberFacts {
    facts.now = facts.now.checked_add(jiff::SignedDuration::from_secs(601)).expect("in range");
    facts.evidence = Evidence { listing_age: Some(Duration::ZERO), ..Evidence::default() };
    facts = after(&facts, run(&facts));
    facts.evidence = Evidence { unlisted_twice: true, name_free: Some(true), ..Evidence::default() };
    after(&facts, run(&facts))
}

#[test]
fn waking_is_a_new_attempt_written_before_its_create_s1_s2() {
    let mut facts = asleep();
    asked(&mut facts, OperatingMode::Running);
    (facts.now, facts.evidence) = (at(300), Evidence::default());
    let looks = run(&facts);
    assert_eq!(done(&looks), [&Effect::Transfer { order: find(2) }], "an instance without files costs for nothing");
    assert_eq!(
        (looks.status.phase, reason(&looks.status, Type::Hibernated).as_str()),
        (Some(Phase::Hibernated), "Waking")
    );
    facts = after(&facts, looks);
    (facts.now, facts.transfer) = (at(301), Some((find(2), Progress::Done { bytes: 42 })));
    let plan = run(&facts);
    let written = plan.status.instance.clone().expect("an attempt");
    assert_eq!((written.attempt, written.id, written.name.clone()), (2, None, attempt(2, None).name));
    assert!(plan.needs_token, "the agent's token is made sure of for every attempt");
    let [Effect::Create { name, marks, fresh: true, .. }] = &done(&plan)[..] else { panic!("{:?}", plan.effects) };
    assert_eq!((name, marks.attempt), (&written.name, 2));
    assert_eq!(kept(&plan.status).wake_requested_at, Some(time(300)));
}

#[test]
fn nothing_wakes_before_the_old_instance_is_proved_gone_s1_s3() {
    let mut facts = saved();
    asked(&mut facts, OperatingMode::Running);
    (facts.probe, facts.evidence) = (None, Evidence { unlisted_twice: true, ..Evidence::default() });
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::Delete { id: "id-1".into() }], "the delete goes on, and no create is sent");
    assert_eq!(plan.status.instance.map(|instance| instance.attempt), Some(1));
}

#[test]
fn it_is_awake_once_its_files_are_back_and_says_how_long_it_took() {
    let mut facts = waking();
    let first = run(&facts);
    assert_eq!(done(&first), [&Effect::Transfer { order: restore() }]);
    assert_eq!(first.status.phase, Some(Phase::Booting));
    assert_eq!(first.status.instance.as_ref().and_then(|instance| instance.ready_at.clone()), None);
    facts = after(&facts, first);
    let silent = MoveError::passing(Reason::TransferFailed, "no answer");
    facts.transfer = Some((restore(), Progress::Moving { trouble: Some(silent) }));
    let trouble = run(&facts);
    assert_eq!(reason(&trouble.status, Type::FilesRestored), "Restoring");
    assert!(!is_true(&trouble.status.conditions, Type::Ready));
    facts.transfer = Some((restore(), Progress::Done { bytes: 42 }));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer]);
    let hibernation = kept(&plan.status);
    assert_eq!((hibernation.restored_at, hibernation.wake_seconds), (Some(time(340)), Some(40)));
    assert_eq!(plan.status.phase, Some(Phase::Claimed));
    assert!(is_true(&plan.status.conditions, Type::Ready) && is_true(&plan.status.conditions, Type::FilesRestored));
    assert!(!is_true(&plan.status.conditions, Type::FilesLost));
    let mut level = after(&facts, plan);
    level.transfer = None;
    let plan = run(&level);
    assert_eq!((done(&plan), Some(plan.status.clone())), (vec![], level.sandbox.status.clone()));
}

fn message(status: &SandboxStatus, kind: Type) -> String {
    let mut all = status.conditions.iter();
    all.find(|condition| condition.type_ == kind.as_str()).map(|found| found.message.clone()).unwrap_or_default()
}

/// The files were not found, or not whole.
fn missing(why: Reason) -> MoveError {
    MoveError { reason: why, message: "no such snapshot".into(), passing: false }
}

#[test]
fn a_wake_whose_snapshot_is_not_found_sleeps_on_makes_nothing_and_says_the_way_out_s6() {
    let mut facts = looking();
    let trouble = Some(missing(Reason::SnapshotMissing));
    facts.transfer = Some((find(2), Progress::Moving { trouble }));
    let plan = run(&facts);
    assert_eq!((done(&plan), plan.status.phase), (vec![], Some(Phase::Hibernated)));
    let said = message(&plan.status, Type::Hibernated);
    let way_out = format!("annotation sandbar.dev/abandon-files={} wakes it", kept(&plan.status).snapshot);
    for part in ["sleeps on", "no such snapshot", "put the snapshot back", "--snapshot-url", &way_out] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(plan.effects.iter().any(|effect| matches!(effect, Effect::Event { warning: true, .. })));
    facts = after(&facts, plan);
    facts.now = at(3000);
    let again = run(&facts);
    assert_eq!((again.effects, &again.status), (vec![], &status(&facts)), "it is said once (S10)");
    assert!(kept(&again.status).keeps_the_files() && !is_true(&again.status.conditions, Type::FilesLost));
    facts.transfer = Some((find(2), Progress::Done { bytes: 42 }));
    let found = run(&facts);
    assert!(matches!(&done(&found)[..], [Effect::Create { .. }]), "it was put back: {:?}", found.effects);
    asked(&mut facts, OperatingMode::Hibernated);
    assert_eq!(done(&run(&facts)), [&Effect::EndTransfer], "nobody looks for what nobody wants");
}

#[test]
fn a_store_that_is_away_is_waited_for_without_an_instance() {
    let mut facts = looking();
    let trouble = Some(MoveError::passing(Reason::TransferFailed, "no answer"));
    facts.transfer = Some((find(2), Progress::Moving { trouble }));
    let plan = run(&facts);
    assert_eq!((plan.effects.clone(), plan.status.phase), (vec![], Some(Phase::Hibernated)));
    assert_eq!(reason(&plan.status, Type::Hibernated), "Waking");
    assert!(message(&plan.status, Type::Hibernated).contains("is looked for again: no answer"));
}

#[test]
fn a_new_process_says_what_is_known_to_be_wrong_until_it_has_looked_s10() {
    let mut facts = looking();
    facts.transfer = Some((find(2), Progress::Moving { trouble: Some(missing(Reason::SnapshotMissing)) }));
    facts = after(&facts, run(&facts));
    facts.transfer = None;
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::Transfer { order: find(2) }]);
    assert_eq!(Some(plan.status), facts.sandbox.status.clone(), "nothing is written, and nothing warned of again");
    assert!(!plan.effects.iter().any(|effect| matches!(effect, Effect::Event { .. })));
}

#[test]
fn a_container_that_is_replaced_on_the_way_gets_the_files_again() {
    let mut facts = waking();
    facts = after(&facts, run(&facts));
    facts.transfer = Some((restore(), Progress::Done { bytes: 42 }));
    let listed = facts.evidence.listed.as_mut().expect("listed");
    listed.deployment_id = Some("another".into());
    let plan = run(&facts);
    assert!(done(&plan).contains(&&Effect::EndTransfer), "{:?}", plan.effects);
    assert_eq!(plan.status.instance.as_ref().and_then(|instance| instance.ready_at.clone()), None);
    assert_eq!(kept(&plan.status).restored_at, None);
    facts = after(&facts, plan);
    facts.transfer = None;
    assert_eq!(done(&run(&facts)), [&Effect::Transfer { order: restore() }]);
}

#[test]
fn files_that_go_missing_on_their_way_back_are_never_given_up_unasked() {
    for (why, way) in [(Reason::SnapshotMissing, Way::Find), (Reason::SnapshotDamaged, Way::Check)] {
        let mut facts = waking();
        facts.transfer = Some((restore(), Progress::Failed { reason: why, message: "no such snapshot".into() }));
        facts = after(&facts, run(&facts));
        assert!(kept(&status(&facts)).keeps_the_files() && !is_true(&status(&facts).conditions, Type::FilesLost));
        facts.transfer = None;
        assert_eq!(done(&run(&facts)), [&Effect::Delete { id: "id-2".into() }]);
        (facts.probe, facts.evidence) = (None, Evidence { proved_gone: true, ..Evidence::default() });
        facts = after(&facts, run(&facts));
        assert_eq!(
            (facts.sandbox.phase(), reason(&status(&facts), Type::Hibernated).as_str()),
            (Phase::Hibernated, why.as_str())
        );
        facts.now = at(1000);
        let order = Order { way, attempt: 3, ..find(3) };
        let looks = run(&facts);
        assert_eq!(done(&looks), [&Effect::Transfer { order: order.clone() }], "what is damaged is read whole first");
        facts = after(&facts, looks);
        facts.transfer = Some((order.clone(), Progress::Moving { trouble: Some(missing(why)) }));
        facts = after(&facts, run(&facts));
        assert_eq!(reason(&status(&facts), Type::Hibernated), why.as_str());
        facts.transfer = Some((order, Progress::Done { bytes: 42 }));
        assert!(matches!(&done(&run(&facts))[..], [Effect::Create { .. }]));
    }
}

fn give_up(facts: &mut MemberFacts, word: &str) {
    let annotations = [(ABANDON_FILES_ANNOTATION.to_owned(), word.to_owned())];
    Arc::make_mut(&mut facts.sandbox).metadata.annotations = Some(annotations.into());
}

#[test]
fn only_the_holders_word_wakes_it_without_its_files_and_the_snapshot_stays() {
    let mut facts = asleep();
    asked(&mut facts, OperatingMode::Running);
    (facts.now, facts.evidence) = (at(300), Evidence::default());
    give_up(&mut facts, "another");
    assert_eq!(done(&run(&facts)), [&Effect::Transfer { order: find(2) }], "a word for another snapshot is none");
    let snapshot = kept(&status(&facts)).snapshot;
    give_up(&mut facts, &snapshot);
    facts.has_store = false;
    assert!(matches!(&done(&run(&facts))[..], [Effect::Create { .. }]));

    let mut facts = waking();
    give_up(&mut facts, &snapshot);
    facts.transfer = Some((restore(), Progress::Moving { trouble: None }));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer]);
    assert!(is_true(&plan.status.conditions, Type::FilesLost) && is_true(&plan.status.conditions, Type::Ready));
    assert_eq!(reason(&plan.status, Type::FilesLost), "Abandoned");
    let hibernation = kept(&plan.status);
    assert_eq!((&hibernation.restored_at, &hibernation.lost_at), (&None, &Some(time(340))));
    assert_eq!(hibernation.left_over(), [""; 0], "what is there of it stays for its holder");
    let mut level = after(&facts, plan);
    level.transfer = None;
    let plan = run(&level);
    assert_eq!((done(&plan), &plan.status), (vec![], &status(&level)), "nothing is tried again");
}

#[test]
fn files_that_were_lost_before_are_not_lost_once_a_waking_brought_back_what_it_slept_with() {
    let mut facts = waking();
    let lost = Wanted::new(Type::FilesLost, true, Reason::Redeployed, "gone");
    let stored = Arc::make_mut(&mut facts.sandbox).status.as_mut().expect("a status");
    stored.conditions = merge(&stored.conditions, &[lost], None, at(50));
    facts.transfer = Some((restore(), Progress::Moving { trouble: None }));
    assert!(is_true(&run(&facts).status.conditions, Type::FilesLost), "not before they are back");
    facts.transfer = Some((restore(), Progress::Done { bytes: 42 }));
    let plan = run(&facts);
    assert!(!is_true(&plan.status.conditions, Type::FilesLost) && is_true(&plan.status.conditions, Type::Ready));
    assert_eq!(reason(&plan.status, Type::FilesLost), "Restored");
}

#[test]
fn the_deadline_is_for_the_instance_and_not_for_its_files() {
    let mut facts = waking();
    Arc::make_mut(&mut facts.sandbox).spec.claim = Some(claim(100_000));
    facts = after(&facts, run(&facts));
    let instance = status(&facts).instance.expect("an attempt");
    assert_eq!(instance.restore_began_at, Some(time(340)));
    facts.transfer = Some((restore(), Progress::Queued));
    facts.now = at(340).checked_add(RESTORE_LIMIT * 2).expect("in range");
    assert_eq!((done(&run(&facts)), run(&facts).status), (vec![], status(&facts)), "those before it take their time");
    (facts.now, facts.transfer) = (at(340), Some((restore(), Progress::Moving { trouble: None })));
    facts = after(&facts, run(&facts));
    assert_eq!(status(&facts).instance.expect("an attempt").restore_turn_at, Some(time(340)));
    facts.now = at(300 + 601);
    assert_eq!((done(&run(&facts)), run(&facts).status), (vec![], status(&facts)), "it may take longer than 10 min");
    let silent = |failing: u64| ProbeFact { healthy: false, failures: 9, failing_for: Duration::from_secs(failing) };
    facts.probe = Some(silent(599));
    assert_eq!(run(&facts).status.instance.and_then(|instance| instance.failure), None);
    facts.probe = Some(silent(600));
    let failure = |plan: Plan| plan.status.instance.and_then(|instance| instance.failure).map(|failure| failure.reason);
    assert_eq!(failure(run(&facts)).as_deref(), Some("AgentUnreachable"));
    // A new process does not know of the transfer, nor of the agent.
    (facts.probe, facts.transfer) = (None, None);
    assert_eq!(failure(run(&facts)), None);
    facts.now = at(340).checked_add(RESTORE_LIMIT).expect("in range");
    assert_eq!(failure(run(&facts)).as_deref(), Some("DeadlineExceeded"), "nothing is waited for without end (S13)");
}

#[test]
fn files_that_could_not_be_unpacked_are_not_lost() {
    let mut facts = waking();
    let message = "tar: No space left on device".to_owned();
    facts.transfer = Some((restore(), Progress::Failed { reason: Reason::TransferFailed, message }));
    let plan = run(&facts);
    assert!(!is_true(&plan.status.conditions, Type::FilesLost) && !is_true(&plan.status.conditions, Type::Ready));
    assert!(kept(&plan.status).keeps_the_files(), "they are in the store as before");
    facts = after(&facts, plan);
    facts.transfer = None;
    assert_eq!(done(&run(&facts)), [&Effect::Delete { id: "id-2".into() }], "and this instance goes");
}

#[test]
fn waking_that_is_not_wanted_any_more_ends_and_the_files_stay() {
    let mut facts = waking();
    asked(&mut facts, OperatingMode::Hibernated);
    let plan = run(&facts);
    assert!(kept(&plan.status).keeps_the_files());
    assert_eq!(plan.status.phase, Some(Phase::Hibernating));
    facts = after(&facts, plan);
    assert_eq!(done(&run(&facts)), [&Effect::Delete { id: "id-2".into() }]);
    (facts.probe, facts.evidence) = (None, Evidence { proved_gone: true, ..Evidence::default() });
    let plan = run(&facts);
    assert_eq!(plan.status.phase, Some(Phase::Hibernated));
    assert_eq!(kept(&plan.status).wake_requested_at, None);
}

#[test]
fn waking_that_fails_sleeps_on_with_claim_and_files_and_is_tried_again_s6_s13() {
    let mut facts = asleep();
    asked(&mut facts, OperatingMode::Running);
    Arc::make_mut(&mut facts.sandbox).spec.claim = Some(claim(100_000));
    facts.evidence = Evidence::default();
    facts = after(&facts, run(&facts));
    facts.transfer = Some((find(2), Progress::Done { bytes: 42 }));
    facts = after(&facts, run(&facts));
    facts.transfer = None;
    for number in 2..=9 {
        let instance = status(&facts).instance.expect("an attempt");
        assert_eq!((instance.attempt, instance.failure.is_none()), (number, true));
        facts = wake_in_vain(facts);
        let (rests, stored) = (number >= 4, status(&facts));
        assert_eq!(facts.sandbox.phase() == Phase::Hibernated, rests, "attempt {number}: {stored:#?}");
        assert_eq!(reason(&stored, Type::Hibernated) == "DeadlineExceeded", rests);
        let waits = run(&facts);
        assert_eq!((done(&waits), &waits.status), (vec![], &stored), "it rests in silence");
        // The longest back-off is ten minutes.
        facts.now = facts.now.checked_add(jiff::SignedDuration::from_secs(600)).expect("in range");
        let again = run(&facts);
        assert_eq!(reason(&again.status, Type::Hibernated), "Waking");
        facts = after(&facts, again);
        facts.transfer = Some((find(number + 1), Progress::Done { bytes: 42 }));
        facts = after(&facts, run(&facts));
        facts.transfer = None;
    }
    assert!(kept(&status(&facts)).keeps_the_files());
    assert_eq!(kept(&status(&facts)).left_over(), [""; 0], "its holder may want what could not be put back");
}

#[test]
fn nothing_is_made_for_a_waking_whose_store_is_missing() {
    let mut facts = asleep();
    asked(&mut facts, OperatingMode::Running);
    (facts.has_store, facts.evidence) = (false, Evidence::default());
    let plan = run(&facts);
    assert_eq!((done(&plan), plan.status.phase), (vec![], Some(Phase::Hibernated)));
    assert_eq!(reason(&plan.status, Type::Hibernated), "NoSnapshotStore");
    facts = after(&facts, plan);
    let again = run(&facts);
    assert_eq!((again.effects, Some(again.status)), (vec![], facts.sandbox.status.clone()));
    facts.has_store = true;
    assert_eq!(done(&run(&facts)), [&Effect::Transfer { order: find(2) }]);
}
