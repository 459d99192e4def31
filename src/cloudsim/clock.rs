//! Wall time, and simulated durations on it.

use crate::wall::Wall;
use jiff::{SignedDuration, Timestamp};

/// The longest simulated duration that is accepted, in seconds: ten years.
pub const LONGEST_SECONDS: f64 = 315_360_000.0;

/// Timestamps are wall time; durations the cloud chooses run `speed` times
/// faster than at the real one.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    speed: f64,
    wall: Wall,
}

impl Clock {
    /// `speed` must be finite and above zero; [`super::Options`] checks it.
    pub fn new(speed: f64) -> Self {
        Self::on(Wall::real(), speed)
    }

    /// The same at another time of day.
    pub fn on(wall: Wall, speed: f64) -> Self {
        Self { speed, wall }
    }

    pub fn now(self) -> Timestamp {
        self.wall.now()
    }

    /// How long simulated seconds take on the wall.
    pub fn wall(self, simulated_seconds: f64) -> SignedDuration {
        let seconds = (simulated_seconds / self.speed).clamp(0.0, LONGEST_SECONDS);
        SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO)
    }

    /// The moment simulated seconds after `start`.
    pub fn after(self, start: Timestamp, simulated_seconds: f64) -> Timestamp {
        start.saturating_add(self.wall(simulated_seconds)).unwrap_or(Timestamp::MAX)
    }

    /// The moment simulated seconds before `end`.
    pub fn before(self, end: Timestamp, simulated_seconds: f64) -> Timestamp {
        end.saturating_sub(self.wall(simulated_seconds)).unwrap_or(Timestamp::MIN)
    }
}
