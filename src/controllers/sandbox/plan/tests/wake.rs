//! Rules of waking.

use super::fixture::*;
use super::hibernation::{after, asked, asleep, done, kept, reason, restore, run, saved, status, waking};
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{OperatingMode, Phase};
use crate::controllers::sandbox::facts::{Evidence, MemberFacts};
use crate::controllers::sandbox::plan::Effect;
use crate::controllers::transfers::Progress;
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
    facts.transfer = Some((restore(), Progress::Moving { trouble: Some("no answer".into()) }));
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

#[test]
fn files_that_cannot_come_back_are_said_to_be_lost() {
    for (why, word) in [(Reason::SnapshotMissing, "SnapshotMissing"), (Reason::SnapshotDamaged, "SnapshotDamaged")] {
        let mut facts = waking();
        facts.transfer = Some((restore(), Progress::Failed { reason: why, message: "no such snapshot".into() }));
        let plan = run(&facts);
        assert!(is_true(&plan.status.conditions, Type::FilesLost) && is_true(&plan.status.conditions, Type::Ready));
        assert_eq!(reason(&plan.status, Type::FilesLost), word);
        let hibernation = kept(&plan.status);
        assert_eq!((&hibernation.restored_at, &hibernation.lost_at), (&None, &Some(time(340))));
        assert_eq!(hibernation.left_over(), [""; 0], "what is there of it stays for its holder");
        let mut level = after(&facts, plan);
        level.transfer = None;
        let plan = run(&level);
        assert_eq!(
            (done(&plan), Some(plan.status.clone())),
            (vec![], level.sandbox.status.clone()),
            "nothing is tried again"
        );
    }
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
    assert!(matches!(&done(&run(&facts))[..], [Effect::Create { .. }]));
}
