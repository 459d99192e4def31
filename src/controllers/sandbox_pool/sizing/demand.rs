//! Claims, counted per interval, and what they say about the demand of the next minutes.

use crate::api::Demand;
use crate::api::conditions::whole_second;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Length of an interval, in seconds: half of a usual lead time.
pub const INTERVAL: i64 = 30;
/// Intervals that are kept: two hours, in which the shape of demand is taken to last.
pub const KEPT: usize = 240;
/// The rate is that of the last half hour: a longer time would lag behind a morning's rise.
const RECENT: usize = 60;
/// With fewer claims than this in it, more of the past is looked at: chance would rule.
const ENOUGH: u32 = 60;
/// A record younger than this says little: its claims count as if they had come in so many seconds.
const YOUNG: f64 = 300.0;
/// Variance is measured around the mean of blocks of so many intervals: what changes within the
/// hour is no burst.
const BLOCK: usize = 30;
/// Weight, in claims, of the belief that claims come by chance.
const CHANCE: f64 = 20.0;
/// Lead times in the mean before it only drifts.
const LEAD_TIMES: i32 = 50;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Claims per second.
    pub rate: f64,
    /// Variance of the claims during a lead time over their mean, ≥ 1.
    pub dispersion: f64,
    /// From a member's creation until it is ready, in seconds.
    pub lead_time: f64,
}

impl Measured {
    /// Claims during one lead time, on average.
    pub fn load(&self) -> f64 {
        self.rate * self.lead_time
    }
}

fn interval(time: Timestamp) -> i64 {
    time.as_second().div_euclid(INTERVAL)
}

fn begin(interval: i64) -> Time {
    Time(Timestamp::from_second(interval * INTERVAL).unwrap_or_default())
}

impl Demand {
    /// Nothing counted yet.
    pub fn starting(now: Timestamp) -> Self {
        let latest = begin(interval(now));
        Self {
            since: Time(whole_second(now)),
            latest,
            claims: Default::default(),
            misses: Default::default(),
            lead_time_seconds: None,
            lead_times: 0,
            lost: Vec::new(),
        }
    }

    /// Counts a claim made then. One from before the count, or of long ago, is left out.
    pub fn count(&mut self, time: Timestamp, missed: bool) {
        let (at, latest) = (interval(time), interval(self.latest.0));
        if time < self.since.0 || latest - at >= KEPT as i64 {
            return;
        }
        let newer = usize::try_from(at - latest).unwrap_or_default().min(KEPT);
        let back = usize::try_from(latest - at).unwrap_or_default();
        self.latest = begin(at.max(latest));
        for counts in [&mut self.claims.0, &mut self.misses.0] {
            if counts.is_empty() {
                counts.push(0);
            }
            counts.extend(std::iter::repeat_n(0, newer));
            while counts.len() <= back {
                counts.insert(0, 0);
            }
            let surplus = counts.len().saturating_sub(KEPT);
            counts.drain(..surplus);
        }
        bump(&mut self.claims.0, back);
        if missed {
            bump(&mut self.misses.0, back);
        }
    }

    /// Takes in how long a member took to be ready.
    pub fn count_lead_time(&mut self, took: SignedDuration) {
        let seconds = took.as_secs_f64();
        let mean = self.lead_time_seconds.unwrap_or_default();
        self.lead_times = (self.lead_times + 1).min(LEAD_TIMES);
        let moved = mean + (seconds - mean) / f64::from(self.lead_times);
        self.lead_time_seconds = Some(rounded(moved, 1000.0));
    }

    /// Share of the counted claims that found a warm sandbox.
    pub fn hit_rate(&self) -> Option<f64> {
        let total: u32 = self.claims.0.iter().sum();
        let missed: u32 = self.misses.0.iter().sum();
        (total > 0).then(|| rounded(1.0 - f64::from(missed) / f64::from(total), 1000.0))
    }

    /// What the counts say at `now`; none without claims in them.
    pub fn measure(&self, now: Timestamp, lead_time: f64) -> Option<Measured> {
        let counts = self.counts_at(now);
        let part = (now.as_second().rem_euclid(INTERVAL)) as f64 / INTERVAL as f64;
        let known = usize::try_from(interval(now) - interval(self.since.0)).unwrap_or_default();
        let (mut claims, mut intervals) = (0, 0);
        for (index, count) in counts.iter().rev().enumerate().take(known + 1) {
            if index > RECENT && claims >= ENOUGH {
                break;
            }
            claims += count;
            intervals = index;
        }
        if claims == 0 {
            return None;
        }
        let seconds = ((intervals as f64 + part) * INTERVAL as f64).max(YOUNG);
        let rate = f64::from(claims) / seconds;
        // The end of demand is no burst: what came after the last claim does not count as one.
        let silent = usize::try_from(interval(now) - interval(self.latest.0)).unwrap_or_default();
        let (first, last) = (KEPT - known.min(KEPT), (KEPT + 1).saturating_sub(silent).min(KEPT));
        let past = &counts[first..last.max(first)];
        // The rate itself is known only as well as its claims tell.
        let unsure = 1.0 + rate * lead_time / (f64::from(claims) + 0.5);
        Some(Measured { rate, dispersion: dispersion(past, lead_time) * unsure, lead_time })
    }

    /// Claims per interval up to `now`: [`KEPT`] whole ones and the one that goes on.
    fn counts_at(&self, now: Timestamp) -> Vec<u32> {
        let mut counts = vec![0; KEPT + 1];
        let age = interval(now) - interval(self.latest.0);
        for (back, count) in self.claims.0.iter().rev().enumerate() {
            let place = usize::try_from(KEPT as i64 - age - back as i64).ok();
            if let Some(slot) = place.and_then(|place| counts.get_mut(place)) {
                *slot = *count;
            }
        }
        counts
    }
}

fn bump(counts: &mut [u32], back: usize) {
    let place = counts.len() - 1 - back;
    counts[place] = counts[place].saturating_add(1);
}

/// Variance over mean of the claims in windows as long as a lead time, at least 1. A window is
/// part of its block's mean, which takes `window ÷ block` off the variance: put back.
fn dispersion(counts: &[u32], lead_time: f64) -> f64 {
    let window = ((lead_time / INTERVAL as f64).round() as usize).clamp(1, BLOCK / 3);
    let (mut variance, mut mean) = (CHANCE, CHANCE);
    for block in counts.rchunks_exact(BLOCK) {
        let expected = block.iter().map(|count| f64::from(*count)).sum::<f64>() * window as f64 / BLOCK as f64;
        let squares = block.windows(window).map(|sums| {
            let sum: f64 = sums.iter().map(|count| f64::from(*count)).sum();
            (sum - expected).powi(2)
        });
        variance += squares.sum::<f64>() / (1.0 - window as f64 / BLOCK as f64);
        mean += expected * (BLOCK - window + 1) as f64;
    }
    (variance / mean).max(1.0)
}

/// At most three decimals, so that what is written reads back as the same number.
pub fn rounded(number: f64, scale: f64) -> f64 {
    (number * scale).round() / scale
}
