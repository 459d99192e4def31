//! What the pools of an account promise each other.

use super::fixture::{at, created, deleted, limits, member, observed, pool as spec, target, with_status};
use crate::api::{SandboxPoolStatus, Usd};
use crate::controllers::sandbox_pool::facts::AccountFact;
use crate::controllers::sandbox_pool::plan::{Effect, plan};
use crate::controllers::sandbox_pool::share::{Claimant, Grant, shares};
use crate::providers::accounts::AccountLimits;
use proptest::prelude::*;

fn pool(name: &str, busy: usize, free: usize, waiting: usize, level: usize) -> Claimant {
    let key = ("ns".to_owned(), name.to_owned());
    Claimant {
        key,
        has: busy + free,
        busy,
        waiting,
        level,
        most: 1000,
        price: Usd::nanos(1_000_000_000),
        unpriced: false,
    }
}

fn capped(cap: usize) -> AccountLimits {
    AccountLimits { max_sandboxes: Some(cap), ..AccountLimits::default() }
}

fn create(grants: &[Grant]) -> Vec<usize> {
    grants.iter().map(|grant| grant.create).collect()
}

#[test]
fn a_hungry_pool_leaves_a_small_one_its_part() {
    let grants = shares(&capped(10), (0, Usd::ZERO), &[pool("big", 0, 0, 0, 100), pool("small", 0, 0, 0, 2)]);
    assert_eq!(create(&grants), [8, 2]);
}

#[test]
fn waiting_requests_go_before_refill() {
    let grants = shares(&capped(10), (0, Usd::ZERO), &[pool("level", 0, 4, 0, 10), pool("asked", 2, 0, 4, 10)]);
    assert_eq!(create(&grants), [0, 4]);
}

#[test]
fn who_came_first_gives_back_what_nobody_holds() {
    let grants = shares(&capped(10), (0, Usd::ZERO), &[pool("first", 2, 8, 0, 8), pool("late", 0, 0, 0, 3)]);
    assert_eq!((grants[0].give_back, grants[1].create, grants[1].share), (3, 0, 3));
    let alone = shares(&capped(10), (0, Usd::ZERO), &[pool("first", 2, 8, 0, 8), pool("idle", 0, 0, 0, 0)]);
    assert_eq!(alone[0].give_back, 0);
}

#[test]
fn members_of_nobody_count_s5() {
    let grants = shares(&capped(10), (7, Usd::ZERO), &[pool("a", 0, 0, 0, 9)]);
    assert_eq!(create(&grants), [3]);
}

#[test]
fn an_hourly_budget_is_shared_too() {
    let limits = AccountLimits { hourly_usd: "7.5".parse().ok(), ..AccountLimits::default() };
    let dear = Claimant { price: "3".parse().expect("USD"), ..pool("dear", 0, 0, 0, 9) };
    let grants = shares(&limits, (0, Usd::ZERO), &[dear, pool("cheap", 0, 0, 0, 9)]);
    // 3 + 1, then 3 more are too much for what is left, and the cheap one goes on alone.
    assert_eq!(create(&grants), [1, 4]);
}

#[test]
fn a_pool_makes_its_share_and_wakes_who_has_more() {
    let own = Claimant { key: ("ns".to_owned(), "python".to_owned()), ..pool("", 0, 0, 0, 0) };
    let mut observed = observed(spec(target(3), limits(9, 9)), vec![], 100);
    let account = AccountFact {
        account: "team-1".into(),
        limits: capped(5),
        guessed: (Usd::ZERO, vec![]),
        strangers: (0, Usd::ZERO),
        pools: vec![own, pool("zebra", 1, 3, 0, 4)],
    };
    observed.account = Some(account.clone());
    let plan_of = |observed| plan(&observed);
    let planned = plan_of(observed.clone());
    assert_eq!(created(&planned), [0], "one is free, its share is more");
    assert!(planned.effects.contains(&Effect::WakePools { pools: vec![("ns".to_owned(), "zebra".to_owned())] }));
    let problem = Some("annotation is \"a few\"".to_owned());
    observed.account = Some(AccountFact { limits: AccountLimits { problem, ..capped(5) }, ..account });
    assert!(created(&plan_of(observed)).is_empty(), "what was meant as a bound is one");
}

fn usd(text: &str) -> Usd {
    text.parse().expect("USD")
}

/// An account of nine, or of seven dollars per hour, with the pool `python` in it and others.
fn account(limits: AccountLimits, own: Claimant, others: Vec<Claimant>) -> AccountFact {
    let own = Claimant { key: ("ns".to_owned(), "python".to_owned()), ..own };
    AccountFact {
        account: "team-1".into(),
        limits,
        guessed: (Usd::ZERO, vec![]),
        strangers: (0, Usd::ZERO),
        pools: std::iter::once(own).chain(others).collect(),
    }
}

fn hourly(text: &str) -> AccountLimits {
    AccountLimits { hourly_usd: text.parse().ok(), ..AccountLimits::default() }
}

#[test]
fn a_pool_without_a_price_stops_nobody_else_s5() {
    // Five sandboxes: two tell what they cost, three count as the dearest.
    let odd = pool("odd", 1, 4, 3, 9).without_price(&[usd("0.5"), usd("0.5")], usd("1"));
    assert_eq!(odd.price.times(5), usd("4"));
    let grants = shares(&hourly("7"), (0, Usd::ZERO), &[pool("good", 0, 0, 0, 9), odd.clone()]);
    assert_eq!(create(&grants), [3, 0], "seven less the four that are spent");
    // What has no price and no sandbox costs nothing.
    let empty = pool("empty", 0, 0, 2, 9).without_price(&[], usd("1"));
    let grants = shares(&hourly("7"), (0, Usd::ZERO), &[pool("good", 0, 0, 0, 9), empty]);
    assert_eq!(create(&grants), [7, 0]);
    let mut observed = observed(spec(target(3), limits(9, 9)), vec![], 100);
    observed.account = Some(account(hourly("7"), pool("", 0, 0, 0, 0), vec![odd.clone()]));
    assert_eq!(created(&plan(&observed)).len(), 3, "the others go on");
    observed.account = Some(account(hourly("7"), odd, vec![]));
    let planned = plan(&observed);
    assert!(created(&planned).is_empty(), "the one without a price gets nothing");
    let said = format!("{:?}", planned.status.expect("a status").conditions);
    assert!(said.contains("PriceUnknown") && said.contains("this pool's size"), "{said}");
}

#[test]
fn a_busy_pool_gives_back_what_others_have_a_right_to_one_by_one() {
    let members: Vec<_> = (0..6).map(|slot| member(slot, crate::api::Phase::Warm)).collect();
    let mut facts = observed(spec(target(3), limits(9, 9)), members, 1_000);
    let claimed = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(999));
    facts = with_status(&facts, SandboxPoolStatus { last_claim_time: Some(claimed), ..SandboxPoolStatus::default() });
    facts.account = Some(account(capped(6), pool("", 0, 6, 0, 6), vec![pool("poor", 0, 0, 3, 0)]));
    let planned = plan(&facts);
    assert_eq!(deleted(&planned).len(), 1, "however short ago its last claim was");
    assert!(planned.again.expect("soon") <= std::time::Duration::from_secs(1));
    facts = with_status(&facts, planned.status.expect("a status"));
    assert!(deleted(&plan(&facts)).is_empty(), "not two in one second");
    facts.now = at(1_001);
    assert_eq!(deleted(&plan(&facts)).len(), 1);
    // Nobody waits: it keeps its pace.
    facts.account = Some(account(capped(6), pool("", 0, 6, 0, 6), vec![]));
    assert!(deleted(&plan(&facts)).is_empty());
}

#[test]
fn what_a_short_pool_says_does_not_change_with_every_sandbox_of_another_s10() {
    let said = |free: usize| {
        let members: Vec<_> = (0..2).map(|slot| member(slot, crate::api::Phase::Warm)).collect();
        let mut facts = observed(spec(target(9), limits(9, 9)), members, 100);
        let other = pool("zebra", 4 - free, free, 0, 4);
        facts.account = Some(account(capped(6), pool("", 0, 2, 0, 9), vec![other]));
        plan(&facts).status.expect("a status").conditions.into_iter().map(|said| said.message).collect::<String>()
    };
    assert!(said(0).contains("fair share"), "{}", said(0));
    let strangers = |count: usize| {
        let mut facts = observed(spec(target(9), limits(9, 9)), vec![], 100);
        facts.account = Some(account(capped(1), pool("", 0, 0, 0, 9), vec![pool("zebra", count, 0, 0, 0)]));
        plan(&facts).status.expect("a status").conditions.into_iter().map(|said| said.message).collect::<String>()
    };
    assert_eq!(strangers(1), strangers(2));
}

fn claimant() -> impl Strategy<Value = Claimant> {
    (0_usize..6, 0_usize..6, 0_usize..5, 0_usize..12, 1_usize..15, 1_i64..4).prop_map(
        |(busy, free, waiting, level, most, price)| Claimant {
            most,
            price: Usd::nanos(price * 1_000_000_000),
            ..pool("", busy, free, waiting, level)
        },
    )
}

fn named(pools: Vec<Claimant>) -> Vec<Claimant> {
    let name = |(index, pool): (usize, Claimant)| Claimant { key: ("ns".to_owned(), format!("p{index}")), ..pool };
    pools.into_iter().enumerate().map(name).collect()
}

fn sum(grants: &[Grant]) -> usize {
    grants.iter().map(|grant| grant.create).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn grants_together_stay_inside_the_limits_s5(
        pools in prop::collection::vec(claimant(), 1..6).prop_map(named),
        cap in prop::option::of(0_usize..40), hourly in prop::option::of(0_i64..80), strangers in 0_usize..4
    ) {
        let limits = AccountLimits {
            max_sandboxes: cap,
            hourly_usd: hourly.map(|usd| Usd::nanos(usd * 1_000_000_000)),
            problem: None,
        };
        let grants = shares(&limits, (strangers, Usd::nanos(5)), &pools);
        let have: usize = pools.iter().map(|pool| pool.has).sum();
        prop_assert!(sum(&grants) == 0 || cap.is_none_or(|cap| have + strangers + sum(&grants) <= cap));
        let cost: Usd = pools.iter().zip(&grants).map(|(pool, grant)| pool.price.times(pool.has + grant.create)).sum();
        prop_assert!(sum(&grants) == 0 || limits.hourly_usd.is_none_or(|most| cost + Usd::nanos(5) <= most));
        for (pool, grant) in pools.iter().zip(&grants) {
            prop_assert!(grant.create == 0 || pool.has + grant.create <= pool.most.max(pool.busy));
            prop_assert!(grant.create == 0 || pool.has + grant.create <= grant.share);
            prop_assert!(grant.create == 0 || grant.give_back == 0);
            prop_assert!(grant.give_back <= pool.has - pool.busy, "what somebody holds is not given back");
        }
    }

    #[test]
    fn none_is_above_its_share_while_another_is_below_and_wants_more(
        pools in prop::collection::vec(claimant(), 2..6).prop_map(named), cap in 0_usize..40
    ) {
        let grants = shares(&capped(cap), (0, Usd::ZERO), &pools);
        let wants = |index: usize| pools[index].busy + pools[index].waiting + pools[index].level;
        for (poor, (pool, grant)) in pools.iter().zip(&grants).enumerate() {
            // One that got less than it wants got no less than anybody whose wish is as urgent.
            let short = grant.share < wants(poor).min(pool.most);
            for (other, theirs) in grants.iter().enumerate().filter(|(index, _)| short && *index != poor) {
                let kept = pools[other].busy + pools[other].waiting;
                prop_assert!(theirs.share <= grant.share + 1 || theirs.share <= kept, "{pool:?} and {other}: {grants:?}");
            }
            // And what others have above their shares comes back to it.
            let lacks = grant.share.saturating_sub(pool.has + grant.create);
            let back: usize = grants.iter().map(|grant| grant.give_back).sum();
            prop_assert!(lacks == 0 || back > 0 || pools.iter().zip(&grants).all(|(pool, grant)| pool.has <= grant.share));
        }
    }

    #[test]
    fn no_refill_while_a_request_waits_that_could_be_served(
        pools in prop::collection::vec(claimant(), 2..6).prop_map(named), cap in 0_usize..40
    ) {
        let grants = shares(&capped(cap), (0, Usd::ZERO), &pools);
        let urgent = |pool: &Claimant| (pool.busy + pool.waiting).min(pool.most.max(pool.busy));
        let unserved = pools.iter().zip(&grants).any(|(pool, grant)| pool.has + grant.create < urgent(pool));
        for (pool, grant) in pools.iter().zip(&grants) {
            prop_assert!(!unserved || grant.create == 0 || pool.has + grant.create <= urgent(pool));
        }
    }

    #[test]
    fn when_all_had_followed_their_grants_none_has_anything_to_give(
        pools in prop::collection::vec(claimant(), 1..6).prop_map(named), cap in 0_usize..40
    ) {
        let mut pools = pools;
        for _ in 0..100 {
            let grants = shares(&capped(cap), (0, Usd::ZERO), &pools);
            let still = grants.iter().all(|grant| grant.create == 0 && grant.give_back == 0);
            if still {
                return Ok(());
            }
            for (pool, grant) in pools.iter_mut().zip(&grants) {
                pool.has = pool.has + grant.create - grant.give_back;
            }
        }
        prop_assert!(false, "they never come to rest: {pools:?}");
    }
}
