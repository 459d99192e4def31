//! Asks agents whether they are well, beside the reconciles: only a changed
//! answer makes anybody look.

use super::pokes::Pokes;
use super::sandbox::Guarded;
use super::sandbox::facts::ProbeFact;
use crate::agent::client::probe;
use futures::future::BoxFuture;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// What is asked of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Namespace of the Sandbox.
    pub namespace: String,
    /// Name of the Sandbox.
    pub name: String,
    /// Base address of the agent.
    pub url: String,
    /// Between two questions.
    pub period: Duration,
    /// The status says already that it answers: nobody waits for the first good answer.
    pub settled: bool,
}

impl Target {
    /// Whether the same agent is asked as often.
    fn is_asked_as(&self, other: &Self) -> bool {
        Self { settled: other.settled, ..self.clone() } == *other
    }
}

/// Bad answers in a row, each a new fact worth a look, up to this many.
const COUNT_TO: u32 = 3;

/// After a bad answer, so that three of them show within 30 s of the last good one.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Entry {
    target: Target,
    task: AbortHandle,
    answer: Arc<Mutex<Option<Answer>>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    failures: u32,
    failing_since: Option<Instant>,
}

/// Asks the agent at an address whether it is well.
pub type Ask = Arc<dyn Fn(String) -> BoxFuture<'static, bool> + Send + Sync>;

/// Every agent that is being asked. Cheap to clone.
#[derive(Clone)]
pub struct Probes {
    well: Ask,
    pokes: Pokes<Guarded>,
    replace_after: Duration,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Probes {
    /// Probes that poke when an answer changes, and once more after `replace_after` of bad ones.
    ///
    /// # Errors
    /// If the system's TLS cannot be used.
    pub fn new(pokes: Pokes<Guarded>, timeout: Duration, replace_after: Duration) -> reqwest::Result<Self> {
        // Agents are many and asked seldom: a kept connection each would cost more than it saves.
        let http = reqwest::Client::builder().timeout(timeout).pool_max_idle_per_host(0).build()?;
        let well: Ask = Arc::new(move |url| {
            let http = http.clone();
            Box::pin(async move { probe(&http, &url).await.is_ok() })
        });
        Ok(Self::asking(pokes, replace_after, well))
    }

    /// The same by another way than the network.
    pub fn asking(pokes: Pokes<Guarded>, replace_after: Duration, well: Ask) -> Self {
        Self { well, pokes, replace_after, entries: Arc::default() }
    }

    /// Asks this agent from now on, and gives its newest answer.
    pub fn want(&self, uid: &str, target: Target) -> Option<ProbeFact> {
        self.want_by(uid, target, &self.well)
    }

    /// The same by a way of the target's own.
    pub fn want_by(&self, uid: &str, target: Target, well: &Ask) -> Option<ProbeFact> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get(uid).filter(|entry| entry.target.is_asked_as(&target)) {
            return fact(*entry.answer.lock().unwrap_or_else(PoisonError::into_inner));
        }
        // Another period of the same agent keeps what is known of it.
        let kept =
            entries.get(uid).filter(|entry| entry.target.url == target.url).map(|entry| Arc::clone(&entry.answer));
        let answer = kept.unwrap_or_default();
        let known = *answer.lock().unwrap_or_else(PoisonError::into_inner);
        let task = tokio::spawn(self.clone().ask(Arc::clone(well), target.clone(), Arc::clone(&answer))).abort_handle();
        entries.insert(uid.to_owned(), Entry { target, task, answer });
        fact(known)
    }

    /// Asks this agent no more, and forgets what it said.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Asks none but these any more.
    pub fn retain(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    async fn ask(self, well: Ask, target: Target, answer: Arc<Mutex<Option<Answer>>>) {
        // Members made together are not asked together, nor all of them after a restart.
        let share = crate::api::hash_share(&format!("{}/{}", target.namespace, target.name));
        let known = answer.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if known || target.settled {
            tokio::time::sleep(target.period.mul_f64(share)).await;
        }
        loop {
            let healthy = well(target.url.clone()).await;
            if note(&answer, healthy, target.settled, self.replace_after) {
                self.pokes.poke(&target.namespace, &target.name);
            }
            tokio::time::sleep(if healthy { target.period } else { target.period.min(AGAIN) }).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes an answer down; true if it is worth a look.
fn note(slot: &Mutex<Option<Answer>>, healthy: bool, settled: bool, replace_after: Duration) -> bool {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let before = *slot;
    let failures = if healthy { 0 } else { before.map_or(0, |answer| answer.failures).saturating_add(1) };
    let since = before.and_then(|answer| answer.failing_since);
    let failing_since = (!healthy).then(|| since.unwrap_or_else(Instant::now));
    *slot = Some(Answer { failures, failing_since });
    let overdue = failing_since.is_some_and(|since| since.elapsed() >= replace_after);
    let news = match before {
        Some(before) => before.failures != failures && (failures <= COUNT_TO || before.failures <= COUNT_TO),
        None => !(healthy && settled),
    };
    news || overdue
}

fn fact(answer: Option<Answer>) -> Option<ProbeFact> {
    let answer = answer?;
    Some(ProbeFact {
        healthy: answer.failures == 0,
        failures: answer.failures,
        failing_for: answer.failing_since.map_or(Duration::ZERO, |since| since.elapsed()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_answers_are_worth_a_look_s10() {
        let slot = Mutex::default();
        let long = Duration::from_secs(3600);
        let looks: Vec<bool> = [true, true, false, false, false, false, false, true, true]
            .map(|answer| note(&slot, answer, false, long))
            .into();
        assert_eq!(looks, [true, false, true, true, true, true, false, true, false]);
    }

    #[test]
    fn what_the_status_says_already_is_no_news_after_a_restart_s10() {
        let long = Duration::from_secs(3600);
        assert!(!note(&Mutex::default(), true, true, long));
        assert!(note(&Mutex::default(), false, true, long));
    }

    #[test]
    fn an_agent_that_stays_away_is_looked_at_when_it_is_to_be_replaced() {
        let slot = Mutex::default();
        for _ in 0..10 {
            note(&slot, false, false, Duration::from_secs(3600));
        }
        assert!(note(&slot, false, false, Duration::ZERO));
    }
}
