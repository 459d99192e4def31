//! A simulated day of demand: the level that the rule finds from what it measures, against the
//! smallest level that would do for somebody who knows the demand.

use super::shop::{DAY, Day, Keeper, LEAD_TIME, Shape, day};
use crate::api::Demand;
use crate::controllers::sandbox_pool::sizing::demand::Measured;
use crate::controllers::sandbox_pool::sizing::settle::{Asked, HEADROOM, settle};
use crate::controllers::sandbox_pool::sizing::stock::base_stock;
use jiff::{SignedDuration, Timestamp};

fn at(second: f64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second as i64).expect("in range")
}

/// The rule, fed with what a pool sees.
struct Rule {
    demand: Demand,
    hit_rate: f64,
    creates: i32,
    level: i32,
    since: Timestamp,
}

impl Rule {
    fn new(hit_rate: f64, creates: i32) -> Self {
        Self { demand: Demand::starting(at(0.0)), hit_rate, creates, level: 1, since: Timestamp::MIN }
    }
}

impl Keeper for Rule {
    fn claimed(&mut self, second: f64, missed: bool) {
        self.demand.count(at(second), missed);
    }

    fn made(&mut self, lead_time: f64) {
        self.demand.count_lead_time(SignedDuration::try_from_secs_f64(lead_time).expect("in range"));
    }

    fn level(&mut self, second: f64) -> i32 {
        let lead_time = self.demand.lead_time_seconds.unwrap_or(60.0);
        let level = |measured: &Measured| base_stock(measured, self.hit_rate, self.creates).unwrap_or(1000);
        let asked = self.demand.measure(at(second), lead_time).map_or(Asked { now: 0, with_headroom: 0 }, |measured| {
            let more = Measured { rate: measured.rate * HEADROOM, ..measured };
            Asked { now: level(&measured), with_headroom: level(&more) }
        });
        let next = settle(self.level, self.since, at(second), asked, 1, 1000);
        if next != self.level {
            (self.level, self.since) = (next, at(second));
        }
        self.level
    }
}

/// Somebody who knows the demand, and holds so many fewer than the smallest level that does.
struct Oracle {
    levels: Vec<i32>,
    fewer: i32,
}

/// The oracle knows the rate at the middle of so many seconds.
const SLOT: f64 = 1200.0;

impl Keeper for Oracle {
    fn claimed(&mut self, _: f64, _: bool) {}
    fn made(&mut self, _: f64) {}

    fn level(&mut self, second: f64) -> i32 {
        self.levels[((second / SLOT) as usize).min(self.levels.len() - 1)] - self.fewer
    }
}

fn smallest_levels(shape: &Shape, hit_rate: f64) -> Vec<i32> {
    let load = |slot: i64| shape.rate((slot as f64 + 0.5) * SLOT) * LEAD_TIME;
    (0..(DAY / SLOT) as i64).map(|slot| smallest(shape, load(slot), hit_rate)).collect()
}

/// The smallest level at which a claim finds a warm one often enough, where `load` claims come in
/// a lead time: term by term, without the library that the rule uses. A claim comes after those of
/// the lead time before, and after some of its own burst.
fn smallest(shape: &Shape, load: f64, hit_rate: f64) -> i32 {
    let before = claims_in(shape, load, 400);
    let place: Vec<f64> =
        (0..100).map(|ahead| (ahead + 1..400).map(|size| shape.burst_of(size)).sum::<f64>() / shape.burst()).collect();
    let mut found = 0.0;
    for level in 1..400 {
        let others = level - 1;
        found += (0..=others.min(99)).map(|ahead| place[ahead] * before[others - ahead]).sum::<f64>();
        if found >= hit_rate {
            return i32::try_from(level).expect("small");
        }
    }
    unreachable!("levels up to 400 are enough for these days")
}

/// Probabilities of 0, 1, … claims: Panjer's recursion for a Poisson number of bursts.
fn claims_in(shape: &Shape, load: f64, most: i32) -> Vec<f64> {
    let bursts = load / shape.burst();
    let sizes: Vec<f64> = (0..=most).map(|size| if size == 0 { 0.0 } else { shape.burst_of(size) }).collect();
    let mut chances = vec![(-bursts).exp()];
    for claims in 1..=most as usize {
        let sum: f64 = (1..=claims).map(|size| size as f64 * sizes[size] * chances[claims - size]).sum();
        chances.push(bursts / claims as f64 * sum);
    }
    chances
}

fn mean(days: &[Day], what: impl Fn(&Day) -> f64) -> f64 {
    days.iter().map(what).sum::<f64>() / days.len() as f64
}

/// Holds the rule against the oracle over some days of one shape.
fn compare(shape: Shape, hit_rate: f64) {
    let seeds = 1..4;
    let run = |make: &dyn Fn() -> Box<dyn Keeper>| -> Vec<Day> {
        seeds.clone().map(|seed| day(&shape, seed, 1000, &mut *make())).collect()
    };
    let rule = run(&|| Box::new(Rule::new(hit_rate, 1000)));
    let levels = smallest_levels(&shape, hit_rate);
    let oracle = run(&|| Box::new(Oracle { levels: levels.clone(), fewer: 0 }));
    let fewer = run(&|| Box::new(Oracle { levels: levels.clone(), fewer: 2 }));
    let (hits, level) = (mean(&rule, |day| day.hit_rate), mean(&rule, |day| day.level));
    let (enough, least) = (mean(&oracle, |day| day.hit_rate), mean(&oracle, |day| day.level));
    println!("{shape:?}: hit rate {hits:.4}, level {level:.2}; smallest {least:.2} with {enough:.4}; {rule:?}");
    // The yardstick is what it says: it does, and two fewer do not (one is within the noise of three days).
    assert!(enough >= hit_rate - 0.002, "{oracle:?}");
    assert!(mean(&fewer, |day| day.hit_rate) < hit_rate, "{fewer:?}");
    assert!(hits >= hit_rate, "{hits} for {shape:?}");
    assert!(level <= 1.1 * least, "{level} against {least} for {shape:?}");
    for day in rule {
        let down = f64::from(day.moves.1);
        assert!(down <= 0.5 * 288.0, "it may go down every five minutes and does not: {day:?}");
    }
}

#[test]
fn a_day_of_claims_by_chance_is_served_with_the_smallest_level() {
    compare(Shape { per_minute: 8.0, swing: 0.8, dispersion: 1.0 }, 0.99);
}

#[test]
fn a_day_of_bursts_is_served_with_the_smallest_level() {
    compare(Shape { per_minute: 8.0, swing: 0.7, dispersion: 3.0 }, 0.99);
}

#[test]
fn a_modest_hit_rate_is_not_overdone() {
    compare(Shape { per_minute: 6.0, swing: 0.5, dispersion: 2.0 }, 0.95);
}

#[test]
fn where_creates_run_a_few_at_a_time_the_level_makes_up_for_it() {
    // 2.1 are on their way on average, 3 may be.
    let shape = Shape { per_minute: 2.0, swing: 0.1, dispersion: 1.0 };
    let run = |told: i32| day(&shape, 5, 3, &mut Rule::new(0.95, told));
    let (told, untold) = (run(3), run(1000));
    println!("told: {told:?}, untold: {untold:?}");
    assert!(told.hit_rate >= 0.95, "{told:?}");
    assert!(untold.hit_rate < told.hit_rate, "{untold:?}");
}
