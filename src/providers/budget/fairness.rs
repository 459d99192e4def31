//! Whose turn it is when pools compete for one token's calls.

use super::Window;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Who was refused and has not come back for so long does not wait any more.
const WAITS: Duration = Duration::from_secs(60);

/// One pool that creates with the token.
#[derive(Debug)]
struct Caller {
    calls: Window,
    refused: Option<Instant>,
}

/// The creates of each pool within one window.
#[derive(Debug)]
pub(super) struct Fairness {
    length: Duration,
    callers: BTreeMap<String, Caller>,
}

/// Whether a caller that had `own` of the calls in a window may have one more, of `left` that can
/// still be had, when others wait that had as many as in `waiting`: up to an even part of `cap`
/// always, above it only what is left once they have theirs.
pub fn may_call(own: u32, waiting: &[u32], left: u32, cap: u32) -> bool {
    let callers = u32::try_from(waiting.len()).unwrap_or(u32::MAX).saturating_add(1);
    let part = cap / callers;
    let owed: u32 = waiting.iter().map(|had| part.saturating_sub(*had)).fold(0, u32::saturating_add);
    left > 0 && (own < part || left > owed)
}

impl Fairness {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, callers: BTreeMap::new() }
    }

    /// Whether it is this caller's turn, of `left` calls out of `cap`.
    pub(super) fn admits(&mut self, caller: &str, left: u32, cap: u32, now: Instant) -> bool {
        self.forget_old(now);
        let own = self.callers.get(caller).map_or(0, |known| known.calls.used());
        let others = self.callers.iter().filter(|(name, known)| *name != caller && known.refused.is_some());
        let waiting: Vec<u32> = others.map(|(_, known)| known.calls.used()).collect();
        may_call(own, &waiting, left, cap)
    }

    /// The caller makes its call.
    pub(super) fn called(&mut self, caller: &str, now: Instant) {
        let known = self.known(caller);
        known.calls.calls.push_back(now);
        known.refused = None;
    }

    /// The caller has to wait.
    pub(super) fn refused(&mut self, caller: &str, now: Instant) {
        self.known(caller).refused = Some(now);
    }

    fn known(&mut self, caller: &str) -> &mut Caller {
        let length = self.length;
        self.callers.entry(caller.to_owned()).or_insert_with(|| Caller { calls: Window::new(length), refused: None })
    }

    fn forget_old(&mut self, now: Instant) {
        self.callers.retain(|_, known| {
            known.calls.forget_old(now);
            known.refused = known.refused.filter(|at| now.saturating_duration_since(*at) < WAITS);
            known.calls.used() > 0 || known.refused.is_some()
        });
    }
}
