//! Kubernetes Events that a person can act on without reading logs.
//!
//! Telling never delays or fails a reconcile: Events wait for one writer, which
//! takes its turn among the writes that can wait. None is dropped because many
//! wait: the queue is no longer than what is remembered of the last ten minutes
//! anyway. One is given up, and said so, when the API server refuses it or does
//! not take it for ten minutes. A state that lasts is told once and then at
//! most every ten minutes, as a series.

use super::clock::ServerClock;
use super::follow_ups::FollowUps;
use crate::api::conditions::{Reason, truncate};
use crate::failure::chain;
use crate::telemetry::scrub::scrub;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The API server refuses longer notes.
const NOTE_BYTES: usize = 1024;
/// The API server refuses longer instance names.
const INSTANCE_BYTES: usize = 128;
/// Leaves room for the suffix in an object name of 253.
const NAME_BYTES: usize = 200;
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to write one Event that the API server did not take.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 1_000 });
/// For so long one is tried: in an outage this long the rest is told by states.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Between two looks for what may be forgotten.
const TIDY: Duration = Duration::from_secs(60);
/// Repeats within this time of each other are one series, written no more
/// often than this.
const SERIES: Duration = Duration::from_secs(10 * 60);
const CONTROLLER: &str = "sandbar.dev/controller";

/// How an Event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

impl EventKind {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Writes Events about objects. Clones share queue and series.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::UnboundedSender<(Key, Write)>,
    told: Arc<Mutex<Told>>,
    clock: ServerClock,
}

/// Two Events with the same key are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    about: About,
    kind: EventKind,
    reason: Reason,
    note: String,
}

/// An object reference that can be a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct About {
    api_version: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Write {
    Create { name: String },
    Series { name: String, count: i32 },
}

impl Publisher {
    /// Starts the writer as a task that ends with the last clone. `instance`
    /// says which process tells (the Lease identity).
    pub fn start(client: Client, clock: ServerClock, follow_ups: FollowUps, instance: &str) -> Self {
        let (queue, writes) = mpsc::unbounded_channel();
        let told = Arc::<Mutex<Told>>::default();
        let instance = truncate(instance, INSTANCE_BYTES);
        let writer = Writer { client, clock: clock.clone(), follow_ups, instance, told: told.clone() };
        tokio::spawn(writer.run(writes));
        Self { queue, told, clock }
    }

    /// Tells something about an object, at once and without ever failing.
    /// The note loses tokens and what is beyond 1 kB; say in it what a person
    /// should do.
    pub fn publish(&self, about: &ObjectReference, kind: EventKind, reason: Reason, note: impl AsRef<str>) {
        let note = truncate(&scrub(note.as_ref()), NOTE_BYTES);
        let key = Key { about: About::from(about), kind, reason, note };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(write) = told.tell(&key, self.clock.ticks().now(), self.clock.now().as_nanosecond()) else { return };
        if let Write::Create { .. } = write {
            key.log();
        }
        // The writer goes only with the process.
        let _ = self.queue.send((key, write));
    }
}

impl Key {
    fn log(&self) {
        let About { kind, namespace, name, .. } = &self.about;
        let (kind, namespace, name) = (kind.as_deref(), namespace.as_deref(), name.as_deref());
        let reason = self.reason.as_str();
        match self.kind {
            EventKind::Normal => tracing::info!(kind, namespace, name, reason, "{}", self.note),
            EventKind::Warning => tracing::warn!(kind, namespace, name, reason, "{}", self.note),
        }
    }
}

impl From<&ObjectReference> for About {
    fn from(about: &ObjectReference) -> Self {
        let ObjectReference { api_version, kind, namespace, name, uid, .. } = about.clone();
        Self { api_version, kind, namespace, name, uid }
    }
}

impl About {
    fn reference(self) -> ObjectReference {
        let Self { api_version, kind, namespace, name, uid } = self;
        ObjectReference { api_version, kind, namespace, name, uid, ..ObjectReference::default() }
    }
}

/// What was told, and when.
#[derive(Debug, Default)]
struct Told {
    entries: HashMap<Key, Entry>,
    created: u64,
    tidied: Duration,
}

#[derive(Debug)]
struct Entry {
    name: String,
    count: i32,
    seen: Duration,
    written: Duration,
}

impl Told {
    /// What to write so that this is told; none = it is told well enough.
    fn tell(&mut self, key: &Key, now: Duration, stamp: i128) -> Option<Write> {
        if let Some(entry) = self.entries.get_mut(key)
            && now.saturating_sub(entry.seen) < SERIES
        {
            entry.count = entry.count.saturating_add(1);
            entry.seen = now;
            if now.saturating_sub(entry.written) < SERIES {
                return None;
            }
            entry.written = now;
            return Some(Write::Series { name: entry.name.clone(), count: entry.count });
        }
        if now.saturating_sub(self.tidied) >= TIDY {
            self.entries.retain(|_, entry| now.saturating_sub(entry.seen) < SERIES);
            self.tidied = now;
        }
        self.created += 1;
        let object = truncate(key.about.name.as_deref().unwrap_or("sandbar"), NAME_BYTES);
        let object = object.trim_end_matches(['.', '-']);
        // The count tells apart what happens in one tick of the clock.
        let name = format!("{object}.{stamp:x}-{:x}", self.created);
        self.entries.insert(key.clone(), Entry { name: name.clone(), count: 1, seen: now, written: now });
        Some(Write::Create { name })
    }

    fn forget(&mut self, key: &Key) {
        self.entries.remove(key);
    }
}

struct Writer {
    client: Client,
    clock: ServerClock,
    follow_ups: FollowUps,
    instance: String,
    told: Arc<Mutex<Told>>,
}

impl Writer {
    async fn run(self, mut writes: mpsc::UnboundedReceiver<(Key, Write)>) {
        while let Some((key, write)) = writes.recv().await {
            if let Err(error) = self.deliver(&key, &write).await {
                tracing::warn!(reason = key.reason.as_str(), error, "an Event could not be written");
                // Untold, so that a repeat tries again.
                self.told.lock().unwrap_or_else(PoisonError::into_inner).forget(&key);
            }
        }
    }

    /// Writes until the API server took it or refused it.
    async fn deliver(&self, key: &Key, write: &Write) -> Result<(), String> {
        let since = self.clock.ticks().now();
        let mut tries = 0;
        loop {
            tries += 1;
            let turn = self.follow_ups.turn().await;
            let answer = tokio::time::timeout(WRITE_TIMEOUT, self.write(key, write)).await;
            drop(turn);
            let error = match answer {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(kube::Error::Api(status))) if status.code == 409 && tries > 1 => return Ok(()),
                Ok(Err(kube::Error::Api(status))) if (400..500).contains(&status.code) && status.code != 429 => {
                    return Err(status.message.clone());
                }
                Ok(Err(error)) => chain(&error),
                Err(_) => format!("no answer within {WRITE_TIMEOUT:?}"),
            };
            if self.clock.ticks().now().saturating_sub(since) >= PATIENCE {
                return Err(error);
            }
            tracing::debug!(reason = key.reason.as_str(), error, "an Event is not taken; trying again");
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn write(&self, key: &Key, write: &Write) -> kube::Result<()> {
        // Events about objects without a namespace live in this one.
        let namespace = key.about.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        match write {
            Write::Create { name } => {
                api.create(&PostParams::default(), &self.event(key, namespace, name.clone())).await?;
            }
            Write::Series { name, count } => {
                let series = EventSeries { count: *count, last_observed_time: MicroTime(self.clock.now()) };
                let patch = serde_json::json!({"series": series});
                api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            }
        }
        Ok(())
    }

    fn event(&self, key: &Key, namespace: &str, name: String) -> Event {
        let reason = key.reason.to_string();
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() },
            action: Some(reason.clone()),
            reason: Some(reason),
            note: Some(key.note.clone()),
            type_: Some(key.kind.as_str().to_owned()),
            event_time: Some(MicroTime(self.clock.now())),
            regarding: Some(key.about.clone().reference()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
