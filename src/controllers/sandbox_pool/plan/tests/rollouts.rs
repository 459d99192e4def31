//! How a changed template reaches the warm members.

use super::fixture::*;
use super::world::{BAD, World};
use crate::api::conditions::{Reason, Type};
use crate::api::{Phase, Rollout, RolloutStrategy, SandboxPool, SandboxPoolStatus};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::Member;
use crate::controllers::sandbox_pool::plan::{Plan, plan};
use crate::providers::Account;
use proptest::prelude::*;

fn rollout(strategy: RolloutStrategy, max_unavailable: Option<i32>) -> Rollout {
    Rollout { strategy, max_unavailable }
}

fn pool_with(want: i32, max: i32, creates: i32, rollout: Rollout) -> SandboxPool {
    let mut pool = pool(target(want), limits(max, creates));
    pool.spec.rollout = rollout;
    pool
}

fn old(slot: i32) -> Member {
    Member { updated: false, ..member(slot, Phase::Warm) }
}

fn progressing(status: &SandboxPoolStatus) -> (String, String, String) {
    let found = status.conditions.iter().find(|condition| condition.type_ == Type::Progressing.as_str());
    let found = found.expect("told");
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

fn tag(tag: &str) -> impl FnOnce(&mut SandboxPool) {
    let tag = tag.to_owned();
    move |pool| pool.spec.image.tag = Some(tag)
}

#[test]
fn on_replenish_leaves_the_warm_ones_and_says_so() {
    let pool = pool_with(2, 5, 2, Rollout::default());
    let plan = plan(&observed(pool, vec![old(0), member(1, Phase::Warm)], 100));
    assert!(created(&plan).is_empty() && deleted(&plan).is_empty());
    let status = plan.status.expect("status");
    assert_eq!((status.warm, status.updated), (2, 1));
    let (moving, _, message) = progressing(&status);
    assert_eq!(moving, "False");
    assert!(message.contains("1 of 2 warm sandboxes are of the newest template"), "{message}");
}

#[test]
fn recreate_takes_every_outdated_one_at_once_but_no_claimed_or_bound_one_s7() {
    let held = Member { updated: false, ..claimed(2, 50) };
    let bound = Member { bound: true, ..old(3) };
    let members = vec![old(0), old(1), held, bound, member(4, Phase::Warm)];
    let plan = plan(&observed(pool_with(3, 9, 2, rollout(RolloutStrategy::Recreate, None)), members, 100));
    assert_eq!(deleted(&plan), ["python-0", "python-1"]);
    assert_eq!(created(&plan).len(), 2, "refill begins at once");
}

#[test]
fn rolling_makes_the_stand_in_first_where_a_slot_is_free() {
    let mut facts = observed(pool_with(2, 3, 2, rollout(RolloutStrategy::Rolling, None)), vec![old(0), old(1)], 100);
    let first = plan(&facts);
    assert_eq!((created(&first), deleted(&first)), (vec![2], vec![]), "the limit leaves room for one");
    let (moving, reason, message) = progressing(&first.status.expect("status"));
    assert_eq!((moving.as_str(), reason.as_str()), ("True", "Updating"));
    assert_eq!(message, "0 of 2 warm sandboxes are of the newest template");
    facts.members.push(member(2, Phase::Warm));
    assert_eq!(deleted(&plan(&facts)).len(), 1, "one stands in for one");
}

#[test]
fn stand_ins_that_are_being_made_are_no_surplus_while_the_rollout_stands() {
    let shut = ProviderFact::Shut { reason: Reason::RateLimited, message: "wait".into() };
    let open = ProviderFact::Open { account: Account("team-1".into()) };
    for strategy in [RolloutStrategy::Rolling, RolloutStrategy::Recreate] {
        let members = vec![old(0), old(1), member(2, Phase::Booting), member(3, Phase::Creating)];
        let mut facts = observed(pool_with(2, 4, 2, rollout(strategy, None)), members, 100);
        facts.provider = shut.clone();
        assert!(deleted(&plan(&facts)).is_empty(), "the provider cannot be asked: {strategy:?}");
        facts.provider = open.clone();
        facts.members.push(failed(4, 99));
        assert_eq!(deleted(&plan(&facts)), ["python-4"], "only the failed one goes: {strategy:?}");
    }
}

#[test]
fn rolling_breaks_first_where_no_slot_is_free_and_only_as_far_as_allowed() {
    let members: Vec<Member> = (0..4).map(old).collect();
    for (unavailable, gone) in [(None, 1), (Some(1), 1), (Some(3), 3), (Some(9), 4)] {
        let pool = pool_with(4, 4, 2, rollout(RolloutStrategy::Rolling, unavailable));
        let plan = plan(&observed(pool, members.clone(), 100));
        assert_eq!(deleted(&plan).len(), gone, "{unavailable:?}");
    }
}

#[test]
fn with_nothing_to_spare_and_no_slot_it_waits_and_says_for_what() {
    let pool = pool_with(2, 3, 2, rollout(RolloutStrategy::Rolling, Some(0)));
    let plan = plan(&observed(pool, vec![old(0), old(1), claimed(2, 50)], 100));
    assert!(created(&plan).is_empty() && deleted(&plan).is_empty());
    let (_, _, message) = progressing(&plan.status.expect("status"));
    assert!(message.contains("waiting for a free slot: spec.limits.maxSandboxes is reached"), "{message}");
}

#[test]
fn one_that_is_still_being_made_goes_at_once() {
    let members = vec![member(0, Phase::Warm), Member { updated: false, ..member(1, Phase::Booting) }];
    for strategy in [RolloutStrategy::Rolling, RolloutStrategy::Recreate] {
        let plan = plan(&observed(pool_with(2, 5, 2, rollout(strategy, None)), members.clone(), 100));
        assert_eq!(deleted(&plan), ["python-1"], "{strategy:?}");
        assert_eq!(created(&plan).len(), 1);
    }
}

#[test]
fn a_surplus_member_of_an_older_template_goes_before_the_others() {
    let members = vec![member(0, Phase::Warm), old(1), member(2, Phase::Warm)];
    let plan = plan(&observed(pool_with(2, 5, 2, Rollout::default()), members, 1000));
    assert_eq!(deleted(&plan), ["python-1"]);
}

#[test]
fn a_bad_image_does_not_eat_the_warm_ones_that_work() {
    for (max, unavailable) in [(8, None), (4, Some(1)), (4, Some(2))] {
        let mut world = World::new(pool_with(4, max, 2, rollout(RolloutStrategy::Rolling, unavailable)));
        world.run(300);
        world.edit(tag(BAD));
        world.run(2 * 3600);
        let least = 4 - if max == 4 { unavailable.unwrap_or(1) as usize } else { 0 };
        assert!(world.warm() >= least, "{} of {least} warm", world.warm());
        let status = world.facts.pool.status.clone().expect("status");
        let (_, _, message) = progressing(&status);
        assert!(message.contains("waiting: the last sandboxes failed") || status.creating > 0, "{message}");
        world.edit(tag("2"));
        world.run(3600);
        assert_eq!(world.warm_tags(), ["2"; 4], "a good image gets through");
    }
}

#[test]
fn a_rollout_taken_back_keeps_the_ones_that_fit_again() {
    let mut world = World::new(pool_with(4, 8, 2, rollout(RolloutStrategy::Rolling, None)));
    world.run(300);
    let before: Vec<String> = world.facts.members.iter().map(|member| member.uid.clone()).collect();
    world.edit(tag(BAD));
    world.run(600);
    world.edit(tag("1"));
    world.run(1800);
    let after: Vec<String> = world.facts.members.iter().map(|member| member.uid.clone()).collect();
    assert_eq!(before, after);
}

/// What happens around a rollout.
#[derive(Clone, Debug)]
enum Happening {
    Wait(i64),
    Outage(i64),
    Tag(u8),
    Claim,
    Release,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (5_i64..90).prop_map(Happening::Wait),
        2 => (1_i64..90).prop_map(Happening::Outage),
        1 => (0_u8..3).prop_map(Happening::Tag),
        2 => Just(Happening::Claim),
        2 => Just(Happening::Release),
    ]
}

fn any_rollout() -> impl Strategy<Value = (i32, i32, i32, Rollout)> {
    (1_i32..6, 0_i32..6, 1_i32..4, 0_i32..3, 0_u8..3).prop_map(|(want, spare, creates, missing, kind)| {
        let (strategy, missing) = match kind {
            0 => (RolloutStrategy::OnReplenish, None),
            1 => (RolloutStrategy::Recreate, None),
            _ => (RolloutStrategy::Rolling, Some(if spare == 0 { missing.max(1) } else { missing })),
        };
        (want, want + spare, creates, rollout(strategy, missing))
    })
}

/// What a plan may not do, seen from the members before it.
fn holds(before: &[Member], plan: &Plan, pool: &SandboxPool) -> Result<(), TestCaseError> {
    let gone = deleted(plan);
    for member in before.iter().filter(|member| gone.contains(&member.name.as_str())) {
        prop_assert!(!member.claimed, "a claimed one went (S7)");
    }
    let spec = &pool.spec;
    let total = before.len() + created(plan).len();
    prop_assert!(created(plan).is_empty() || total <= spec.limits.max_sandboxes as usize, "above the cap (S5)");
    let warm = before.iter().filter(|member| member.is_warm()).count();
    let left = before.iter().filter(|member| member.is_warm() && !gone.contains(&member.name.as_str())).count();
    let level = spec.warm.target as usize;
    let least = match spec.rollout.strategy {
        RolloutStrategy::OnReplenish => level,
        RolloutStrategy::Recreate => 0,
        RolloutStrategy::Rolling => level.saturating_sub(spec.rollout.unavailable()),
    };
    prop_assert!(left >= warm.min(least), "{left} of {warm} left, {least} are owed");
    Ok(())
}

/// Nobody answers for a while: nothing is made, and no stand-in that is being made goes.
fn outage(world: &mut World, seconds: i64) -> Result<(), TestCaseError> {
    let open = world.facts.provider.clone();
    world.facts.provider = ProviderFact::Shut { reason: Reason::RateLimited, message: "wait".into() };
    let stand_in = |member: &Member| member.updated && member.is_creating() && !member.deleting;
    let waiting = world.facts.members.iter().filter(|member| stand_in(member)).count();
    let outdated = world.facts.members.iter().any(|member| member.is_free() && !member.updated);
    let plan = world.pass();
    prop_assert!(created(&plan).is_empty(), "made while the provider cannot be asked (S3)");
    if outdated && waiting > 0 {
        let after = world.facts.members.iter().filter(|member| stand_in(member)).count();
        prop_assert!(after >= waiting, "{after} of {waiting} stand-ins stay: {plan:?}");
    }
    world.wait(seconds);
    world.facts.provider = open;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_rollout_keeps_claims_cap_and_level_and_comes_to_an_end_s5_s7(
        (want, max, creates, rollout) in any_rollout(),
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let strategy = rollout.strategy;
        let mut world = World::new(pool_with(want, max, creates, rollout));
        world.run(300);
        for happening in happenings {
            match happening {
                Happening::Wait(seconds) => world.wait(seconds),
                Happening::Outage(seconds) => outage(&mut world, seconds)?,
                Happening::Tag(number) => world.edit(tag(if number == 0 { BAD } else { ["1", "2"][number as usize - 1] })),
                Happening::Claim => { world.claim(); }
                Happening::Release => world.release(),
            }
            let before = world.facts.members.clone();
            let updated = world.pass();
            holds(&before, &updated, &world.facts.pool)?;
        }
        while world.facts.members.iter().any(|member| member.claimed) {
            world.release();
            world.run(10);
        }
        world.edit(tag("3"));
        for _ in 0..16 {
            world.run(900);
            let level = world.warm() == want as usize;
            if level && (strategy == RolloutStrategy::OnReplenish || world.warm_tags().iter().all(|tag| *tag == "3")) {
                break;
            }
        }
        world.run(300);
        prop_assert_eq!(world.warm(), want as usize);
        if strategy != RolloutStrategy::OnReplenish {
            prop_assert!(world.warm_tags().iter().all(|tag| *tag == "3"), "{:?}", world.warm_tags());
        }
        let quiet = world.pass();
        prop_assert!(quiet.status.is_none(), "{:?}", quiet.status);
        prop_assert!(quiet.effects.is_empty(), "{:?}", quiet.effects);
    }
}
