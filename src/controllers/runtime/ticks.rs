//! A monotonic clock that tests can turn by hand.

use crate::wall::Wall;
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Time passed since an origin of its own; never goes backwards. Clones share
/// the origin, so their readings can be compared.
#[derive(Clone, Debug)]
pub struct Ticks(Source, Wall);

#[derive(Clone, Debug)]
enum Source {
    /// Tokio's clock: the process's own, unless a test paused it.
    Real(Instant),
    Manual(Arc<AtomicU64>),
}

impl Ticks {
    /// The process's monotonic clock, starting now.
    pub fn real() -> Self {
        Self(Source::Real(Instant::now()), Wall::real())
    }

    /// The same with another time of day than the machine's.
    #[must_use]
    pub fn with_wall(self, wall: Wall) -> Self {
        Self(self.0, wall)
    }

    /// The local time of day: for people, and where no server told another yet.
    pub fn wall(&self) -> Timestamp {
        self.1.now()
    }

    /// A clock that stands still until [`advance`](Self::advance) is called.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(0))), Wall::real())
    }

    /// Time since the origin, to the microsecond.
    pub fn now(&self) -> Duration {
        match &self.0 {
            Source::Real(origin) => origin.elapsed(),
            Source::Manual(micros) => Duration::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Turns a manual clock (and all its clones) forward. A real clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) = &self.0 {
            micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}
