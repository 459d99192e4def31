//! Every run of the namespace, out of one watch that all listeners share. What is here can be read anew from the API
//! server at any time.

use super::run::Run;
use crate::api::{Lean, Sandbox};
use crate::failure::chain;
use crate::telemetry::readiness::{Check, Readiness};
use futures::{Stream, StreamExt};
use kube::runtime::watcher::{self, Event};
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Name of the check in `/readyz`.
pub const CHECK: &str = "store sandboxes";

/// The runs. A listener holds a receiver of one, and reads the newest state whenever it has time: nothing waits for
/// it, and nothing is kept for it.
#[derive(Debug, Default)]
pub struct Runs {
    table: Mutex<HashMap<String, watch::Sender<Arc<Run>>>>,
    /// Counts the changes of who is in the table.
    comings: watch::Sender<u64>,
}

impl Runs {
    fn table(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Arc<Run>>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run as it was last seen.
    pub fn get(&self, id: &str) -> Option<Arc<Run>> {
        self.table().get(id).map(|sender| Arc::clone(&sender.borrow()))
    }

    /// Every run, in no order.
    pub fn all(&self) -> Vec<Arc<Run>> {
        self.table().values().map(|sender| Arc::clone(&sender.borrow())).collect()
    }

    /// Follows a run from what it is now on.
    pub fn follow(&self, id: &str) -> Option<watch::Receiver<Arc<Run>>> {
        self.table().get(id).map(watch::Sender::subscribe)
    }

    /// Follows a run that exists and may not have been seen here yet.
    pub async fn follow_soon(&self, id: &str) -> watch::Receiver<Arc<Run>> {
        let mut comings = self.comings.subscribe();
        loop {
            if let Some(run) = self.follow(id) {
                return run;
            }
            // It lives as long as this.
            let _ = comings.changed().await;
        }
    }

    /// The place of a waiting run in its pool's queue, from 1.
    pub fn place(&self, run: &Run) -> Option<usize> {
        let before = |other: &Run| {
            other.is_queued() && other.pool == run.pool && (other.created, &other.name) < (run.created, &run.name)
        };
        run.is_queued().then(|| 1 + self.table().values().filter(|sender| before(&sender.borrow())).count())
    }

    /// Follows the watch for as long as it goes on.
    pub async fn fill(
        &self,
        events: impl Stream<Item = Result<Event<Lean<Sandbox>>, watcher::Error>>,
        readiness: &Readiness,
    ) {
        readiness.set(CHECK, Check::Missing("not read yet".to_owned()));
        let mut events = pin!(events);
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(sandbox)) => listed.extend(self.note(&sandbox)),
                Ok(Event::InitDone) => {
                    self.keep(&listed);
                    listed = HashSet::new();
                    readiness.set(CHECK, Check::Ok);
                }
                Ok(Event::Apply(sandbox)) => {
                    self.note(&sandbox);
                }
                Ok(Event::Delete(sandbox)) => self.forget(&sandbox),
                Err(error) => tracing::warn!(error = chain(&error), "the watch of sandboxes is begun again"),
            }
        }
    }

    /// Takes over what a Sandbox says now; gives its UID if it stands for a run.
    fn note(&self, sandbox: &Lean<Sandbox>) -> Option<String> {
        let run = sandbox.0.as_ref().ok().and_then(|sandbox| Run::of(sandbox))?;
        let (id, uid, run) = (run.id.clone(), run.uid.clone(), Arc::new(run));
        let mut table = self.table();
        let known = table.get(&id).map(|sender| Arc::clone(&sender.borrow()));
        match known {
            Some(known) if known.uid == run.uid => {
                if let Some(sender) = table.get(&id) {
                    sender.send_replace(run);
                }
            }
            Some(known) if known.is_meant_before(&run) => {}
            known => {
                if known.is_some() {
                    Self::end(table.remove(&id));
                }
                table.insert(id, watch::Sender::new(run));
                self.comings.send_modify(|count| *count += 1);
            }
        }
        Some(uid)
    }

    fn forget(&self, sandbox: &Lean<Sandbox>) {
        let Some(run) = sandbox.0.as_ref().ok().and_then(|sandbox| Run::of(sandbox)) else { return };
        let mut table = self.table();
        if table.get(&run.id).is_some_and(|sender| sender.borrow().uid == run.uid) {
            Self::end(table.remove(&run.id));
        }
    }

    /// What a complete list does not have is gone.
    fn keep(&self, listed: &HashSet<String>) {
        let mut table = self.table();
        let is_gone = |sender: &watch::Sender<Arc<Run>>| !listed.contains(&sender.borrow().uid);
        let gone: Vec<String> = table.iter().filter(|(_, sender)| is_gone(sender)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| Self::end(table.remove(id)));
    }

    /// Whoever listens sees the end before the sender goes.
    fn end(sender: Option<watch::Sender<Arc<Run>>>) {
        if let Some(sender) = sender {
            sender.send_modify(|run| Arc::make_mut(run).gone = true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::State;
    use super::super::run::tests::request;
    use super::*;
    use futures::stream;
    use serde_json::{Value, json};

    fn seen(id: &str, uid: &str, status: Value) -> Lean<Sandbox> {
        let mut sandbox = request(id, status);
        sandbox.metadata.uid = Some(uid.to_owned());
        Lean(Ok(Arc::new(sandbox)))
    }

    async fn fill(runs: &Runs, events: Vec<Event<Lean<Sandbox>>>) -> Readiness {
        let readiness = Readiness::new();
        runs.fill(stream::iter(events.into_iter().map(Ok)), &readiness).await;
        readiness
    }

    #[tokio::test]
    async fn a_listener_sees_the_newest_state_and_the_end_however_slow_it_is() {
        let runs = Runs::default();
        let readiness =
            fill(&runs, vec![Event::Init, Event::InitApply(seen("a", "1", json!({}))), Event::InitDone]).await;
        assert!(readiness.is_ready());
        let mut listener = runs.follow("a").expect("a run");
        let busy = json!({"phase": "Creating", "boundTo": {"name": "m", "uid": "u"}});
        fill(&runs, vec![Event::Apply(seen("a", "1", busy)), Event::Delete(seen("a", "1", json!({})))]).await;
        assert!(listener.changed().await.is_ok(), "there is something to see");
        let last = Arc::clone(&listener.borrow_and_update());
        assert!(last.gone && last.state == State::Acquiring);
        assert!(listener.changed().await.is_err(), "and nothing will follow");
        assert!(runs.get("a").is_none());
    }

    #[tokio::test]
    async fn what_went_while_the_watch_was_broken_is_gone_and_another_of_its_name_is_another() {
        let runs = Runs::default();
        let both = vec![
            Event::Init,
            Event::InitApply(seen("a", "1", json!({}))),
            Event::InitApply(seen("b", "2", json!({}))),
            Event::InitDone,
        ];
        fill(&runs, both).await;
        let (a, b) = (runs.follow("a").expect("a"), runs.follow("b").expect("b"));
        fill(&runs, vec![Event::Init, Event::InitApply(seen("b", "3", json!({}))), Event::InitDone]).await;
        assert!(a.borrow().gone && b.borrow().gone);
        assert_eq!(runs.all().iter().map(|run| run.uid.as_str()).collect::<Vec<_>>(), ["3"]);
    }

    #[tokio::test]
    async fn an_id_stays_with_whoever_had_it_first() {
        let object = |name: &str, created: &str, member: bool, claimed: Option<&str>| {
            let mut sandbox = request("run-1", json!({"claimedAt": claimed}));
            sandbox.metadata.uid = Some(format!("uid-{name}"));
            sandbox.metadata.name = Some(name.to_owned());
            sandbox.metadata.creation_timestamp = serde_json::from_value(json!(created)).expect("a time");
            sandbox.spec.slot = member.then_some(0);
            Lean(Ok(Arc::new(sandbox)))
        };
        let (early, late, later) = ("2026-11-22T09:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T12:00:00Z");
        for (first, thief) in [
            (object("run-1", late, false, None), object("evil", later, false, None)),
            // A member that was there before, and is claimed with that id afterwards.
            (object("run-1", late, false, None), object("python-0", early, true, Some(later))),
            (object("run-1", late, false, None), object("python-0", early, true, None)),
            // A claim without a request, and a request that takes its id for a name.
            (object("python-0", early, true, Some(late)), object("run-1", later, false, None)),
        ] {
            let uid = |sandbox: &Lean<Sandbox>| sandbox.0.as_ref().expect("a Sandbox").metadata.uid.clone();
            for order in [[first.clone(), thief.clone()], [thief.clone(), first.clone()]] {
                let runs = Runs::default();
                fill(&runs, order.map(Event::Apply).into()).await;
                assert_eq!(runs.get("run-1").map(|run| run.uid.clone()), uid(&first));
                // It went while the watch was broken.
                fill(&runs, vec![Event::Init, Event::InitApply(thief.clone()), Event::InitDone]).await;
                assert!(runs.get("run-1").is_none_or(|run| Some(&run.uid) == uid(&thief).as_ref()));
            }
        }
    }

    #[tokio::test]
    async fn a_run_that_is_seen_later_is_waited_for() {
        let runs = Arc::new(Runs::default());
        let waiting = tokio::spawn({
            let runs = Arc::clone(&runs);
            async move { runs.follow_soon("a").await.borrow().id.clone() }
        });
        fill(&runs, vec![Event::Apply(seen("b", "2", json!({})))]).await;
        fill(&runs, vec![Event::Apply(seen("a", "1", json!({})))]).await;
        assert_eq!(waiting.await.expect("no panic"), "a");
    }

    #[tokio::test]
    async fn places_count_those_who_wait_in_the_same_pool() {
        let runs = Runs::default();
        let bound = json!({"phase": "Creating", "boundTo": {"name": "m", "uid": "u"}});
        let events = vec![
            Event::Apply(seen("a", "1", bound)),
            Event::Apply(seen("b", "2", json!({}))),
            Event::Apply(seen("c", "3", json!({}))),
        ];
        fill(&runs, events).await;
        let place = |id: &str| runs.place(&runs.get(id).expect("a run"));
        assert_eq!([place("a"), place("b"), place("c")], [None, Some(1), Some(2)]);
    }
}
