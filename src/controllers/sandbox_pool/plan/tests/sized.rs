//! A pool whose level follows demand.

use super::fixture::*;
use super::world::World;
use crate::api::{Activation, Phase, SandboxPool, SandboxPoolStatus, Sizing, SizingPolicy, SizingStatus, Warm};
use crate::controllers::sandbox_pool::facts::{Lost, Member, Observed};
use crate::controllers::sandbox_pool::plan::plan;
use std::sync::Arc;

fn sized(least: i32, most: Option<i32>) -> SandboxPool {
    let sizing = Sizing { policy: SizingPolicy::HitRate, hit_rate: Some(0.99) };
    pool(Warm { sizing, max: most, ..target(least) }, limits(40, 20))
}

fn sizing(world: &World) -> SizingStatus {
    world.facts.pool.status.as_ref().and_then(|status| status.sizing.clone()).expect("told")
}

/// Claims every `pause` seconds, each given back two minutes later; gives how often the status was written.
fn claim_for(world: &mut World, seconds: i64, pause: i64) -> usize {
    let mut writes = 0;
    for step in 0..seconds / 5 {
        world.wait(5);
        if step * 5 % pause == 0 {
            world.claim();
        }
        if step * 5 % pause == 0 && step * 5 > 120 {
            world.release();
        }
        writes += usize::from(world.pass().status.is_some());
    }
    writes
}

#[test]
fn demand_raises_the_level_and_the_status_says_why() {
    let mut world = World::new(sized(1, None));
    world.run(300);
    assert_eq!((world.warm(), sizing(&world).level), (1, 1));
    assert_eq!(sizing(&world).message, "no claims in the last hours: warm.target (1) is held");
    claim_for(&mut world, 3600, 15);
    let told = sizing(&world);
    assert!((8..=12).contains(&told.level), "10 for 4 a minute by chance, and a clock is no worse: {told:?}");
    assert!((3.5..4.5).contains(&told.claims_per_minute), "{told:?}");
    assert!((59.0..66.0).contains(&told.lead_time_seconds), "{told:?}");
    assert!(told.hit_rate.is_some_and(|rate| rate > 0.9), "{told:?}");
    for part in ["claims/min", "on their way on average", "99 % of them find a warm sandbox"] {
        assert!(told.message.contains(part), "{part}: {}", told.message);
    }
    let status = world.facts.pool.status.as_ref().expect("status");
    assert_eq!(status.desired_warm, told.level);
}

#[test]
fn without_claims_the_level_comes_down_in_steps_and_then_nothing_is_written_s10() {
    let mut world = World::new(sized(1, None));
    world.run(120);
    claim_for(&mut world, 3600, 15);
    while world.facts.members.iter().any(|member| member.claimed) {
        world.release();
        world.run(10);
    }
    let (mut level, mut changes) = (sizing(&world).level, 0);
    for _ in 0..3 * 720 {
        world.wait(5);
        world.pass();
        let next = sizing(&world).level;
        assert!(next <= level, "nobody claims, and it rises from {level} to {next}");
        changes += i32::from(next != level);
        level = next;
    }
    assert_eq!((level, world.warm()), (1, 1), "{:?}", sizing(&world));
    assert!(changes <= 20, "{changes} changes");
    for _ in 0..720 {
        world.wait(60);
        let quiet = world.pass();
        assert!(quiet.status.is_none() && quiet.effects.is_empty(), "{quiet:?}");
    }
}

#[test]
fn the_level_keeps_its_bounds() {
    let mut world = World::new(sized(3, Some(5)));
    world.run(120);
    claim_for(&mut world, 1800, 10);
    let told = sizing(&world);
    assert_eq!(told.level, 5);
    assert!(told.message.contains("the bound is 5 (warm.max, limits.maxSandboxes)"), "{}", told.message);
    // What a person writes holds at once.
    world.edit(|pool| pool.spec.warm.max = Some(4));
    world.run(10);
    assert_eq!(sizing(&world).level, 4);
    world.edit(|pool| (pool.spec.warm.target, pool.spec.warm.max) = (8, None));
    world.run(10);
    assert!(sizing(&world).level >= 8);
}

#[test]
fn creates_that_cannot_keep_up_are_named() {
    let mut pool = sized(1, Some(12));
    pool.spec.limits.max_concurrent_creates = 2;
    let start = settled(&observed(pool, vec![], 0));
    let waiting = Observed { now: at(1800), queue: (0..120).map(|number| at(number * 15)).collect(), ..start };
    let told = plan(&waiting).status.and_then(|status| status.sizing).expect("told");
    assert_eq!(told.level, 12);
    assert!(told.message.contains("limits.maxConcurrentCreates (2) makes at most 2.0/min"), "{}", told.message);
}

#[test]
fn a_steady_day_does_not_make_the_level_flap() {
    let mut world = World::new(sized(1, None));
    world.run(120);
    claim_for(&mut world, 3600, 15);
    let (mut level, mut turns, mut rising) = (sizing(&world).level, 0, true);
    for _ in 0..12 {
        claim_for(&mut world, 600, 15);
        let next = sizing(&world).level;
        if next != level && (next > level) != rising {
            (turns, rising) = (turns + 1, next > level);
        }
        level = next;
    }
    assert!(turns <= 2, "{turns} turns in two hours of steady demand");
}

fn facts(members: Vec<Member>, second: i64) -> Observed {
    observed(sized(1, None), members, second)
}

fn counted(observed: &Observed) -> (u32, u32) {
    let demand = observed.pool.status.as_ref().and_then(|status| status.demand.clone()).expect("a record");
    (demand.claims.0.iter().sum(), demand.misses.0.iter().sum())
}

fn settled(observed: &Observed) -> Observed {
    plan(observed).status.map_or(observed.clone(), |status| with_status(observed, status))
}

#[test]
fn a_claim_is_in_the_record_once_with_the_time_of_its_request() {
    let start = settled(&facts(vec![], 0));
    let waited = Member { asked_at: Some(at(40)), ..claimed(1, 100) };
    let mut seen = Observed { now: at(130), members: vec![claimed(0, 100), waited], ..start };
    for _ in 0..3 {
        seen = settled(&seen);
    }
    assert_eq!(counted(&seen), (2, 1), "the second waited a minute for a warm one");
}

#[test]
fn requests_that_got_nothing_are_demand_too_and_count_once() {
    let start = settled(&facts(vec![], 0));
    let lost = |number: i64| Lost { uid: format!("{number:08}-request"), asked: at(10 + number) };
    let mut seen = Observed { now: at(60), lost: (0..5).map(lost).collect(), ..start };
    for _ in 0..3 {
        seen = settled(&seen);
    }
    assert_eq!(counted(&seen), (5, 5));
    let later = settled(&Observed { now: at(90), lost: (3..8).map(lost).collect(), ..seen });
    assert_eq!(counted(&later), (8, 8));
    assert_eq!(later.pool.status.as_ref().and_then(|status| status.demand.as_ref()).expect("kept").lost.len(), 5);
}

#[test]
fn a_queue_raises_the_level_before_it_is_served() {
    let start = settled(&facts(vec![member(0, Phase::Warm)], 0));
    let waiting = Observed { now: at(400), queue: (300..340).map(at).collect(), ..start };
    let status = plan(&waiting).status.expect("status");
    assert!(status.sizing.as_ref().is_some_and(|sizing| sizing.level > 5), "{:?}", status.sizing);
    assert_eq!(status.demand.expect("kept").claims.0.iter().sum::<u32>(), 0, "they count when they are served");
}

#[test]
fn a_fixed_level_keeps_no_record() {
    let seen = settled(&facts(vec![claimed(0, 100)], 101));
    let mut fixed = seen.pool.as_ref().clone();
    fixed.spec.warm.sizing = Sizing::default();
    let after = settled(&Observed { pool: Arc::new(fixed), ..seen });
    let status = after.pool.status.as_ref().expect("status");
    assert!(status.demand.is_none() && status.sizing.is_none());
    assert_eq!(status.desired_warm, 1);
}

#[test]
fn on_first_claim_asks_for_nothing_before_demand_s11() {
    let mut idle = sized(2, None);
    idle.spec.warm.activation = Activation::OnFirstClaim;
    idle.status = Some(SandboxPoolStatus::default());
    let seen = settled(&observed(idle, vec![], 0));
    assert_eq!(seen.pool.status.as_ref().expect("status").desired_warm, 0);
}
