//! Simulated seconds since the begin.

use jiff::{SignedDuration, Timestamp};
use std::time::{Duration, Instant};

/// Counts from the begin, so many times faster than the wall's clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    began_at: Timestamp,
    speed: f64,
}

impl Clock {
    /// A clock that shows zero after this time.
    pub fn begin_in(lead: Duration, speed: f64) -> Self {
        let began_at = Timestamp::now() + SignedDuration::try_from(lead).unwrap_or_default();
        Self { began: Instant::now() + lead, began_at, speed }
    }

    /// The begin in seconds since 1970, for other programs.
    pub fn began_at(self) -> f64 {
        self.began_at.as_duration().as_secs_f64()
    }

    /// Simulated seconds since the begin; negative before it.
    pub fn now(self) -> f64 {
        let after = Instant::now().saturating_duration_since(self.began).as_secs_f64();
        let before = self.began.saturating_duration_since(Instant::now()).as_secs_f64();
        (after - before) * self.speed
    }

    /// When something happened, in simulated seconds since the begin.
    pub fn at(self, moment: Timestamp) -> f64 {
        moment.duration_since(self.began_at).as_secs_f64() * self.speed
    }

    /// So many simulated seconds on the wall.
    pub fn wall(self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds.max(0.0) / self.speed)
    }

    /// Waits for a moment.
    pub async fn until(self, moment: f64) {
        tokio::time::sleep(self.wall(moment - self.now())).await;
    }
}
