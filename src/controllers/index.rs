//! Which Sandboxes belong to which pool: names only, the objects stay in the store.

use super::sandbox::Guarded;
use crate::api::{POOL_LABEL, Sandbox};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Key = (String, String);

/// Sandboxes by pool. Fed from the watch, right behind the store.
#[derive(Debug, Default)]
pub struct PoolIndex {
    pools: Mutex<HashMap<Key, Names>>,
}

/// Names in one pool. Requests are few, and looked for at every change of a member.
#[derive(Debug, Default)]
struct Names {
    /// Those that cannot be read are counted as members.
    members: BTreeSet<String>,
    requests: BTreeSet<String>,
}

impl Names {
    fn put(&mut self, guarded: &Guarded) {
        let name = guarded.name_any();
        let is_request = guarded.0.as_ref().is_ok_and(|sandbox| !sandbox.is_member());
        let (its, other) =
            if is_request { (&mut self.requests, &mut self.members) } else { (&mut self.members, &mut self.requests) };
        other.remove(&name);
        its.insert(name);
    }

    fn remove(&mut self, name: &str) {
        self.members.remove(name);
        self.requests.remove(name);
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.requests.is_empty()
    }
}

/// The pool that a Sandbox belongs to: what it says, or its label where it cannot be read.
pub fn pool_of(guarded: &Guarded) -> Option<String> {
    match &guarded.0 {
        Ok(sandbox) => Some(sandbox.spec.pool_ref.name.clone()),
        Err(undecodable) => undecodable.metadata.labels.as_ref()?.get(POOL_LABEL).cloned(),
    }
}

impl PoolIndex {
    /// Takes an event of the watch down.
    pub fn note(&self, event: &Event<Guarded>) {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                if let Some(key) = key(object) {
                    self.lock().entry(key).or_default().put(object);
                }
            }
            Event::Delete(object) => {
                if let Some(key) = key(object) {
                    let mut pools = self.lock();
                    if let Some(names) = pools.get_mut(&key) {
                        names.remove(&object.name_any());
                        if names.is_empty() {
                            pools.remove(&key);
                        }
                    }
                }
            }
            Event::Init | Event::InitDone => {}
        }
    }

    /// Every Sandbox of a pool, members and requests, as the store has it.
    pub fn sandboxes(&self, store: &Store<Guarded>, namespace: &str, pool: &str) -> Vec<Arc<Guarded>> {
        self.stored(store, namespace, pool, |names| names.members.iter().chain(&names.requests).cloned().collect())
    }

    /// The requests among them.
    pub fn requests(&self, store: &Store<Guarded>, namespace: &str, pool: &str) -> Vec<Arc<Guarded>> {
        self.stored(store, namespace, pool, |names| names.requests.iter().cloned().collect())
    }

    fn stored(
        &self,
        store: &Store<Guarded>,
        namespace: &str,
        pool: &str,
        choose: impl FnOnce(&Names) -> Vec<String>,
    ) -> Vec<Arc<Guarded>> {
        let key = (namespace.to_owned(), pool.to_owned());
        let names = self.lock().get(&key).map(choose).unwrap_or_default();
        // A name that a re-list dropped is not in the store any more.
        names.iter().filter_map(|name| store.get(&ObjectRef::new(name).within(namespace))).collect()
    }

    /// Forgets names that the store does not have.
    pub fn retain(&self, store: &Store<Guarded>) {
        self.lock().retain(|(namespace, _), names| {
            let stored = |name: &String| store.get(&ObjectRef::new(name).within(namespace)).is_some();
            names.members.retain(stored);
            names.requests.retain(stored);
            !names.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Names>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(guarded: &Guarded) -> Option<Key> {
    Some((guarded.meta().namespace.clone()?, pool_of(guarded)?))
}

/// The readable ones.
pub fn readable(guarded: &[Arc<Guarded>]) -> impl Iterator<Item = &Sandbox> + Clone {
    guarded.iter().filter_map(|guarded| guarded.0.as_deref().ok())
}
