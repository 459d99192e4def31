//! No account keeps others waiting: a provider that hangs holds some of a controller's workers, never all.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Namespace and name: of an object, or of the Secret that opens an account.
type Key = (String, String);

type Wake = Box<dyn Fn(&str, &str) + Send + Sync>;

/// The workers of one controller, by the credentials that their passes use.
///
/// Who finds no place is not kept waiting in a worker: it is woken when there is one.
pub struct Lanes {
    workers: usize,
    wake: Wake,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    busy: usize,
    lanes: BTreeMap<Key, Lane>,
}

#[derive(Default)]
struct Lane {
    busy: usize,
    waiting: VecDeque<Key>,
    /// The same, to be found.
    waits: HashSet<Key>,
}

/// A place in a lane, until it is dropped.
pub struct Place {
    lanes: Arc<Lanes>,
    lane: Key,
}

/// Whether an account with so many busy workers gets one more: at most half of what the others
/// leave, so that however many hang, the next one finds some; and one in any case.
pub fn may_enter(own: usize, others: usize, workers: usize) -> bool {
    own < (workers.saturating_sub(others) / 2).max(1)
}

impl Lanes {
    /// For a controller with so many workers; `wake` makes it look at an object again.
    pub fn new(workers: u16, wake: impl Fn(&str, &str) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { workers: workers.into(), wake: Box::new(wake), state: Mutex::default() })
    }

    /// A place for a pass over the object `who`; none if its lane is full, and then it is woken
    /// when it is not.
    pub fn enter(self: &Arc<Self>, lane: &Key, who: &Key) -> Option<Place> {
        let mut state = self.lock();
        let busy = state.busy;
        let entry = state.lanes.entry(lane.clone()).or_default();
        if !may_enter(entry.busy, busy - entry.busy, self.workers) {
            if entry.waits.insert(who.clone()) {
                entry.waiting.push_back(who.clone());
            }
            return None;
        }
        entry.busy += 1;
        state.busy += 1;
        Some(Place { lanes: Arc::clone(self), lane: lane.clone() })
    }

    fn leave(&self, lane: &Key) {
        let woken = self.lock().leave(lane, self.workers);
        for (namespace, name) in woken {
            (self.wake)(&namespace, &name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives up a place; says who may find one now.
    fn leave(&mut self, lane: &Key, workers: usize) -> Vec<Key> {
        self.busy -= 1;
        if let Some(entry) = self.lanes.get_mut(lane) {
            entry.busy -= 1;
        }
        let mut woken = Vec::new();
        let busy = self.busy;
        for entry in self.lanes.values_mut() {
            let mut own = entry.busy;
            while may_enter(own, busy - entry.busy, workers) {
                let Some(next) = entry.waiting.pop_front() else { break };
                own += 1;
                entry.waits.remove(&next);
                woken.push(next);
            }
        }
        self.lanes.retain(|_, entry| entry.busy > 0 || !entry.waiting.is_empty());
        woken
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lanes.leave(&self.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(name: &str) -> Key {
        ("ns".to_owned(), name.to_owned())
    }

    fn fill(lanes: &Arc<Lanes>, lane: &str) -> Vec<Place> {
        (0..1000).map_while(|number| lanes.enter(&key(lane), &key(&format!("{lane}-{number}")))).collect()
    }

    #[test]
    fn accounts_that_hang_leave_room_for_the_next() {
        let lanes = Lanes::new(64, |_, _| {});
        let held: Vec<Vec<Place>> = ["a", "b", "c", "d"].map(|lane| fill(&lanes, lane)).into();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [32, 16, 8, 4]);
        assert!(lanes.enter(&key("e"), &key("e-0")).is_some());
    }

    #[test]
    fn who_waits_is_woken_once_and_in_order() {
        let woken = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&woken);
        let lanes = Lanes::new(4, move |_, name| noted.lock().expect("unpoisoned").push(name.to_owned()));
        let mut held = fill(&lanes, "a");
        assert_eq!(held.len(), 2);
        assert!(lanes.enter(&key("a"), &key("second")).is_none());
        assert!(lanes.enter(&key("a"), &key("second")).is_none());
        held.pop();
        assert_eq!(*woken.lock().expect("unpoisoned"), ["a-2"]);
        held.pop();
        assert_eq!(*woken.lock().expect("unpoisoned"), ["a-2", "second"]);
        assert!(lanes.lock().lanes.is_empty(), "nothing is remembered of what is over");
    }

    proptest! {
        #[test]
        fn one_account_never_has_more_than_half_and_always_one(own in 0_usize..200, others in 0_usize..200) {
            prop_assert!(may_enter(0, others, 64));
            if own > 0 && may_enter(own, others, 64) {
                prop_assert!(own < 32 && own + others < 64);
            }
        }
    }
}
