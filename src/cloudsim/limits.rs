//! The rate limit of one token: two sliding windows over the same calls.

use super::clock::Clock;
use super::settings::Limits;
use jiff::Timestamp;
use std::collections::VecDeque;

const MINUTE_SECONDS: f64 = 60.0;
const HOUR_SECONDS: f64 = 3600.0;

/// The calls of one token within the last (simulated) hour.
#[derive(Debug, Default)]
pub struct Window {
    calls: VecDeque<Timestamp>,
    /// The most calls any minute and any hour has held.
    pub peak_minute: u32,
    pub peak_hour: u32,
}

/// What a call learns about its budget; the numbers become headers.
#[derive(Debug, Clone)]
pub struct Standing {
    pub limit: u32,
    pub remaining: u32,
    /// When the oldest counted call leaves the hour.
    pub reset: Timestamp,
    pub refused: Option<Refusal>,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many in the minute: the answer carries `retry-after` in seconds.
    Minute { retry_after: i64 },
    /// Too many in the hour: the answer carries no `retry-after`.
    Hour,
}

impl Window {
    /// Counts one call, or refuses it. A refused call is not counted.
    pub fn admit(&mut self, limits: &Limits, clock: Clock, now: Timestamp) -> Standing {
        let hour_ago = clock.before(now, HOUR_SECONDS);
        while self.calls.front().is_some_and(|call| *call <= hour_ago) {
            self.calls.pop_front();
        }
        let minute_ago = clock.before(now, MINUTE_SECONDS);
        let in_minute = self.calls.len() - self.calls.partition_point(|call| *call <= minute_ago);
        let refused = if !limits.enabled {
            None
        } else if self.calls.len() >= limits.per_hour as usize {
            Some(Refusal::Hour)
        } else if in_minute >= limits.per_minute as usize {
            let frees = clock.after(self.calls[self.calls.len() - in_minute], MINUTE_SECONDS);
            let wait = frees.duration_since(now).as_secs_f64().ceil();
            Some(Refusal::Minute { retry_after: (wait as i64).max(1) })
        } else {
            None
        };
        if refused.is_none() {
            self.calls.push_back(now);
            self.peak_minute = self.peak_minute.max(in_minute as u32 + 1);
            self.peak_hour = self.peak_hour.max(self.calls.len() as u32);
        }
        Standing {
            limit: limits.per_hour,
            remaining: limits.per_hour.saturating_sub(self.calls.len() as u32),
            reset: clock.after(self.calls.front().copied().unwrap_or(now), HOUR_SECONDS),
            refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(1_000_000 + millis)
    }

    #[test]
    fn the_minute_refuses_with_the_time_until_its_oldest_call_leaves() {
        let limits = Limits { enabled: true, per_minute: 2, per_hour: 100 };
        let (mut window, clock) = (Window::default(), Clock::new(1.0));
        assert_eq!(window.admit(&limits, clock, at(0)).remaining, 99);
        assert!(window.admit(&limits, clock, at(10_000)).refused.is_none());
        assert_eq!(window.admit(&limits, clock, at(20_000)).refused, Some(Refusal::Minute { retry_after: 40 }));
        assert!(window.admit(&limits, clock, at(60_000)).refused.is_none(), "the first call left the minute");
        assert_eq!(window.peak_minute, 2);
    }

    #[test]
    fn the_hour_refuses_without_retry_after_and_resets_when_its_oldest_leaves() {
        let limits = Limits { enabled: true, per_minute: 100, per_hour: 1 };
        let (mut window, clock) = (Window::default(), Clock::new(60.0));
        window.admit(&limits, clock, at(0));
        let refused = window.admit(&limits, clock, at(59_999));
        assert_eq!(refused.refused, Some(Refusal::Hour));
        assert_eq!(refused.reset, at(60_000), "an hour takes a minute at 60 times the speed");
        assert!(window.admit(&limits, clock, at(60_000)).refused.is_none());
    }

    #[test]
    fn limits_switched_off_refuse_nothing() {
        let limits = Limits { enabled: false, per_minute: 1, per_hour: 1 };
        let (mut window, clock) = (Window::default(), Clock::new(1.0));
        assert!((0..10).all(|n| window.admit(&limits, clock, at(n)).refused.is_none()));
    }
}
