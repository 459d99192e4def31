//! What this process remembers of its own writes for a pool, by pool UID.

use crate::controllers::inputs::Unresolved;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A member that was made and is not seen by then has come and gone, or the watch is broken; in
/// both cases its slot's name is what keeps the cap.
const UNSEEN: Duration = Duration::from_secs(10);
/// For so long the pool's Secrets are not looked for again.
const SECRETS: Duration = Duration::from_secs(5);
/// A slot whose name another object has is tried again after this.
const BLOCKED: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Entry {
    key: Option<(String, String)>,
    unseen: BTreeMap<i32, (String, Instant)>,
    blocked: BTreeMap<i32, Instant>,
    empty_since: Option<Instant>,
    status_written: Option<Instant>,
    secrets: Option<SecretsLook>,
}

/// Whether the Secrets that a spec names were there.
#[derive(Debug)]
struct SecretsLook {
    at: Instant,
    generation: i64,
    found: Result<(), Unresolved>,
}

/// What is known of the in-use finalizer of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It is on it.
    Held,
    /// It may be on it.
    Perhaps,
}

/// The memory of the process.
#[derive(Debug, Default)]
pub struct PoolMemory {
    entries: Mutex<HashMap<String, Entry>>,
    secrets: Mutex<BTreeMap<(String, String), Hold>>,
    ended: Mutex<HashSet<String>>,
}

impl PoolMemory {
    /// A member was made in this slot.
    pub fn made(&self, pool: &str, slot: i32, member: &str) {
        self.with(pool, |entry| entry.unseen.insert(slot, (member.to_owned(), Instant::now())));
    }

    /// Slots of members that were made and are not among those seen.
    pub fn unseen(&self, pool: &str, seen: &HashSet<&str>) -> BTreeSet<i32> {
        self.with(pool, |entry| {
            entry.unseen.retain(|_, (member, at)| !seen.contains(member.as_str()) && at.elapsed() < UNSEEN);
            entry.unseen.keys().copied().collect()
        })
    }

    /// The name of this slot is another object's.
    pub fn blocked(&self, pool: &str, slot: i32) {
        self.with(pool, |entry| entry.blocked.insert(slot, Instant::now()));
    }

    /// Slots whose name was found in use lately.
    pub fn blocked_slots(&self, pool: &str) -> BTreeSet<i32> {
        self.with(pool, |entry| {
            entry.blocked.retain(|_, at| at.elapsed() < BLOCKED);
            entry.blocked.keys().copied().collect()
        })
    }

    /// Since when this process sees the pool without members; none while it has some.
    pub fn empty_since(&self, pool: &str, empty: bool) -> Option<Instant> {
        self.with(pool, |entry| {
            if empty {
                Some(*entry.empty_since.get_or_insert_with(Instant::now))
            } else {
                entry.empty_since.take().and(None)
            }
        })
    }

    /// The status was written.
    pub fn status_written(&self, pool: &str) {
        self.with(pool, |entry| entry.status_written = Some(Instant::now()));
    }

    /// How long ago that was.
    pub fn status_written_ago(&self, pool: &str) -> Option<Duration> {
        self.with(pool, |entry| entry.status_written.map(|at| at.elapsed()))
    }

    /// Whether the Secrets that this generation of the spec names were there a moment ago.
    pub fn secrets_looked_for(&self, pool: &str, generation: i64) -> Option<Result<(), Unresolved>> {
        self.with(pool, |entry| {
            let look = entry.secrets.as_ref()?;
            (look.generation == generation && look.at.elapsed() < SECRETS).then(|| look.found.clone())
        })
    }

    /// The Secrets that this generation of the spec names were looked for.
    pub fn looked_for_secrets(&self, pool: &str, generation: i64, found: Result<(), Unresolved>) {
        self.with(pool, |entry| entry.secrets = Some(SecretsLook { at: Instant::now(), generation, found }));
    }

    /// The in-use finalizer is on this Secret.
    pub fn secret_held(&self, secret: (String, String)) {
        self.holds().insert(secret, Hold::Held);
    }

    /// The Secret is named by something: another process may have put the in-use finalizer on it.
    pub fn secret_named(&self, secret: (String, String)) {
        self.holds().entry(secret).or_insert(Hold::Perhaps);
    }

    /// The in-use finalizer is about to be taken off this Secret: who needs it puts it on again.
    pub fn secret_releasing(&self, secret: &(String, String)) {
        self.holds().insert(secret.clone(), Hold::Perhaps);
    }

    /// The in-use finalizer was taken off this Secret, if nobody put it on again in between.
    pub fn secret_released(&self, secret: &(String, String)) {
        let mut holds = self.holds();
        if holds.get(secret) == Some(&Hold::Perhaps) {
            holds.remove(secret);
        }
    }

    /// Whether this process saw the in-use finalizer on this Secret.
    pub fn is_secret_held(&self, secret: &(String, String)) -> bool {
        self.holds().get(secret) == Some(&Hold::Held)
    }

    /// Secrets that the in-use finalizer is on or may be on.
    pub fn secrets(&self) -> Vec<(String, String)> {
        self.holds().keys().cloned().collect()
    }

    fn holds(&self) -> MutexGuard<'_, BTreeMap<(String, String), Hold>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pool was proved empty and is let go: it needs its Secret no more.
    pub fn ended(&self, pool: &str) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).insert(pool.to_owned());
    }

    /// Whether the pool was proved empty and is let go.
    pub fn has_ended(&self, pool: &str) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains(pool)
    }

    /// The pool is shown in the metrics under this namespace and name.
    pub fn shown(&self, pool: &str, key: (String, String)) {
        self.with(pool, |entry| entry.key = Some(key));
    }

    /// Pools that were shown and are not among those that exist: UID, namespace and name.
    pub fn gone(&self, exist: &HashSet<String>) -> Vec<(String, (String, String))> {
        let entries = self.lock();
        let gone = entries.iter().filter(|(uid, _)| !exist.contains(*uid));
        gone.filter_map(|(uid, entry)| Some((uid.clone(), entry.key.clone()?))).collect()
    }

    /// Forgets a pool that no longer exists.
    pub fn forget(&self, pool: &str) {
        self.lock().remove(pool);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).remove(pool);
    }

    fn with<R>(&self, pool: &str, change: impl FnOnce(&mut Entry) -> R) -> R {
        change(self.lock().entry(pool.to_owned()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> (String, String) {
        ("ns".to_owned(), name.to_owned())
    }

    #[test]
    fn a_secret_is_remembered_until_its_finalizer_was_taken_off() {
        let memory = PoolMemory::default();
        memory.secret_named(key("old"));
        assert!(!memory.is_secret_held(&key("old")), "who makes a member puts it on first");
        assert_eq!(memory.secrets(), [key("old")], "another process may have put it on");
        memory.secret_held(key("old"));
        memory.secret_named(key("old"));
        assert!(memory.is_secret_held(&key("old")));
        memory.secret_releasing(&key("old"));
        assert!(!memory.is_secret_held(&key("old")));
        assert_eq!(memory.secrets(), [key("old")], "the write may fail");
        memory.secret_held(key("old"));
        memory.secret_released(&key("old"));
        assert!(memory.is_secret_held(&key("old")), "it was put on again in between");
        memory.secret_releasing(&key("old"));
        memory.secret_released(&key("old"));
        assert!(memory.secrets().is_empty());
    }

    #[test]
    fn a_pool_that_went_unseen_is_named_until_it_is_forgotten() {
        let memory = PoolMemory::default();
        memory.shown("uid-a", key("a"));
        memory.shown("uid-b", key("b"));
        let exist = HashSet::from(["uid-b".to_owned()]);
        assert_eq!(memory.gone(&exist), [("uid-a".to_owned(), key("a"))]);
        memory.forget("uid-a");
        assert!(memory.gone(&exist).is_empty());
    }
}
