//! The brakes one by one, sweep after sweep; what holds for any sweep is in [`always`].

mod always;
mod world;

use super::{Plan, plan};
use crate::api::orphans::{OrphanState, approval};
use crate::controllers::orphans::facts::{OrphanMode, Shown};
use std::time::Duration;
use world::{OLD, World, ids, instance, state};

#[test]
fn an_orphan_goes_in_the_second_sweep_and_not_before() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    let first = world.sweep();
    assert_eq!((ids(&first), first.fresh), (vec![], 1));
    assert_eq!(state(&first, "a"), OrphanState::Watching);
    let second = world.sweep();
    assert_eq!((ids(&second), second.fresh), (vec!["a"], 0));
    assert_eq!(state(&second, "a"), OrphanState::Deleting);
}

#[test]
fn a_restart_begins_to_count_again() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.sweep();
    world.observed.memory = Default::default();
    assert!(ids(&world.sweep()).is_empty());
}

#[test]
fn a_sandbox_seen_in_between_begins_the_count_again() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.sweep();
    world.observed.sandboxes.uids.insert("uid-a".to_owned());
    assert!(world.sweep().report.is_empty());
    world.observed.sandboxes.uids.remove("uid-a");
    assert!(ids(&world.sweep()).is_empty());
}

#[test]
fn another_owner_of_the_same_instance_is_another_orphan() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.sweep();
    world = world.instances([instance("a", 2)]);
    assert!(ids(&world.sweep()).is_empty());
    assert_eq!(ids(&world.sweep()), ["a"]);
}

#[test]
fn a_young_instance_is_left_until_it_is_old() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.age("a", Some(Duration::from_secs(10)));
    (0..5).for_each(|_| assert!(ids(&world.sweep()).is_empty()));
    world.age("a", Some(OLD));
    assert_eq!(ids(&world.sweep()), ["a"]);
}

#[test]
fn an_instance_of_unknown_age_is_as_old_as_we_know_it() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.age("a", None);
    world.sweep();
    world.observed.uptime += world.observed.policy.grace - Duration::from_secs(1);
    assert!(ids(&world.sweep()).is_empty());
    world.observed.uptime += Duration::from_secs(1);
    assert_eq!(ids(&world.sweep()), ["a"]);
}

#[test]
fn an_instance_of_an_earlier_attempt_goes_and_the_current_one_stays() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.observed.sandboxes.uids.insert("uid-a".to_owned());
    // A Sandbox that cannot be read tells no attempt.
    (0..3).for_each(|_| assert!(world.sweep().report.is_empty()));
    world.observed.sandboxes.attempts.insert("uid-a".to_owned(), 1);
    (0..3).for_each(|_| assert!(world.sweep().report.is_empty()));
    world.observed.sandboxes.attempts.insert("uid-a".to_owned(), 2);
    world.sweep();
    assert_eq!(ids(&world.sweep()), ["a"]);
}

#[test]
fn nine_orphans_go_and_ten_of_forty_nine_are_braked() {
    let mut world = World::with_sandboxes(39).instances((0..9).map(|n| instance(&format!("o{n}"), 1)));
    world.sweep();
    assert_eq!(ids(&world.sweep()).len(), 9);
    let mut world = World::with_sandboxes(39).instances((0..10).map(|n| instance(&format!("o{n}"), 1)));
    world.sweep();
    let braked = world.sweep();
    assert!(ids(&braked).is_empty());
    assert_eq!(state(&braked, "o3"), OrphanState::Braked);
    assert!(braked.report[0].reason.contains("sandbar orphans --approve"), "{}", braked.report[0].reason);
    // Ten of fifty are exactly a fifth.
    let mut world = World::with_sandboxes(40).instances((0..10).map(|n| instance(&format!("o{n}"), 1)));
    world.sweep();
    assert_eq!(ids(&world.sweep()).len(), 10);
}

#[test]
fn a_sweep_deletes_at_most_its_number_and_those_that_stay_do_not_block_the_rest() {
    let mut world = World::with_sandboxes(30).instances((0..5).map(|n| instance(&format!("o{n}"), 1)));
    world.observed.policy.per_sweep = 2;
    world.sweep();
    let mut asked: Vec<String> = Vec::new();
    for expected in [2, 2, 2] {
        let plan = world.sweep();
        assert_eq!(ids(&plan).len(), expected);
        asked.extend(ids(&plan).into_iter().map(str::to_owned));
        world.ask(&plan);
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 5, "each had its turn before any had a second one");
}

#[test]
fn without_any_sandbox_three_go_after_three_sweeps() {
    let mut world = World::with_sandboxes(0).instances((0..5).map(|n| instance(&format!("o{n}"), 1)));
    for _ in 0..2 {
        let plan = world.sweep();
        assert!(ids(&plan).is_empty());
        assert_eq!(state(&plan, "o0"), OrphanState::Watching);
    }
    assert_eq!(ids(&world.sweep()).len(), 3);
}

#[test]
fn that_there_is_no_sandbox_must_be_seen_three_times_even_of_an_old_orphan() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.observed.policy.per_sweep = 0;
    (0..5).for_each(|_| drop(world.sweep()));
    world.observed.policy.per_sweep = 10;
    world.observed.sandboxes.uids.clear();
    world.observed.accounts.values_mut().for_each(|instances| instances.retain(|instance| instance.id == "a"));
    assert!(ids(&world.sweep()).is_empty());
    assert!(ids(&world.sweep()).is_empty());
    assert_eq!(ids(&world.sweep()), ["a"]);
}

#[test]
fn an_approval_lifts_the_brakes_for_the_shown_ones_only_and_lasts_until_they_are_gone() {
    let mut world = World::with_sandboxes(0).instances((0..12).map(|n| instance(&format!("o{n:02}"), 1)));
    world.sweep();
    world.sweep();
    world.observed.shown.approval = Some(approval(&world.observed.shown.orphans));
    world = world.instances([instance("new", 1)]);
    let plan = world.sweep();
    assert_eq!(ids(&plan).len(), 12);
    assert!(!ids(&plan).contains(&"new"));
    world.ask(&plan);
    // The list is another one now, and a new process has read it.
    world.observed.shown.approval = None;
    world.observed.memory = Default::default();
    world.sweep();
    assert_eq!(ids(&world.sweep()).len(), 12);
}

#[test]
fn an_approval_of_another_list_is_none() {
    let mut world = World::with_sandboxes(0).instances((0..12).map(|n| instance(&format!("o{n:02}"), 1)));
    world.sweep();
    world.observed.shown.approval = Some(approval(&world.observed.shown.orphans[1..]));
    (0..5).for_each(|_| assert!(ids(&world.sweep()).is_empty()));
    world.observed.shown = Shown { orphans: Vec::new(), approval: Some(approval(&[])) };
    assert!(ids(&world.sweep()).is_empty(), "an empty list approves nothing");
}

#[test]
fn report_only_deletes_nothing_even_if_approved() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.observed.policy.mode = OrphanMode::Report;
    world.sweep();
    world.observed.shown.approval = Some(approval(&world.observed.shown.orphans));
    let plan = world.sweep();
    assert_eq!((ids(&plan), state(&plan, "a")), (vec![], OrphanState::Reported));
}

#[test]
fn what_was_asked_for_counts_as_gone_only_when_a_complete_listing_lacks_it() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.sweep();
    let plan = world.sweep();
    world.ask(&plan);
    let listed = std::mem::take(&mut world.observed.accounts);
    world.observed.unlisted = listed.keys().cloned().collect();
    let blind = world.sweep();
    assert!(blind.gone.is_empty() && blind.memory.seen.len() == 1 && blind.report.len() == 1);
    world.observed.accounts = listed;
    world.observed.accounts.values_mut().for_each(|instances| instances.retain(|instance| instance.id != "a"));
    let plan = world.sweep();
    assert_eq!((plan.gone.len(), plan.report.len(), plan.memory.seen.len()), (1, 0, 0));
}

#[test]
fn what_cannot_be_reached_any_more_stays_listed() {
    let mut world = World::with_sandboxes(30).instances([instance("a", 1)]);
    world.sweep();
    world.sweep();
    world.observed.accounts.clear();
    let plan = world.sweep();
    assert!(plan.delete.is_empty());
    assert_eq!(state(&plan, "a"), OrphanState::Watching);
    assert!(plan.report[0].reason.contains("no pool's credentials"), "{}", plan.report[0].reason);
}

#[test]
fn a_list_that_stays_reads_the_same_sweep_after_sweep_s10() {
    let mut world = World::with_sandboxes(0).instances((0..12).map(|n| instance(&format!("o{n}"), 1)));
    (0..4).for_each(|_| drop(world.sweep()));
    let plain = |plan: Plan| -> Vec<_> {
        plan.report.into_iter().map(|orphan| (orphan.id, orphan.state, orphan.reason, orphan.approved)).collect()
    };
    let before = plain(world.sweep());
    world.later(Duration::from_secs(7_200));
    assert_eq!(plain(world.sweep()), before);
    assert!(!before.is_empty());
}

#[test]
fn a_plan_is_a_function_of_what_was_observed() {
    let world = World::with_sandboxes(3).instances([instance("a", 1), instance("b", 2)]);
    assert_eq!(plan(&world.observed), plan(&world.observed));
}
