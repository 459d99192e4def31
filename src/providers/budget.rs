//! The rate budget of one token: what may be called now (S12).
//!
//! DigitalOcean counts per token, 250 calls in any minute and 5,000 in any
//! hour, both sliding. Own calls are counted here; the calls of other programs
//! with the same token show in the answers' headers.

mod fairness;

pub use fairness::may_call;

use self::fairness::Fairness;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What a call is for: not every kind may use the whole budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A page of the shared listing: at most half of the hourly budget.
    List,
    /// Any other question.
    Read,
    /// A create: like every kind but deletes it leaves a fifth of the budget alone.
    Create,
    /// A delete: may use all of it, so that clean-up never starves.
    Delete,
}

/// What an answer's headers say about the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `ratelimit-limit`: calls in an hour.
    pub limit: Option<u32>,
    /// `ratelimit-remaining`: calls left in this hour.
    pub remaining: Option<u32>,
    /// `ratelimit-reset`, as time from now: when the oldest counted call expires.
    pub reset: Option<Duration>,
}

/// What is left, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Calls left in this minute, for deletes.
    pub minute: u32,
    /// Calls left in this hour, for deletes.
    pub hour: u32,
}

/// Calls in any minute.
pub const PER_MINUTE: u32 = 250;
/// Calls in any hour.
pub const PER_HOUR: u32 = 5_000;
/// Calls in any hour that listings may use: half of [`PER_HOUR`].
pub const LISTINGS_PER_HOUR: u32 = PER_HOUR / 2;

/// A call is counted when it leaves, the provider counts it when it arrives;
/// the windows here are longer by what may lie between.
const SLACK: Duration = Duration::from_secs(1);
/// A pool that leaves others their part asks again after this.
const TURN: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Calls within one sliding window.
#[derive(Debug)]
struct Window {
    length: Duration,
    calls: VecDeque<Instant>,
}

impl Window {
    fn new(length: Duration) -> Self {
        Self { length: length + SLACK, calls: VecDeque::new() }
    }

    fn forget_old(&mut self, now: Instant) {
        while self.calls.front().is_some_and(|at| *at + self.length <= now) {
            self.calls.pop_front();
        }
    }

    fn used(&self) -> u32 {
        u32::try_from(self.calls.len()).unwrap_or(u32::MAX)
    }

    /// When fewer than `cap` calls are in the window. None = now.
    fn free_at(&self, cap: u32, now: Instant) -> Option<Instant> {
        let over = self.calls.len().checked_sub(cap as usize)?;
        // A cap of zero on an empty window has no call whose end could be waited for.
        Some(self.calls.get(over).map_or(now + self.length, |at| *at + self.length))
    }
}

/// Calls of others, as far as the newest answer shows them.
#[derive(Clone, Copy, Debug)]
struct Foreign {
    at: Instant,
    calls: u32,
}

impl Foreign {
    /// They leave the sliding hour as they came; unseen, an even spread is the
    /// best guess.
    fn now(self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        let share = (1.0 - age / HOUR.as_secs_f64()).max(0.0);
        (f64::from(self.calls) * share).ceil() as u32
    }
}

#[derive(Debug)]
struct State {
    minute: Window,
    hour: Window,
    listings: Window,
    /// Creates of each pool in the minute and in the hour.
    fair: [Fairness; 2],
    limit: u32,
    foreign: Option<Foreign>,
    /// Nothing at all before this: the provider said so.
    shut_until: Option<Instant>,
}

/// The budget of one token, shared by every client of it.
#[derive(Debug)]
pub struct Budget {
    state: Mutex<State>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

impl Budget {
    /// A budget of which nothing is used.
    pub fn new() -> Self {
        let state = State {
            minute: Window::new(MINUTE),
            hour: Window::new(HOUR),
            listings: Window::new(HOUR),
            fair: [Fairness::new(MINUTE), Fairness::new(HOUR)],
            limit: PER_HOUR,
            foreign: None,
            shut_until: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// Counts one call, if it may be made now.
    ///
    /// # Errors
    /// The earliest moment at which asking again makes sense.
    pub fn admit(&self, kind: Kind) -> Result<(), Instant> {
        self.admit_at(kind, Instant::now())
    }

    /// Counts one create for a pool, if it may be made now: pools that compete get even parts.
    ///
    /// # Errors
    /// The earliest moment at which asking again makes sense.
    pub fn admit_create(&self, pool: &str) -> Result<(), Instant> {
        self.admit_create_at(pool, Instant::now())
    }

    /// Takes in what an answer's headers say.
    pub fn told(&self, told: Told) {
        self.told_at(told, Instant::now());
    }

    /// Nothing is admitted for so long: the provider answered 429.
    pub fn shut(&self, pause: Duration) {
        let until = Instant::now() + pause.min(HOUR);
        let mut state = self.lock();
        state.shut_until = state.shut_until.max(Some(until));
    }

    /// What is left now.
    pub fn left(&self) -> Left {
        let now = Instant::now();
        let mut state = self.lock();
        state.forget_old(now);
        Left {
            minute: PER_MINUTE.saturating_sub(state.minute.used()),
            hour: state.limit.saturating_sub(state.hour.used() + state.foreign_now(now)),
        }
    }

    /// Calls in any hour, as the provider told it last.
    pub fn limit(&self) -> u32 {
        self.lock().limit
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit_at(&self, kind: Kind, now: Instant) -> Result<(), Instant> {
        let mut state = self.lock();
        state.forget_old(now);
        match state.earliest(kind, now).filter(|until| *until > now) {
            Some(until) => Err(until),
            None => {
                state.count(kind, now);
                Ok(())
            }
        }
    }

    fn admit_create_at(&self, pool: &str, now: Instant) -> Result<(), Instant> {
        let mut state = self.lock();
        state.forget_old(now);
        let until = state.earliest(Kind::Create, now).filter(|until| *until > now);
        let until = until.or_else(|| (!state.is_turn_of(pool, now)).then(|| now + TURN));
        match until {
            Some(until) => {
                state.fair.iter_mut().for_each(|fair| fair.refused(pool, now));
                Err(until)
            }
            None => {
                state.fair.iter_mut().for_each(|fair| fair.called(pool, now));
                state.count(Kind::Create, now);
                Ok(())
            }
        }
    }

    fn told_at(&self, told: Told, now: Instant) {
        let mut state = self.lock();
        state.forget_old(now);
        if let Some(limit) = told.limit.filter(|limit| *limit > 0) {
            state.limit = limit;
        }
        let Some(remaining) = told.remaining else { return };
        let own = state.hour.used();
        let calls = state.limit.saturating_sub(remaining).saturating_sub(own);
        state.foreign = Some(Foreign { at: now, calls });
        if let (0, Some(reset)) = (remaining, told.reset) {
            state.shut_until = state.shut_until.max(Some(now + reset.min(HOUR)));
        }
    }
}

impl State {
    fn forget_old(&mut self, now: Instant) {
        self.minute.forget_old(now);
        self.hour.forget_old(now);
        self.listings.forget_old(now);
        self.shut_until = self.shut_until.filter(|until| *until > now);
    }

    fn foreign_now(&self, now: Instant) -> u32 {
        self.foreign.map_or(0, |foreign| foreign.now(now))
    }

    /// When this kind may be called, if not now.
    fn earliest(&self, kind: Kind, now: Instant) -> Option<Instant> {
        let share = |cap: u32| if kind == Kind::Delete { cap } else { cap / 5 * 4 };
        let hour_cap = share(self.limit).saturating_sub(self.foreign_now(now));
        let listing = (kind == Kind::List).then(|| self.listings.free_at(self.limit / 2, now)).flatten();
        // Other programs' calls leave the window at a time nobody here knows: look again in a minute.
        let hour = self.hour.free_at(hour_cap, now).map(|until| until.min(now + MINUTE));
        [self.minute.free_at(share(PER_MINUTE), now), hour, listing, self.shut_until].into_iter().flatten().max()
    }

    /// Whether the pool may have one of the creates that are left, next to those that wait.
    fn is_turn_of(&mut self, pool: &str, now: Instant) -> bool {
        let caps = [PER_MINUTE, self.limit].map(|cap| cap / 5 * 4);
        let used = [self.minute.used(), self.hour.used().saturating_add(self.foreign_now(now))];
        self.fair
            .iter_mut()
            .zip(caps.into_iter().zip(used))
            .all(|(fair, (cap, used))| fair.admits(pool, cap.saturating_sub(used), cap, now))
    }

    fn count(&mut self, kind: Kind, now: Instant) {
        self.minute.calls.push_back(now);
        self.hour.calls.push_back(now);
        if kind == Kind::List {
            self.listings.calls.push_back(now);
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
