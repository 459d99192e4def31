//! How fast the level follows: up at once, down slowly and only for good.

use jiff::{SignedDuration, Timestamp};

/// The level goes down only if it would do for so much more demand too: noise does not move it.
pub const HEADROOM: f64 = 1.1;
/// Between a change and the next step down.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(300);
/// A step down takes at most a tenth of the level.
const STEP: i32 = 10;

/// Levels that demand asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// By what was measured.
    pub now: i32,
    /// By [`HEADROOM`] times as many claims; never less.
    pub with_headroom: i32,
}

/// The level from now on, within `least..=most`, given the one since `since`.
pub fn settle(current: i32, since: Timestamp, now: Timestamp, asked: Asked, least: i32, most: i32) -> i32 {
    let rested = now.duration_since(since) >= PATIENCE;
    let follows = if asked.now > current {
        asked.now
    } else if asked.with_headroom < current && rested {
        asked.with_headroom.max(current - (current / STEP).max(1))
    } else {
        current
    };
    // What a person wrote holds at once.
    follows.min(most).max(least)
}
