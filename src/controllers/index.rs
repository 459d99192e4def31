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
    pools: Mutex<HashMap<Key, BTreeSet<String>>>,
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
                    self.lock().entry(key).or_default().insert(object.name_any());
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
        let names: Vec<String> = self
            .lock()
            .get(&(namespace.to_owned(), pool.to_owned()))
            .map(|names| names.iter().cloned().collect())
            .unwrap_or_default();
        // A name that a re-list dropped is not in the store any more.
        names.iter().filter_map(|name| store.get(&ObjectRef::new(name).within(namespace))).collect()
    }

    /// Forgets names that the store does not have.
    pub fn retain(&self, store: &Store<Guarded>) {
        self.lock().retain(|(namespace, _), names| {
            names.retain(|name| store.get(&ObjectRef::new(name).within(namespace)).is_some());
            !names.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, BTreeSet<String>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(guarded: &Guarded) -> Option<Key> {
    Some((guarded.meta().namespace.clone()?, pool_of(guarded)?))
}

/// The readable ones.
pub fn readable(guarded: &[Arc<Guarded>]) -> impl Iterator<Item = &Sandbox> + Clone {
    guarded.iter().filter_map(|guarded| guarded.0.as_ref().ok())
}
