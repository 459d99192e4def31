//! When to try an object again that failed: kube's controller has no back-off
//! per object, so ours counts failures by UID.

use super::ticks::Ticks;
use crate::api::hash_share;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// Each delay is spread by so much, so that objects that failed together do
/// not come back together.
const JITTER: f64 = 0.2;
/// A UID not heard of for so long is gone or well: keep memory bounded.
const FORGET_AFTER: Duration = Duration::from_secs(15 * 60);

/// Exponential error back-off by UID: 1 s, doubled with every failure in a row
/// up to 5 min, each ±20 %. Clones share the counts.
#[derive(Clone, Debug)]
pub struct Backoff {
    ticks: Ticks,
    failures: Arc<Mutex<HashMap<String, Failures>>>,
}

#[derive(Debug)]
struct Failures {
    in_a_row: u32,
    last: Duration,
}

impl Backoff {
    /// An empty back-off on this clock.
    pub fn new(ticks: Ticks) -> Self {
        Self { ticks, failures: Arc::default() }
    }

    /// Counts one failure of this object; gives the delay before its next try
    /// (0.8 s to 5 min).
    pub fn failed(&self, uid: &str) -> Duration {
        let now = self.ticks.now();
        let in_a_row = {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if !failures.contains_key(uid) {
                failures.retain(|_, entry| now.saturating_sub(entry.last) < FORGET_AFTER);
            }
            let entry = failures.entry(uid.to_owned()).or_insert(Failures { in_a_row: 0, last: now });
            entry.in_a_row = entry.in_a_row.saturating_add(1);
            entry.last = now;
            entry.in_a_row
        };
        let doubled = FIRST.saturating_mul(1u32.checked_shl(in_a_row - 1).unwrap_or(u32::MAX)).min(LONGEST);
        // By object and turn, not by chance: a simulation must run twice the same.
        let share = hash_share(&format!("{uid}/{in_a_row}"));
        doubled.mul_f64(1.0 - JITTER + 2.0 * JITTER * share).min(LONGEST)
    }

    /// Forgets the failures of this object: it succeeded, or is gone.
    pub fn succeeded(&self, uid: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// How many objects are backing off.
    pub fn len(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether no object is backing off.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(delay: Duration, nominal: u64) -> bool {
        let nominal = Duration::from_secs(nominal);
        delay >= nominal.mul_f64(0.79) && delay <= nominal.mul_f64(1.21)
    }

    #[test]
    fn delay_doubles_from_one_second_to_five_minutes() {
        let backoff = Backoff::new(Ticks::manual());
        for nominal in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
            let delay = backoff.failed("a");
            assert!(within(delay, nominal), "{delay:?} is not about {nominal} s");
        }
        for _ in 0..100 {
            let delay = backoff.failed("a");
            assert!(within(delay, 300) && delay <= LONGEST, "{delay:?} is not about 5 min");
        }
    }

    #[test]
    fn delays_are_spread() {
        let backoff = Backoff::new(Ticks::manual());
        let delays: std::collections::HashSet<Duration> = (0..50).map(|n| backoff.failed(&n.to_string())).collect();
        assert!(delays.len() > 25, "only {} different delays", delays.len());
    }

    #[test]
    fn success_starts_over_and_objects_are_apart() {
        let backoff = Backoff::new(Ticks::manual());
        for _ in 0..5 {
            backoff.failed("a");
        }
        assert!(within(backoff.failed("b"), 1));
        backoff.succeeded("a");
        assert!(within(backoff.failed("a"), 1));
    }

    #[test]
    fn objects_not_heard_of_are_forgotten() {
        let ticks = Ticks::manual();
        let backoff = Backoff::new(ticks.clone());
        backoff.failed("a");
        ticks.advance(FORGET_AFTER);
        backoff.failed("b");
        assert_eq!(backoff.len(), 1);
        assert!(within(backoff.failed("a"), 1));
    }
}
