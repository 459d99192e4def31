//! A shelf of warm sandboxes, claimed by seeded demand and refilled with a lead time.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Seconds of a simulated day.
pub(super) const DAY: f64 = 86_400.0;

/// How claims come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Claims per minute, on average over the day.
    pub per_minute: f64,
    /// By so much of the mean the rate swings over the day, 0–1.
    pub swing: f64,
    /// Claims come in bursts of logarithmically distributed size, so that their number in any time
    /// is negative binomial with this ratio of variance to mean; 1 = Poisson.
    pub dispersion: f64,
}

impl Shape {
    /// Claims per second at that second of the day.
    pub fn rate(&self, second: f64) -> f64 {
        let angle = 2.0 * std::f64::consts::PI * (second / DAY - 0.25);
        self.per_minute / 60.0 * (1.0 + self.swing * angle.sin())
    }

    /// Mean size of a burst.
    pub fn burst(&self) -> f64 {
        let share = 1.0 - 1.0 / self.dispersion;
        if share <= 0.0 { 1.0 } else { -share / ((1.0 - share) * (1.0 - share).ln()) }
    }

    /// The probability of a burst of this size (≥ 1).
    pub fn burst_of(&self, size: i32) -> f64 {
        let share = 1.0 - 1.0 / self.dispersion;
        if share <= 0.0 {
            return f64::from(u8::from(size == 1));
        }
        -share.powi(size) / (f64::from(size) * (1.0 - share).ln())
    }

    /// The seconds of a day's claims.
    pub fn claims(&self, seed: u64) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed);
        let highest = self.per_minute / 60.0 * (1.0 + self.swing) / self.burst();
        let (mut claims, mut time) = (Vec::new(), 0.0);
        loop {
            time += exponential(&mut rng) / highest;
            if time >= DAY {
                return claims;
            }
            if rng.random::<f64>() < self.rate(time) / self.burst() / highest {
                for _ in 0..self.draw_burst(&mut rng) {
                    claims.push(time);
                }
            }
        }
    }

    fn draw_burst(&self, rng: &mut StdRng) -> i32 {
        let (mut left, mut size) = (rng.random::<f64>(), 1);
        while size < 1000 && left > self.burst_of(size) {
            left -= self.burst_of(size);
            size += 1;
        }
        size
    }
}

fn exponential(rng: &mut StdRng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

/// Mean of [`lead_time`].
pub(super) const LEAD_TIME: f64 = 64.0;

/// Seconds to a new one: 40 to 88, 64 on average, as real creates take.
fn lead_time(rng: &mut StdRng) -> f64 {
    40.0 + 24.0 * (rng.random::<f64>() + rng.random::<f64>())
}

/// What a day came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    /// Share of the claims that found one.
    pub hit_rate: f64,
    /// The level, on average over time.
    pub level: f64,
    /// How often the level went up, and down.
    pub moves: (u32, u32),
}

/// What decides the level.
pub(super) trait Keeper {
    /// A claim came; it found a warm one or not.
    fn claimed(&mut self, second: f64, missed: bool);
    /// One became ready so many seconds after its order.
    fn made(&mut self, lead_time: f64);
    /// The level from now on.
    fn level(&mut self, second: f64) -> i32;
}

/// Between two decisions without a claim, in seconds.
const PASS: f64 = 15.0;

/// One day. With so many creates at once.
pub(super) fn day(shape: &Shape, seed: u64, creates: usize, keeper: &mut dyn Keeper) -> Day {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut claims = shape.claims(seed).into_iter().peekable();
    let mut shelf = Shelf { warm: 0, waiting: 0, creating: BinaryHeap::new(), ordered: 0, creates };
    let (mut total, mut hits, mut area, mut level, mut moves) = (0_u32, 0_u32, 0.0, 0, (0, 0));
    for pass in 0..(DAY / PASS) as i64 {
        let end = pass as f64 * PASS + PASS;
        loop {
            let claim = claims.peek().copied().filter(|claim| *claim < end);
            shelf.advance(claim.unwrap_or(end), &mut rng, keeper);
            let Some(claim) = claim else { break };
            claims.next();
            let missed = !shelf.take();
            (total, hits) = (total + 1, hits + u32::from(!missed));
            keeper.claimed(claim, missed);
            shelf.order(level, claim, &mut rng);
        }
        area += f64::from(level) * PASS;
        let next = keeper.level(end);
        moves = (moves.0 + u32::from(next > level), moves.1 + u32::from(next < level));
        level = next;
        shelf.order(level, end, &mut rng);
    }
    Day { hit_rate: f64::from(hits) / f64::from(total.max(1)), level: area / DAY, moves }
}

struct Shelf {
    warm: usize,
    waiting: usize,
    /// When each is ready, and how long it took since its order, in nanoseconds.
    creating: BinaryHeap<Reverse<(u64, u64)>>,
    /// Orders that wait for a create to end.
    ordered: usize,
    creates: usize,
}

const NANOS: f64 = 1e9;

impl Shelf {
    /// Somebody takes one; false if none is warm.
    fn take(&mut self) -> bool {
        match self.warm.checked_sub(1) {
            Some(left) => {
                self.warm = left;
                true
            }
            None => {
                self.waiting += 1;
                false
            }
        }
    }

    /// Orders what is missing from the level.
    fn order(&mut self, level: i32, now: f64, rng: &mut StdRng) {
        let wanted = usize::try_from(level).unwrap_or_default() + self.waiting;
        let there = self.warm + self.creating.len() + self.ordered;
        self.ordered += wanted.saturating_sub(there);
        self.begin(now, rng);
    }

    fn begin(&mut self, now: f64, rng: &mut StdRng) {
        while self.ordered > 0 && self.creating.len() < self.creates {
            self.ordered -= 1;
            let took = lead_time(rng);
            self.creating.push(Reverse((((now + took) * NANOS) as u64, (took * NANOS) as u64)));
        }
    }

    fn advance(&mut self, until: f64, rng: &mut StdRng, keeper: &mut dyn Keeper) {
        while let Some(Reverse((ready, took))) = self.creating.peek().copied() {
            let ready = ready as f64 / NANOS;
            if ready > until {
                break;
            }
            self.creating.pop();
            keeper.made(took as f64 / NANOS);
            match self.waiting.checked_sub(1) {
                Some(left) => self.waiting = left,
                None => self.warm += 1,
            }
            self.begin(ready, rng);
        }
    }
}
