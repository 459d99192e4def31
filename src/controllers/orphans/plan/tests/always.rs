//! What holds for every sweep, whatever it sees and remembers.

use super::world::{INSTALLATION, World, account, instance, made};
use crate::api::orphans::{OrphanState, approval};
use crate::controllers::orphans::facts::{Key, Observed, OrphanMode, Seen};
use crate::controllers::orphans::plan::{
    MOST_WHEN_EMPTY, Plan, SHARE, SHARE_FROM, SWEEPS, SWEEPS_WHEN_EMPTY, Target, plan,
};
use crate::providers::{Instance, Marks, instance_name, is_our_name};
use proptest::prelude::*;
use std::time::Duration;

/// What can be odd about an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Odd {
    Nothing,
    NoMarks,
    OtherInstallation,
    OtherNamespace,
    OtherName,
    NameOfAnotherAttempt,
    HalfMarks,
}

/// One instance and what is known of its Sandbox.
#[derive(Clone, Debug)]
struct Case {
    odd: Odd,
    attempt: i32,
    age: Option<u64>,
    /// Whether there is a Sandbox, and the attempt that it is at if that can be read.
    sandbox: Option<Option<i32>>,
    seen: Option<(u32, u32, bool)>,
}

fn case() -> impl Strategy<Value = Case> {
    let odd = prop_oneof![
        6 => Just(Odd::Nothing), 1 => Just(Odd::NoMarks), 1 => Just(Odd::OtherInstallation),
        1 => Just(Odd::OtherNamespace), 1 => Just(Odd::OtherName), 1 => Just(Odd::NameOfAnotherAttempt),
        1 => Just(Odd::HalfMarks),
    ];
    let sandbox = prop_oneof![2 => Just(None), 2 => Just(Some(None)), 1 => (1..4).prop_map(|at| Some(Some(at)))];
    let seen = proptest::option::weighted(0.8, (1..5_u32, 0..3_u32, proptest::bool::weighted(0.9)));
    let age = proptest::option::weighted(0.9, prop_oneof![1 => 0..300_u64, 3 => 300..9_000_u64]);
    (odd, 1..4, age, sandbox, seen).prop_map(|(odd, attempt, age, sandbox, seen)| Case {
        odd,
        attempt,
        age,
        sandbox,
        seen,
    })
}

fn strange(mut instance: Instance, odd: Odd) -> Instance {
    let marks = instance.marks.as_mut().expect("marked");
    let uid = marks.uid.clone();
    match odd {
        Odd::Nothing => {}
        Odd::NoMarks => instance.marks = None,
        Odd::OtherInstallation => {
            instance.name = instance_name("abroad", &uid, marks.attempt);
            marks.installation = "abroad".to_owned();
        }
        Odd::OtherNamespace => marks.namespace = "elsewhere".to_owned(),
        Odd::OtherName => instance.name = format!("sandbox-{uid}"),
        Odd::NameOfAnotherAttempt => instance.name = instance_name(INSTALLATION, &uid, marks.attempt + 1),
        Odd::HalfMarks => marks.pool_uid = String::new(),
    }
    instance
}

fn observed() -> impl Strategy<Value = Observed> {
    let cases = proptest::collection::vec(case(), 0..40);
    let sandboxes = prop_oneof![3 => Just(true), 1 => Just(false)];
    let policy = (0..12_usize, proptest::bool::weighted(0.9), 0..4_u32);
    // The list that stands: some of what was there, approved as a whole, one by one, or not.
    let shown = (proptest::bool::ANY, 0..3_u8, 0..20_usize);
    (cases, sandboxes, policy, shown)
        .prop_map(|(cases, sandboxes, policy, shown)| join(&cases, sandboxes, policy, shown))
}

fn join(
    cases: &[Case],
    sandboxes: bool,
    (per_sweep, delete, empty_sweeps): (usize, bool, u32),
    (list, approved, skipped): (bool, u8, usize),
) -> Observed {
    let mut world = World::with_sandboxes(if sandboxes { 20 } else { 0 });
    world.observed.watched = Some("ns".to_owned());
    world.observed.policy.per_sweep = per_sweep;
    world.observed.policy.mode = if delete { OrphanMode::Delete } else { OrphanMode::Report };
    world.observed.memory.empty_sweeps = empty_sweeps;
    for (number, case) in cases.iter().enumerate() {
        let mut made_now = strange(instance(&format!("c{number}"), case.attempt), case.odd);
        made_now.created_at = case.age.map(|age| made(Duration::from_secs(age)));
        if let (Some((sweeps, asked, same)), Some(marks)) = (case.seen, &made_now.marks) {
            let marks = if same { marks.clone() } else { Marks { uid: "other".to_owned(), ..marks.clone() } };
            let key = Key { account: account(), id: made_now.id.clone() };
            world.observed.memory.seen.insert(key, Seen { marks, since: Duration::ZERO, sweeps, asked });
        }
        if let Some(at) = case.sandbox.filter(|_| sandboxes) {
            let uid = format!("uid-c{number}");
            world.observed.sandboxes.uids.insert(uid.clone());
            world.observed.sandboxes.attempts.extend(at.map(|at| (uid, at)));
        }
        world = world.instances([made_now]);
    }
    if list {
        let mut report = plan(&world.observed).report;
        report.drain(..skipped.min(report.len()));
        report.iter_mut().step_by(2).for_each(|orphan| orphan.approved = approved == 1);
        world.observed.shown.approval = (approved == 2).then(|| approval(&report));
        world.observed.shown.orphans = report;
    }
    world.observed
}

fn is_approved(observed: &Observed, target: &Target) -> bool {
    let shown = &observed.shown;
    let all = shown.approval == Some(approval(&shown.orphans));
    shown.orphans.iter().any(|orphan| orphan.id == target.key.id && (all || orphan.approved))
}

fn listed<'o>(observed: &'o Observed, target: &Target) -> &'o Instance {
    let instances = &observed.accounts[&target.key.account];
    instances.iter().find(|instance| instance.id == target.key.id).expect("only what was listed is deleted")
}

fn unapproved(observed: &Observed, plan: &Plan) -> usize {
    plan.delete.iter().filter(|target| !is_approved(observed, target)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_without_a_full_set_of_our_marks_is_ever_deleted_or_listed_s9(observed in observed()) {
        let plan = plan(&observed);
        for target in &plan.delete {
            let found = listed(&observed, target);
            let marks = found.marks.as_ref().expect("marked");
            prop_assert_eq!(marks.installation.as_str(), INSTALLATION);
            prop_assert_eq!(marks.namespace.as_str(), "ns");
            prop_assert!(!marks.pool_uid.is_empty());
            prop_assert!(is_our_name(&found.name));
            prop_assert_eq!(&found.name, &instance_name(INSTALLATION, &marks.uid, marks.attempt));
        }
        for orphan in &plan.report {
            prop_assert!(is_our_name(&orphan.name) && orphan.sandbox_namespace == "ns");
        }
    }

    #[test]
    fn an_instance_whose_sandbox_exists_goes_only_if_that_is_at_a_later_attempt(observed in observed()) {
        for target in plan(&observed).delete {
            let marks = &target.marks;
            if observed.sandboxes.uids.contains(&marks.uid) {
                prop_assert!(observed.sandboxes.attempts[&marks.uid] > marks.attempt);
            }
        }
    }

    #[test]
    fn nothing_goes_before_its_time(observed in observed()) {
        let plan = plan(&observed);
        for target in &plan.delete {
            let before = &observed.memory.seen[&target.key];
            let needed = match observed.sandboxes.uids.is_empty() && !is_approved(&observed, target) {
                true => SWEEPS_WHEN_EMPTY,
                false => SWEEPS,
            };
            prop_assert!(before.marks == target.marks && before.sweeps + 1 >= needed);
            let age = listed(&observed, target).created_at.map(|made| observed.now.duration_since(made).as_secs());
            // Of unknown age, ours have been known for a minute here.
            prop_assert!(age.is_some_and(|age| age >= 300));
        }
    }

    #[test]
    fn never_more_than_the_brakes_allow(observed in observed()) {
        let plan = plan(&observed);
        let deleted = unapproved(&observed, &plan);
        prop_assert!(deleted <= observed.policy.per_sweep);
        if observed.sandboxes.uids.is_empty() {
            prop_assert!(deleted <= MOST_WHEN_EMPTY);
            prop_assert!(deleted == 0 || observed.memory.empty_sweeps + 1 >= SWEEPS_WHEN_EMPTY);
        }
        if observed.policy.mode == OrphanMode::Report {
            prop_assert!(plan.delete.is_empty());
        }
        let ours = observed.accounts[&account()].iter().filter(|found| {
            let marks = found.marks.as_ref().filter(|marks| marks.installation == INSTALLATION && marks.namespace == "ns");
            marks.is_some_and(|marks| {
                !marks.pool_uid.is_empty() && found.name == instance_name(INSTALLATION, &marks.uid, marks.attempt)
            })
        });
        let (ours, orphans) = (ours.count(), plan.report.len());
        if orphans >= SHARE_FROM && orphans * SHARE > ours {
            prop_assert_eq!(deleted, 0);
        }
    }

    #[test]
    fn what_goes_is_listed_as_going_first(observed in observed()) {
        let plan = plan(&observed);
        for target in &plan.delete {
            let entry = plan.report.iter().find(|orphan| orphan.id == target.key.id);
            prop_assert_eq!(entry.map(|orphan| orphan.state), Some(OrphanState::Deleting));
        }
    }

    #[test]
    fn an_account_that_was_not_listed_loses_nothing(mut observed in observed()) {
        observed.unlisted = observed.accounts.keys().cloned().collect();
        observed.accounts.clear();
        let plan = plan(&observed);
        prop_assert!(plan.delete.is_empty() && plan.gone.is_empty());
        prop_assert_eq!(&plan.memory.seen, &observed.memory.seen);
    }
}
