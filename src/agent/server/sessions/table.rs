//! The sessions by id. They live as long as the agent.

use super::session::Session;
use crate::agent::server::Agent;
use crate::agent::server::problem::Problem;
use crate::agent::wire::{ProcessStatus, SessionRequest};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Sessions at once; stopped ones give way to new ones.
pub const MAX_SESSIONS: usize = 100;
/// The longest id, in characters.
const MAX_ID: usize = 64;

/// The sessions that were made and not closed.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: Mutex<BTreeMap<String, Arc<Session>>>,
}

impl Sessions {
    fn by_id(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one.
    pub fn add(&self, agent: &Agent, request: SessionRequest) -> Result<Arc<Session>, Problem> {
        let id = request.session_id.clone();
        check(&id)?;
        // Held until the shell is started, so that an id is given once.
        let mut sessions = self.by_id();
        if sessions.contains_key(&id) {
            let what = format!("session_id {id:?} exists: use it, DELETE /api/sessions/{id}, or take another id");
            return Err(Problem::Bad(what));
        }
        if sessions.len() >= MAX_SESSIONS {
            let stopped = sessions.iter().find(|(_, session)| session.status() == ProcessStatus::Stopped);
            let stopped = stopped.map(|(id, _)| id.clone()).ok_or_else(|| {
                Problem::Busy(format!("there are {MAX_SESSIONS} sessions already: DELETE one that is not needed"))
            })?;
            sessions.remove(&stopped);
        }
        let session = Arc::new(Session::start(agent, request)?);
        sessions.insert(id, Arc::clone(&session));
        Ok(session)
    }

    /// All of them, by id.
    pub fn list(&self) -> Vec<Arc<Session>> {
        self.by_id().values().cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Result<Arc<Session>, Problem> {
        self.by_id().get(id).cloned().ok_or_else(|| unknown(id))
    }

    /// One of them, which nobody finds any more.
    pub fn remove(&self, id: &str) -> Result<Arc<Session>, Problem> {
        self.by_id().remove(id).ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &str) -> Problem {
    Problem::NotFound(format!("there is no session {id:?}; POST /api/sessions makes one"))
}

fn check(id: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && id.len() <= MAX_ID && id.chars().all(fits) {
        return Ok(());
    }
    let shown: String = id.chars().take(MAX_ID + 1).collect();
    let rule = format!("use 1 to {MAX_ID} letters, digits, `.`, `_` and `-`, the first a letter or digit");
    Err(Problem::field("body", "session_id", format!("{shown:?} is not the id of a session: {rule}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_plain_part_of_a_path() {
        for good in ["a", "7", "build-1", "A.b_c", &"x".repeat(64)] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", "ä", "a\n", "a%2f", &"x".repeat(65)] {
            assert!(matches!(check(bad), Err(Problem::Schema(_))), "{bad}");
        }
    }
}
