//! Wall time that can be given, so that a simulation runs hours of it in no time.

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time of day. Copies tell the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wall(Option<(Timestamp, Instant)>);

impl Wall {
    /// The machine's clock.
    pub fn real() -> Self {
        Self(None)
    }

    /// A clock that reads `start` now and goes on with tokio's clock, which a test may have paused.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Some((start, Instant::now())))
    }

    /// The time of day.
    pub fn now(self) -> Timestamp {
        match self.0 {
            None => Timestamp::now(),
            Some((start, origin)) => start.saturating_add(origin.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }
}
