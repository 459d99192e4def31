//! Who may call a provider: only the leader.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Says for how much longer this process may call providers. Asked right before every call, so that a process
/// that was paused makes none after it wakes until it leads again (S15).
#[derive(Clone)]
pub struct Fence(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Fence {
    /// A fence that asks `left` for the time left; zero = closed.
    pub fn new(left: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(left))
    }

    /// A fence that is never closed, for processes that run alone.
    pub fn open() -> Self {
        Self::new(|| Duration::MAX)
    }

    /// Whether no call may be made now.
    pub fn is_closed(&self) -> bool {
        (self.0)().is_zero()
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Fence").field(&(self.0)()).finish()
    }
}
