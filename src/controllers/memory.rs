//! What this process remembers of its own provider calls, by Sandbox UID.
//!
//! Nothing here is needed for correctness after a restart: without it a member
//! is looked at with more caution, never with less.

use crate::providers::Instance;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What is remembered of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The attempt that the rest speaks of.
    pub attempt: i32,
    /// The create's answer, until the status shows it.
    pub created: Option<Instance>,
    /// When the last create call ended, however it ended.
    pub create_ended: Option<Instant>,
    /// When deletion was last asked for.
    pub delete_asked: Option<Instant>,
    /// The provider said of the id that it is gone.
    pub proved_gone: bool,
    /// The last create answered that the name is taken.
    pub name_taken: bool,
    /// No provider call before this.
    pub not_before: Option<Instant>,
    /// When the instance was last read by id.
    pub got_at: Option<Instant>,
}

impl Remembered {
    /// When this process last asked the provider to change something.
    pub fn last_write(&self) -> Option<Instant> {
        self.create_ended.max(self.delete_asked)
    }
}

/// The memory of the process.
#[derive(Debug)]
pub struct Memory {
    started: Instant,
    entries: Mutex<HashMap<String, Remembered>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { started: Instant::now(), entries: Mutex::default() }
    }
}

impl Memory {
    /// When this process began to remember.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What is remembered of this attempt of the Sandbox; empty for another attempt.
    pub fn of(&self, uid: &str, attempt: i32) -> Remembered {
        self.lock()
            .get(uid)
            .filter(|entry| entry.attempt == attempt)
            .cloned()
            .unwrap_or_else(|| Remembered { attempt, ..Remembered::default() })
    }

    /// Changes what is remembered of this attempt; an older attempt is forgotten.
    pub fn change(&self, uid: &str, attempt: i32, change: impl FnOnce(&mut Remembered)) {
        let mut entries = self.lock();
        let entry = entries.entry(uid.to_owned()).or_default();
        if entry.attempt != attempt {
            *entry = Remembered { attempt, ..Remembered::default() };
        }
        change(entry);
    }

    /// Forgets a Sandbox that no longer exists.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Forgets all but these.
    pub fn retain(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn another_attempt_starts_with_a_blank_page() {
        let memory = Memory::default();
        memory.change("u", 1, |entry| entry.proved_gone = true);
        assert!(memory.of("u", 1).proved_gone);
        assert!(!memory.of("u", 2).proved_gone, "what was proved of attempt 1 says nothing of attempt 2");
        memory.change("u", 2, |entry| entry.name_taken = true);
        assert!(!memory.of("u", 1).proved_gone);
        memory.forget("u");
        assert!(!memory.of("u", 2).name_taken);
    }
}
