//! Rules of hibernation, and of files that a fresh instance gets.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{HibernationStatus, InstanceStatus, OperatingMode, Phase, Sandbox, SandboxStatus, SnapshotRef, Usd};
use crate::artifacts::hibernated_name;
use crate::controllers::sandbox::facts::{BooksFact, Evidence, MemberFacts, Observed, ProbeFact};
use crate::controllers::sandbox::plan::{Effect, Plan, plan};
use crate::controllers::transfers::{Order, Progress, Purpose, Way};
use crate::providers::InstancePhase;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn run(facts: &MemberFacts) -> Plan {
    plan(&Observed::Member(Box::new(facts.clone())))
}

/// A member that is claimed since second 100, its instance running and answering at second 200.
pub(super) fn claimed(mode: OperatingMode) -> MemberFacts {
    let mut sandbox = warm();
    sandbox.spec.claim = Some(claim(3600));
    sandbox.spec.operating_mode = Some(mode);
    sandbox.metadata.generation = Some(3);
    let status = sandbox.status.as_mut().expect("a status");
    (status.phase, status.claimed_at) = (Some(Phase::Claimed), Some(time(100)));
    running(sandbox, 200)
}

pub(super) fn running(sandbox: Sandbox, now: i64) -> MemberFacts {
    let mut facts = facts(sandbox, now);
    let listed = Some(seen(InstancePhase::Running));
    facts.evidence =
        Evidence { listed, listing_is_newer: true, listing_age: Some(Duration::ZERO), ..Evidence::default() };
    facts.probe = Some(ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO });
    facts
}

/// The facts of the pass after this plan.
pub(super) fn after(facts: &MemberFacts, plan: Plan) -> MemberFacts {
    let sandbox = Sandbox { status: Some(plan.status), ..facts.sandbox.as_ref().clone() };
    MemberFacts { sandbox: Arc::new(sandbox), ..facts.clone() }
}

pub(super) fn asked(facts: &mut MemberFacts, mode: OperatingMode) {
    Arc::make_mut(&mut facts.sandbox).spec.operating_mode = Some(mode);
}

pub(super) fn snapshot() -> String {
    hibernated_name("inst", UID, 3, 1)
}

pub(super) fn save() -> Order {
    Order { way: Way::Save, snapshot: snapshot(), attempt: 1 }
}

/// The second try to keep the same files.
fn second_try() -> [Effect; 2] {
    let order = Order { snapshot: hibernated_name("inst", UID, 3, 2), ..save() };
    [Effect::Transfer { order }, Effect::DiscardSnapshot { snapshot: snapshot() }]
}

pub(super) fn status(facts: &MemberFacts) -> SandboxStatus {
    facts.sandbox.status.clone().expect("a status")
}

pub(super) fn kept(status: &SandboxStatus) -> HibernationStatus {
    status.hibernation.clone().expect("a hibernation")
}

pub(super) fn reason(status: &SandboxStatus, kind: Type) -> String {
    let mut all = status.conditions.iter();
    all.find(|condition| condition.type_ == kind.as_str()).map(|found| found.reason.clone()).unwrap_or_default()
}

/// What is done besides telling.
pub(super) fn done(plan: &Plan) -> Vec<&Effect> {
    plan.effects.iter().filter(|effect| !matches!(effect, Effect::Event { .. })).collect()
}

/// A member whose files were whole in the store at second 200.
pub(super) fn saved() -> MemberFacts {
    let mut facts = claimed(OperatingMode::Hibernated);
    facts = after(&facts, run(&facts));
    facts.transfer = Some((save(), Progress::Done { bytes: 42 }));
    facts = after(&facts, run(&facts));
    facts.transfer = None;
    facts
}

/// A member that sleeps since second 210.
pub(super) fn asleep() -> MemberFacts {
    let mut facts = saved();
    facts.now = at(210);
    (facts.probe, facts.evidence) = (None, Evidence { proved_gone: true, ..Evidence::default() });
    after(&facts, run(&facts))
}

/// A member that wakes since second 300, the new instance's agent answering.
/// Asked to wake; its snapshot is looked for.
pub(super) fn looking() -> MemberFacts {
    let mut facts = asleep();
    asked(&mut facts, OperatingMode::Running);
    (facts.now, facts.evidence) = (at(300), Evidence::default());
    after(&facts, run(&facts))
}

pub(super) fn waking() -> MemberFacts {
    let mut facts = looking();
    facts.transfer = Some((find(2), Progress::Done { bytes: 42 }));
    facts = after(&facts, run(&facts));
    let mut sandbox = facts.sandbox.as_ref().clone();
    let instance = sandbox.status.as_mut().and_then(|status| status.instance.as_mut()).expect("an attempt");
    instance.id = Some("id-2".into());
    let mut next = running(sandbox, 340);
    let listed = next.evidence.listed.as_mut().expect("listed");
    (listed.id, listed.name) = ("id-2".into(), attempt(2, None).name);
    next
}

pub(super) fn restore() -> Order {
    Order { way: Way::Restore(Purpose::Instance), attempt: 2, ..save() }
}

pub(super) fn find(attempt: i32) -> Order {
    Order { way: Way::Find, attempt, ..save() }
}

#[test]
fn the_wish_is_written_before_files_are_moved_s8() {
    let mut facts = claimed(OperatingMode::Hibernated);
    let first = run(&facts);
    assert_eq!(kept(&first.status).snapshot, snapshot());
    assert_eq!(first.status.phase, Some(Phase::Hibernating));
    assert_eq!(done(&first), [&Effect::Transfer { order: save() }]);
    facts = after(&facts, first);
    // A new process knows of no transfer: what its predecessor may still bring about has another name.
    assert_eq!(done(&run(&facts)), second_try().iter().collect::<Vec<_>>());
    facts.probe = None;
    let unheard = run(&facts);
    assert_eq!((done(&unheard), unheard.status.phase), (vec![], Some(Phase::Hibernating)));
    facts.transfer = Some((save(), Progress::Moving { trouble: None }));
    let moving = run(&facts);
    assert_eq!(
        (done(&moving), Some(moving.status.clone())),
        (vec![], facts.sandbox.status.clone()),
        "waiting writes nothing"
    );
}

#[test]
fn the_instance_goes_only_after_its_files_are_whole() {
    let mut facts = claimed(OperatingMode::Hibernated);
    facts = after(&facts, run(&facts));
    for other in [Order { attempt: 2, ..save() }, Order { snapshot: "another".into(), ..save() }, restore()] {
        facts.transfer = Some((other, Progress::Done { bytes: 1 }));
        assert_eq!(kept(&run(&facts).status).saved_at, None, "another transfer is none of these files");
    }
    facts.transfer = Some((save(), Progress::Done { bytes: 42 }));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer], "the intent is written before the delete");
    assert_eq!((kept(&plan.status).saved_at, kept(&plan.status).size_bytes), (Some(time(200)), Some(42)));
    let mut next = after(&facts, plan);
    (next.transfer, next.probe) = (None, None);
    let plan = run(&next);
    assert_eq!(done(&plan), [&Effect::Delete { id: "id-1".into() }]);
    assert_eq!(plan.status.phase, Some(Phase::Hibernating));
}

#[test]
fn asleep_it_keeps_its_claim_and_writes_nothing_s7_s10() {
    let mut facts = asleep();
    let stored = status(&facts);
    assert_eq!((stored.phase, stored.url.as_deref()), (Some(Phase::Hibernated), None));
    assert!(is_true(&stored.conditions, Type::Hibernated) && !is_true(&stored.conditions, Type::Ready));
    assert_eq!(kept(&stored).hibernated_at, Some(time(210)));
    for later in [220, 1000, 3000] {
        (facts.now, facts.evidence) = (at(later), Evidence::default());
        let plan = run(&facts);
        assert_eq!((done(&plan), &plan.status), (vec![], &stored), "after {later} s");
    }
    facts.now = at(3700);
    assert!(run(&facts).effects.contains(&Effect::DeleteSelf), "its time ends it also in its sleep");
    Arc::make_mut(&mut facts.sandbox).metadata.deletion_timestamp = Some(time(3700));
    let discard = Effect::DiscardSnapshot { snapshot: snapshot() };
    assert_eq!(done(&run(&facts)), [] as [&Effect; 0], "what it cost is its pool's first");
    facts.books = BooksFact::Taken;
    assert_eq!(done(&run(&facts)), [&discard, &Effect::DeleteToken, &Effect::LiftFinalizer]);
}

#[test]
fn a_failed_snapshot_keeps_the_instance_and_is_tried_again_later() {
    let mut facts = claimed(OperatingMode::Hibernated);
    facts = after(&facts, run(&facts));
    facts.transfer = Some((save(), Progress::Failed { reason: Reason::TransferFailed, message: "disk full".into() }));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndTransfer]);
    assert_eq!(plan.status.phase, Some(Phase::Claimed));
    assert!(is_true(&plan.status.conditions, Type::Ready), "it goes on as before");
    assert_eq!(reason(&plan.status, Type::Hibernated), "SnapshotFailed");
    facts = after(&facts, plan);
    facts.transfer = None;
    let waiting = run(&facts);
    assert_eq!((done(&waiting), Some(waiting.status.clone())), (vec![], facts.sandbox.status.clone()));
    facts.now = at(211);
    let again = run(&facts);
    assert_eq!(done(&again), second_try().iter().collect::<Vec<_>>(), "the first back-off is 10 s");
    asked(&mut facts, OperatingMode::Running);
    let stays = run(&facts);
    assert_eq!(stays.status.hibernation, None);
    assert_eq!(done(&stays), [&Effect::EndTransfer, &Effect::DiscardSnapshot { snapshot: snapshot() }]);
    assert_eq!(reason(&stays.status, Type::Hibernated), "AsExpected");
}

#[test]
fn without_a_store_it_goes_on_running_and_says_so_once() {
    let mut facts = claimed(OperatingMode::Hibernated);
    facts.has_store = false;
    let plan = run(&facts);
    assert_eq!((done(&plan), plan.status.phase), (vec![], Some(Phase::Claimed)));
    assert_eq!(reason(&plan.status, Type::Hibernated), "NoSnapshotStore");
    facts = after(&facts, plan);
    let again = run(&facts);
    assert_eq!((again.effects, Some(again.status)), (vec![], facts.sandbox.status.clone()));
}

#[test]
fn a_second_hibernation_takes_files_anew_and_then_removes_the_first() {
    let mut facts = waking();
    facts.transfer = Some((restore(), Progress::Done { bytes: 42 }));
    facts = after(&facts, run(&facts));
    asked(&mut facts, OperatingMode::Hibernated);
    Arc::make_mut(&mut facts.sandbox).metadata.generation = Some(5);
    facts.transfer = None;
    let plan = run(&facts);
    let second = hibernated_name("inst", UID, 5, 1);
    let order = Order { way: Way::Save, snapshot: second.clone(), attempt: 2 };
    assert_eq!(done(&plan), [&Effect::Transfer { order: order.clone() }]);
    assert_eq!(kept(&plan.status).replaces, Some(snapshot()));
    facts = after(&facts, plan);
    facts.transfer = Some((order, Progress::Done { bytes: 43 }));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::DiscardSnapshot { snapshot: snapshot() }, &Effect::EndTransfer]);
    assert_eq!(kept(&plan.status).left_over(), [second]);
}

#[test]
fn a_silent_agent_is_told_instead_of_hibernating() {
    let mut facts = claimed(OperatingMode::Hibernated);
    facts.probe = Some(ProbeFact { healthy: false, failures: 3, failing_for: Duration::from_secs(30) });
    let plan = run(&facts);
    assert_eq!((done(&plan), plan.status.hibernation.clone()), (vec![], None));
    assert_eq!(reason(&plan.status, Type::Hibernated), "ProbeFailed");
}

#[test]
fn a_sleeping_sandbox_costs_nothing_and_a_woken_one_goes_on_adding_s14() {
    let cost = |facts: &MemberFacts| status(facts).cost.expect("a cost");
    let usd = |seconds: i64| "3.6".parse::<Usd>().expect("a price").over(seconds);
    let facts = asleep();
    // The instance was there from second 1 on, claimed from 100, and proved gone at 210.
    let slept = cost(&facts);
    assert_eq!((slept.settled_usd, slept.held_usd), (usd(209), usd(110)));
    assert_eq!((slept.usd_per_hour, slept.since.clone(), slept.ended_at.clone()), (None, None, None));
    for later in [300, 3000] {
        assert_eq!(slept.to_date(at(later)), usd(209), "asleep until {later}");
    }
    let mut facts = waking();
    let seen = facts.evidence.listed.as_mut().expect("listed");
    seen.created_at = Some(at(310));
    facts.transfer = Some((restore(), Progress::Done { bytes: 42 }));
    let awake = cost(&after(&facts, run(&facts)));
    assert_eq!((awake.settled_usd, awake.since.clone()), (usd(209), Some(time(310))));
    assert_eq!(awake.to_date(at(400)), usd(209 + 90));
}

#[test]
fn a_warm_sandbox_that_lost_the_files_of_its_pool_is_replaced() {
    let mut sandbox = warm();
    sandbox.spec.template.as_mut().expect("a template").snapshot = Some(SnapshotRef { name: "base".into() });
    let mut facts = running(sandbox, 200);
    facts.evidence.listed.as_mut().expect("listed").deployment_id = Some("d2".into());
    let plan = run(&facts);
    assert_eq!(plan.status.phase, Some(Phase::Booting), "nobody is given it meanwhile");
    assert_eq!(done(&plan), [&Effect::ResetProbe, &Effect::DeleteSelf]);
    Arc::make_mut(&mut facts.sandbox).spec.claim = Some(claim(3600));
    let plan = run(&facts);
    assert!(is_true(&plan.status.conditions, Type::FilesLost) && !plan.effects.contains(&Effect::DeleteSelf));
}

#[test]
fn a_fresh_member_is_warm_only_with_the_files_of_its_pool() {
    let mut sandbox = member();
    let template = sandbox.spec.template.as_mut().expect("a template");
    template.snapshot = Some(SnapshotRef { name: "base".into() });
    let instance = Some(InstanceStatus { requested_at: time(0), ..attempt(1, Some("id-1")) });
    sandbox.status = Some(SandboxStatus { phase: Some(Phase::Creating), instance, ..SandboxStatus::default() });
    let mut facts = running(sandbox.clone(), 60);
    let order = Order { way: Way::Restore(Purpose::Instance), snapshot: "base".into(), attempt: 1 };
    let plan = run(&facts);
    assert_eq!(
        (done(&plan), plan.status.phase),
        (vec![&Effect::Transfer { order: order.clone() }], Some(Phase::Booting))
    );
    facts = after(&facts, plan);
    let mut good = facts.clone();
    good.transfer = Some((order.clone(), Progress::Done { bytes: 1 }));
    assert_eq!(run(&good).status.phase, Some(Phase::Warm));

    let message = "there is no snapshot base".to_owned();
    facts.transfer = Some((order, Progress::Failed { reason: Reason::SnapshotMissing, message }));
    facts = after(&facts, run(&facts));
    (facts.transfer, facts.evidence) = (None, Evidence { proved_gone: true, ..Evidence::default() });
    let plan = run(&facts);
    assert_eq!(plan.status.phase, Some(Phase::Failed), "no second attempt gets what is not there");
    assert_eq!(plan.status.reason.as_deref(), Some("SnapshotMissing"));

    let mut alone = super::fixture::facts(Sandbox { status: None, ..sandbox }, 0);
    alone.has_store = false;
    let plan = run(&alone);
    assert_eq!((done(&plan), plan.status.phase), (vec![], Some(Phase::Failed)), "no instance is made for nothing");
}
