//! When the next listing of an account is due. Pure: every time is given.

use crate::providers::budget::LISTINGS_PER_HOUR;
use crate::providers::{ErrorClass, ProviderError, Timing};
use std::time::Duration;
use tokio::time::Instant;

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
/// Listings may burst: an account at rest for a while is looked at closely when
/// something happens. Burst and an hour of the steady rate together are half of
/// the hourly budget.
const BURST_CALLS: u32 = LISTINGS_PER_HOUR / 10;
/// Between two calls at the steady rate.
const PER_CALL: Duration = Duration::from_millis(3_600_000 / (LISTINGS_PER_HOUR - BURST_CALLS) as u64);
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
    /// When the calls made so far would be over at the steady rate.
    paid_until: Instant,
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
            paid_until: now,
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
            self.in_flight_until = Some(now + self.interest());
        }
        self.due(now) < before
    }

    /// Whether nobody wants this account any more.
    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.wanted) >= FORGOTTEN.max(2 * self.slow)
    }

    /// How long interest in flight lasts: at least a few listings.
    fn interest(&self) -> Duration {
        INTEREST * self.fast.max(PER_CALL * self.calls)
    }

    /// The period now.
    pub(super) fn period(&self, now: Instant) -> Duration {
        let in_flight = self.in_flight_until.is_some_and(|until| now < until);
        if in_flight { self.fast } else { self.slow }
    }

    /// When the next listing is due; it may be past.
    pub(super) fn due(&self, now: Instant) -> Instant {
        let regular = match self.began {
            // After a failure only the back-off counts: the old view grows old.
            Some(began) if self.failures == 0 => began + self.period(now),
            _ => now,
        };
        // However large the account is, and however often it is wanted (S12).
        let burst = PER_CALL * BURST_CALLS;
        let regular = self.paid_until.checked_sub(burst).map_or(regular, |fair| regular.max(fair));
        self.not_before.map_or(regular, |not_before| regular.max(not_before))
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.began = Some(now);
    }

    pub(super) fn succeeded(&mut self, calls: u32) {
        self.calls = calls.max(1);
        self.pay(self.calls);
        self.failures = 0;
        self.not_before = None;
    }

    fn pay(&mut self, calls: u32) {
        let from = self.began.map_or(self.paid_until, |began| self.paid_until.max(began));
        self.paid_until = from + PER_CALL * calls;
    }

    /// `jitter` is a random number in 0.0 ≤ x < 1.0: accounts that failed
    /// together do not come back together.
    pub(super) fn failed(&mut self, error: &ProviderError, now: Instant, jitter: f64) {
        self.pay(1);
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

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
