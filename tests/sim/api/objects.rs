//! What the API server stores: objects with versions, UIDs, finalizers, and every change in order.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Plural of the kind, namespace, name.
pub type Key = (String, String, String);

/// One change, as a watch tells it.
#[derive(Clone)]
pub struct Change {
    pub at: Instant,
    pub plural: String,
    pub deleted: bool,
    pub object: Arc<Value>,
}

/// The store.
pub struct Objects {
    all: BTreeMap<Key, Arc<Value>>,
    pub changes: Vec<Change>,
    version: u64,
    made: u64,
    seed: u64,
}

impl Objects {
    pub fn new(seed: u64) -> Self {
        Self { all: BTreeMap::new(), changes: Vec::new(), version: 1000, made: 0, seed }
    }

    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.all.get(key)
    }

    /// Objects of a kind, in one namespace or in all.
    pub fn list(&self, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let fits = |key: &Key| key.0 == plural && namespace.is_none_or(|namespace| namespace == key.1);
        self.all.iter().filter(|(key, _)| fits(key)).map(|(_, object)| object.clone()).collect()
    }

    /// Objects of a kind as they were so long ago.
    pub fn as_of(&self, plural: &str, ago: Duration) -> Vec<Arc<Value>> {
        let mut then: BTreeMap<String, Arc<Value>> = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.plural == plural && change.at.elapsed() >= ago) {
            let uid = text(&change.object, &["metadata", "uid"]).to_owned();
            if change.deleted {
                then.remove(&uid);
            } else {
                then.insert(uid, change.object.clone());
            }
        }
        then.into_values().collect()
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// A UID that nobody had before: the same in every run of a seed.
    pub fn fresh_uid(&mut self) -> String {
        self.made += 1;
        let high = (self.seed ^ self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15)) & 0xffff_ffff;
        format!("{high:08x}-0000-4000-8000-{:012x}", self.made)
    }

    /// Stores an object under a new version, or takes it out if nothing keeps it any more.
    pub fn put(&mut self, key: &Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let deleting = object["metadata"].get("deletionTimestamp").is_some();
        let kept = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        let object = Arc::new(object);
        let gone = deleting && !kept;
        if gone {
            self.all.remove(key);
        } else {
            self.all.insert(key.clone(), object.clone());
        }
        self.note(key, object.clone(), gone);
        object
    }

    /// Takes an object out at once.
    pub fn remove(&mut self, key: &Key) {
        if let Some(object) = self.all.remove(key) {
            self.version += 1;
            let mut last = Value::clone(&object);
            last["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.note(key, Arc::new(last), true);
        }
    }

    fn note(&mut self, key: &Key, object: Arc<Value>, deleted: bool) {
        self.changes.push(Change { at: Instant::now(), plural: key.0.clone(), deleted, object });
    }
}

/// The text at a path of an object; empty if there is none.
pub fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    path.iter().try_fold(object, |value, part| value.get(part)).and_then(Value::as_str).unwrap_or_default()
}

/// Only kind and metadata.
pub fn partial(object: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}
