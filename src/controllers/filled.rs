//! Whether the caches were read once as a whole: nothing is decided before.
//!
//! A store can be waited for, but wakes one waiter only, which is its own controller.

use std::sync::atomic::{AtomicBool, Ordering};

/// Which caches hold a whole list.
#[derive(Debug, Default)]
pub struct Filled {
    sandboxes: AtomicBool,
    pools: AtomicBool,
}

impl Filled {
    /// Every Sandbox was read.
    pub fn sandboxes_read(&self) {
        self.sandboxes.store(true, Ordering::SeqCst);
    }

    /// Every pool was read.
    pub fn pools_read(&self) {
        self.pools.store(true, Ordering::SeqCst);
    }

    /// Whether every Sandbox was read.
    pub fn has_sandboxes(&self) -> bool {
        self.sandboxes.load(Ordering::SeqCst)
    }

    /// Whether every pool was read.
    pub fn has_pools(&self) -> bool {
        self.pools.load(Ordering::SeqCst)
    }

    /// Whether plans may be made.
    pub fn is_complete(&self) -> bool {
        self.has_sandboxes() && self.has_pools()
    }
}
