//! The rule piece by piece.

use crate::api::Demand;
use crate::controllers::sandbox_pool::sizing::demand::{INTERVAL, KEPT, Measured};
use crate::controllers::sandbox_pool::sizing::settle::{Asked, HEADROOM, PATIENCE, settle};
use crate::controllers::sandbox_pool::sizing::stock::base_stock;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

/// As many creates at once as anybody wants.
const FREE: i32 = 1000;

fn chance(per_minute: f64, lead_time: f64) -> Measured {
    Measured { rate: per_minute / 60.0, dispersion: 1.0, lead_time }
}

#[test]
fn levels_for_claims_by_chance_are_those_of_the_base_stock_table() {
    for (per_minute, lead_time, s95, s99) in
        [(1.0, 64.0, 4, 5), (4.0, 30.0, 6, 7), (4.0, 64.0, 9, 11), (30.0, 64.0, 43, 47)]
    {
        let measured = chance(per_minute, lead_time);
        assert_eq!(base_stock(&measured, 0.95, FREE), Some(s95), "{measured:?}");
        assert_eq!(base_stock(&measured, 0.99, FREE), Some(s99), "{measured:?}");
    }
}

#[test]
fn creates_that_cannot_keep_up_have_no_level() {
    assert_eq!(base_stock(&chance(2.0, 64.0), 0.9, 2), None, "2.1 on their way, 2 at once");
    let (tight, free) = (base_stock(&chance(1.5, 64.0), 0.99, 2), base_stock(&chance(1.5, 64.0), 0.99, FREE));
    assert!(tight > free, "{tight:?} {free:?}");
}

fn measured() -> impl Strategy<Value = Measured> {
    (0.001_f64..2.0, 1.0_f64..12.0, 1.0_f64..300.0).prop_map(|(rate, dispersion, lead_time)| Measured {
        rate,
        dispersion,
        lead_time,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn more_demand_never_asks_for_less(one in measured(), more in 1.0_f64..2.0, hit_rate in 0.5_f64..0.999, creates in 1_i32..50) {
        // None: no level is enough, which is more than any.
        let level = |measured: &Measured, hit_rate: f64| base_stock(measured, hit_rate, creates).unwrap_or(i32::MAX);
        let base = level(&one, hit_rate);
        prop_assert!(base >= 1);
        let (faster, slower) = (Measured { rate: one.rate * more, ..one }, Measured { lead_time: one.lead_time * more, ..one });
        prop_assert!(level(&faster, hit_rate) >= base);
        prop_assert!(level(&slower, hit_rate) >= base);
        prop_assert!(level(&one, 1.0 - (1.0 - hit_rate) / more) >= base);
        prop_assert!(base_stock(&one, hit_rate, FREE).is_none_or(|free| free <= base));
    }

    #[test]
    fn burstier_demand_never_asks_for_less_at_high_hit_rates(one in measured(), more in 1.0_f64..2.0) {
        let burstier = Measured { dispersion: one.dispersion * more, ..one };
        prop_assert!(base_stock(&burstier, 0.99, FREE) >= base_stock(&one, 0.99, FREE));
    }

    #[test]
    fn the_level_keeps_its_bounds_whatever_is_asked(
        current in 0_i32..2000, now in 0_i32..2000, more in 0_i32..100, least in 0_i32..500, room in 0_i32..500, rested in 0_i64..1000,
    ) {
        let asked = Asked { now, with_headroom: now + more };
        let level = settle(current, at(0), at(rested), asked, least, least + room);
        prop_assert!((least..=least + room).contains(&level));
        // Once it is there, it stays as long as the same is asked and no step down is due.
        prop_assert_eq!(settle(level, at(rested), at(rested), asked, least, least + room), level);
    }

    #[test]
    fn noise_of_some_percent_never_moves_the_level_down(
        one in measured(), noise in prop::collection::vec(0.96_f64..1.04, 1..60), minutes in 1_i64..30,
    ) {
        let ask = |share: f64| {
            let now = Measured { rate: one.rate * share, ..one };
            let more = Measured { rate: now.rate * HEADROOM, ..now };
            Asked { now: base_stock(&now, 0.99, FREE).unwrap(), with_headroom: base_stock(&more, 0.99, FREE).unwrap() }
        };
        let (mut level, mut since) = (ask(1.0).now, at(0));
        for (step, share) in noise.into_iter().enumerate() {
            let now = at((step as i64 + 1) * minutes * 60);
            let next = settle(level, since, now, ask(share), 0, 10_000);
            prop_assert!(next >= level, "{level} to {next} for noise");
            if next != level {
                (level, since) = (next, now);
            }
        }
    }

    #[test]
    fn without_demand_it_comes_down_step_by_step_to_the_lower_bound(start in 1_i32..1000, least in 0_i32..10) {
        let (mut level, mut time, mut steps) = (start, at(0), 0);
        while level > least {
            time += PATIENCE;
            let next = settle(level, time - PATIENCE, time, Asked { now: 0, with_headroom: 0 }, least, 1000);
            prop_assert!(next < level && level - next <= (level / 10).max(1));
            (level, steps) = (next, steps + 1);
            prop_assert!(steps < 100);
        }
    }

    #[test]
    fn every_claim_is_in_the_record_once_and_the_record_is_bounded(
        mut seconds in prop::collection::vec((0_i64..7000, any::<bool>()), 0..200), shuffle in any::<u64>(),
    ) {
        let mut demand = Demand::starting(at(0));
        // Requests are served out of order.
        seconds.sort_by_key(|(second, _)| (*second as u64).wrapping_mul(shuffle | 1) % 997);
        for (second, missed) in &seconds {
            demand.count(at(*second), *missed);
        }
        prop_assert!(demand.claims.0.len() <= KEPT && demand.misses.0.len() == demand.claims.0.len());
        prop_assert_eq!(demand.claims.0.iter().sum::<u32>() as usize, seconds.len());
        prop_assert_eq!(demand.misses.0.iter().sum::<u32>() as usize, seconds.iter().filter(|(_, missed)| *missed).count());
        let text = serde_json::to_string(&demand).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Demand>(&text).expect("a record"), demand);
    }

    #[test]
    fn a_lead_time_reads_back_as_it_was_written(seconds in prop::collection::vec(1_i64..600_000, 1..60)) {
        let mut demand = Demand::starting(at(0));
        for millis in seconds {
            demand.count_lead_time(SignedDuration::from_millis(millis));
        }
        let text = serde_json::to_string(&demand).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Demand>(&text).expect("a record"), demand);
    }
}

#[test]
fn steady_claims_are_measured_as_they_are() {
    let mut demand = Demand::starting(at(0));
    for second in (0..7200).step_by(15) {
        demand.count(at(second), second % 60 == 0);
    }
    let measured = demand.measure(at(7200), 60.0).expect("claims");
    assert!((measured.rate * 60.0 - 4.0).abs() < 0.1, "{measured:?}");
    assert!(measured.dispersion < 1.1, "a clock has no bursts: {measured:?}");
    assert_eq!(demand.hit_rate(), Some(0.75));
}

#[test]
fn bursts_are_measured_as_bursts() {
    let mut demand = Demand::starting(at(0));
    for second in (0..7200).step_by(300) {
        (0..20).for_each(|_| demand.count(at(second + 7), false));
    }
    let measured = demand.measure(at(7200), 60.0).expect("claims");
    assert!((measured.rate * 60.0 - 4.0).abs() < 0.2, "{measured:?}");
    assert!(measured.dispersion > 8.0, "{measured:?}");
}

#[test]
fn old_claims_are_forgotten() {
    let mut demand = Demand::starting(at(0));
    (0..50).for_each(|second| demand.count(at(second), false));
    assert!(demand.measure(at(3600), 60.0).is_some());
    assert_eq!(demand.measure(at((KEPT as i64 + 3) * INTERVAL), 60.0), None);
    let rates: Vec<f64> =
        (1..200).filter_map(|n| demand.measure(at(60 + n * 30), 60.0)).map(|seen| seen.rate).collect();
    assert!(rates.windows(2).all(|pair| pair[1] <= pair[0]), "without claims the rate only falls: {rates:?}");
}

#[test]
fn one_claim_in_a_young_record_is_no_storm() {
    let mut demand = Demand::starting(at(0));
    demand.count(at(2), false);
    let measured = demand.measure(at(3), 60.0).expect("a claim");
    assert!(measured.rate * 60.0 < 0.21, "{measured:?}");
}
