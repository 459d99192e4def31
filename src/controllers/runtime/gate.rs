//! Read your own writes: after a write the cache may still show the object as
//! it was before. Acting on that would repeat what was done.

use super::ticks::Ticks;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A cache that has not caught up by now never will (the object went, or its
/// watch starts anew): the gate must not close an object for ever.
const FORGET_AFTER: Duration = Duration::from_secs(5 * 60);

/// The newest version of every object that this process wrote and has not
/// seen in its cache yet. Clones share it.
#[derive(Clone, Debug)]
pub struct Gate {
    ticks: Ticks,
    written: Arc<Mutex<HashMap<String, Written>>>,
}

#[derive(Debug)]
struct Written {
    version: String,
    at: Duration,
}

impl Gate {
    /// A gate that knows of no write.
    pub fn new(ticks: Ticks) -> Self {
        Self { ticks, written: Arc::default() }
    }

    /// Remembers that a write of this process made the object `uid` this
    /// version. Older versions than the one remembered change nothing.
    pub fn wrote(&self, uid: &str, version: &str) {
        let now = self.ticks.now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = written.get_mut(uid) {
            if compare(version, &entry.version) == Some(Ordering::Greater) {
                *entry = Written { version: version.to_owned(), at: now };
            }
            return;
        }
        written.retain(|_, entry| now.saturating_sub(entry.at) < FORGET_AFTER);
        written.insert(uid.to_owned(), Written { version: version.to_owned(), at: now });
    }

    /// Whether this process wrote a newer version of the object than the one
    /// seen, within the last five minutes. Once seen, the write is forgotten.
    /// Versions that cannot be compared are never called stale.
    pub fn is_stale(&self, uid: &str, seen: &str) -> bool {
        let now = self.ticks.now();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = written.get(uid).is_some_and(|entry| {
            now.saturating_sub(entry.at) < FORGET_AFTER && compare(seen, &entry.version) == Some(Ordering::Less)
        });
        if !stale {
            written.remove(uid);
        }
        stale
    }

    /// Forgets the object: it is gone.
    pub fn forget(&self, uid: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// How many writes have not been seen yet.
    pub fn len(&self) -> usize {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether every write has been seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Compares two resourceVersions of one resource. Since Kubernetes 1.35 they
/// are decimal numbers of any length without leading zeros that grow with
/// every write; none = one of them is not.
pub fn compare(left: &str, right: &str) -> Option<Ordering> {
    let is_version = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let both = [left, right].iter().all(|text| !text.is_empty() && is_version(text));
    both.then(|| left.len().cmp(&right.len()).then_with(|| left.cmp(right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_of_any_length() {
        assert_eq!(compare("9", "10"), Some(Ordering::Less));
        assert_eq!(compare("10", "10"), Some(Ordering::Equal));
        assert_eq!(compare("123456789012345678901234567890", "99999999999999999999"), Some(Ordering::Greater));
        for odd in ["", "0", "01", "1a", "-1"] {
            assert_eq!(compare(odd, "5"), None, "{odd:?}");
            assert_eq!(compare("5", odd), None, "{odd:?}");
        }
    }

    #[test]
    fn older_than_our_write_is_stale_until_the_write_is_seen() {
        let gate = Gate::new(Ticks::manual());
        assert!(!gate.is_stale("a", "5"));
        gate.wrote("a", "10");
        assert!(gate.is_stale("a", "9"));
        assert!(gate.is_stale("a", "9"));
        assert!(!gate.is_stale("b", "9"));
        assert!(!gate.is_stale("a", "10"));
        assert!(gate.is_empty());
    }

    #[test]
    fn the_newest_write_counts_whatever_the_order() {
        let gate = Gate::new(Ticks::manual());
        gate.wrote("a", "12");
        gate.wrote("a", "11");
        assert!(gate.is_stale("a", "11"));
        gate.wrote("a", "13");
        assert!(gate.is_stale("a", "12"));
        assert!(!gate.is_stale("a", "14"));
    }

    #[test]
    fn a_write_that_is_never_seen_closes_nothing_for_ever() {
        let ticks = Ticks::manual();
        let gate = Gate::new(ticks.clone());
        gate.wrote("a", "10");
        gate.wrote("gone", "11");
        ticks.advance(FORGET_AFTER);
        assert!(!gate.is_stale("a", "9"));
        gate.wrote("b", "12");
        assert_eq!(gate.len(), 1);
        gate.forget("b");
        assert!(gate.is_empty());
    }

    #[test]
    fn versions_that_cannot_be_compared_are_not_stale() {
        let gate = Gate::new(Ticks::manual());
        gate.wrote("a", "opaque");
        assert!(!gate.is_stale("a", "9"));
    }
}
