//! When the next listing of an account is due. Pure: every time is given.

use crate::providers::budget::LISTINGS_PER_HOUR;
use crate::providers::{ErrorClass, ProviderError, Timing};
use std::time::{Duration, Instant};

/// How soon a new listing is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Everything is as it should be: the slow period.
    Level,
    /// Something is being made or removed: as often as the rate budget allows.
    InFlight,
}

/// An account that nobody wanted for so long is no longer listed.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Interest in flight lasts for so many periods after it was last said, so
/// that a reconcile that comes late does not lose it.
const INTEREST: u32 = 3;

/// The rhythm of one account's listings.
#[derive(Debug)]
pub(super) struct Schedule {
    fast: Duration,
    slow: Duration,
    /// Calls that the last complete listing took.
    calls: u32,
    wanted: Instant,
    in_flight_until: Option<Instant>,
    /// When the last try began, whatever came of it.
    began: Option<Instant>,
    failures: u32,
    /// Not before this, after a failure.
    not_before: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(timing: &Timing, now: Instant) -> Self {
        Self {
            fast: timing.listing_period,
            slow: timing.listing_slow.max(timing.listing_period),
            calls: 1,
            wanted: now,
            in_flight_until: None,
            began: None,
            failures: 0,
            not_before: None,
        }
    }

    /// Somebody needs this account. Gives whether the next listing moved nearer.
    pub(super) fn want(&mut self, urgency: Urgency, now: Instant) -> bool {
        let before = self.due(now);
        self.wanted = now;
        if urgency == Urgency::InFlight {
            self.in_flight_until = Some(now + INTEREST * self.fast_period());
        }
        self.due(now) < before
    }

    /// Whether nobody wants this account any more.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.wanted) >= FORGOTTEN.max(2 * self.slow)
    }

    /// Half of the hourly budget at most, however large the account is.
    pub(super) fn fast_period(&self) -> Duration {
        let fair = Duration::from_secs(3_600) * self.calls / LISTINGS_PER_HOUR;
        self.fast.max(fair)
    }

    /// The period now.
    pub(super) fn period(&self, now: Instant) -> Duration {
        let in_flight = self.in_flight_until.is_some_and(|until| now < until);
        if in_flight { self.fast_period() } else { self.slow.max(self.fast_period()) }
    }

    /// When the next listing is due; it may be past.
    pub(super) fn due(&self, now: Instant) -> Instant {
        let regular = match self.began {
            // After a failure only the back-off counts: the old view grows old.
            Some(began) if self.failures == 0 => began + self.period(now),
            _ => now,
        };
        self.not_before.map_or(regular, |not_before| regular.max(not_before))
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.began = Some(now);
    }

    pub(super) fn succeeded(&mut self, calls: u32) {
        self.calls = calls.max(1);
        self.failures = 0;
        self.not_before = None;
    }

    /// `jitter` is a random number in 0.0 ≤ x < 1.0: accounts that failed
    /// together do not come back together.
    pub(super) fn failed(&mut self, error: &ProviderError, now: Instant, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        let doublings = (self.failures - 1).min(10);
        let pause = (self.fast / 4 * 2_u32.pow(doublings)).min(self.slow);
        let not_before = now + pause.mul_f64(0.75 + jitter / 2.0);
        self.not_before = Some(match error.class {
            ErrorClass::Limited { until } => not_before.max(until),
            _ => not_before,
        });
    }
}
