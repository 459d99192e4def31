//! Files on their way between sandboxes and the snapshot store, beside the reconciles: a pass starts one, looks at
//! what became of it, and never waits.
//!
//! Nothing here survives the process, and nothing has to: a transfer that is not known is done again, and a snapshot
//! exists only when it is whole.

use super::pokes::Pokes;
use super::runtime::lease::LeaseHandle;
use super::sandbox::Guarded;
use crate::agent::client::AgentClient;
use crate::api::conditions::Reason;
use crate::api::{AGENT_TOKEN_KEY, agent_secret_name};
use crate::artifacts::{Manifest, SaveOptions, SnapshotError, Snapshots, Store, TransferError, Unpack, restore, save};
use crate::failure::chain;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// Transfers at once: each holds some pieces of an archive in memory (up to 20 MiB).
const AT_ONCE: usize = 4;
/// The longest that one try may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// Between two tries to put files back.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Which way the files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Out of the sandbox into the store.
    Save,
    /// Out of the store into the sandbox, instead of what is there.
    Restore,
}

/// One transfer: the same order twice is one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which way.
    pub way: Way,
    /// Name of the snapshot.
    pub snapshot: String,
    /// The attempt whose instance has the files, or gets them.
    pub attempt: i32,
}

/// How far a transfer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// On its way; with what went wrong in the last try, if it is one that is repeated.
    Moving {
        /// The last try's error.
        trouble: Option<String>,
    },
    /// Whole.
    Done {
        /// Bytes of the snapshot.
        bytes: u64,
    },
    /// It failed, and is not repeated by itself.
    Failed {
        /// In one word.
        reason: Reason,
        /// In a sentence.
        message: String,
    },
}

/// Whose files.
#[derive(Clone, Debug)]
pub struct Target {
    /// UID of the Sandbox.
    pub uid: String,
    /// Its namespace: its snapshots are there.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Base address of its agent.
    pub url: String,
    /// The image it runs, for the manifest.
    pub image: Option<String>,
}

struct Entry {
    order: Order,
    task: AbortHandle,
    progress: Arc<Mutex<Progress>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every transfer of this process. Cheap to clone.
#[derive(Clone)]
pub struct Transfers {
    store: Option<Store>,
    client: Client,
    lease: LeaseHandle,
    pokes: Pokes<Guarded>,
    turns: Arc<Semaphore>,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Transfers {
    /// None yet. Without a store there will be none.
    pub fn new(store: Option<Store>, client: Client, lease: LeaseHandle, pokes: Pokes<Guarded>) -> Self {
        Self { store, client, lease, pokes, turns: Arc::new(Semaphore::new(AT_ONCE)), entries: Arc::default() }
    }

    /// Whether there is a store.
    pub fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// The transfer of a Sandbox's files, if one was started.
    pub fn of(&self, uid: &str) -> Option<(Order, Progress)> {
        let entries = self.lock();
        let entry = entries.get(uid)?;
        let progress = entry.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some((entry.order.clone(), progress))
    }

    /// Starts a transfer; another one of the same Sandbox ends.
    pub fn start(&self, target: Target, order: Order) {
        let Some(store) = &self.store else { return };
        let mut entries = self.lock();
        if entries.get(&target.uid).is_some_and(|entry| entry.order == order) {
            return;
        }
        let progress = Arc::new(Mutex::new(Progress::Moving { trouble: None }));
        let (snapshots, uid) = (store.of(&target.namespace), target.uid.clone());
        let work = self.clone().work(snapshots, target, order.clone(), Arc::clone(&progress));
        let task = tokio::spawn(work).abort_handle();
        entries.insert(uid, Entry { order, task, progress });
    }

    /// Ends the transfer of a Sandbox's files, and forgets what became of it.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Forgets all but these.
    pub fn retain(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    /// Removes a snapshot that nobody needs any more; one that stays costs a little and harms nobody.
    pub fn discard(&self, namespace: &str, snapshot: String) {
        let Some(snapshots) = self.store.as_ref().map(|store| store.of(namespace)) else { return };
        let turns = Arc::clone(&self.turns);
        tokio::spawn(async move {
            let _turn = turns.acquire().await;
            if let Err(error) = snapshots.remove(&snapshot).await {
                tracing::warn!(snapshot, error = chain(&error), "a snapshot that is not needed any more stays");
            }
        });
    }

    async fn work(self, snapshots: Snapshots, target: Target, order: Order, progress: Arc<Mutex<Progress>>) {
        let mut pause = PAUSE;
        let tell = |news: Progress| {
            let before = std::mem::replace(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner), news.clone());
            if before != news {
                self.pokes.poke(&target.namespace, &target.name);
            }
        };
        loop {
            let error = match self.try_once(&snapshots, &target, &order).await {
                Ok(manifest) => return tell(Progress::Done { bytes: manifest.size_bytes }),
                Err(error) => error,
            };
            tracing::warn!(
                namespace = target.namespace, sandbox = target.name, snapshot = order.snapshot, way = ?order.way,
                error = chain(&error), "files were not transferred"
            );
            // A snapshot that fails is told, and its next try planned: its holder may want something else by then.
            if order.way == Way::Save || !error.is_passing() {
                return tell(Progress::Failed { reason: error.reason(), message: chain(&error) });
            }
            tell(Progress::Moving { trouble: Some(chain(&error)) });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_once(&self, snapshots: &Snapshots, target: &Target, order: &Order) -> Result<Manifest, JobError> {
        let _turn = self.turns.acquire().await;
        let agent = AgentClient::new(&target.url, Some(&self.token(target).await?)).map_err(TransferError::from)?;
        let moving = async {
            match order.way {
                Way::Save => {
                    let options = SaveOptions { image: target.image.clone(), ..SaveOptions::default() };
                    // A process that was paused over its lease must not replace what its successor kept.
                    save(&agent, snapshots, &order.snapshot, &options, || self.lease.is_leader()).await
                }
                // Nor what its holder has done since the successor put the files there.
                Way::Restore => {
                    restore(&agent, snapshots, &order.snapshot, Unpack::Once, || self.lease.is_leader()).await
                }
            }
        };
        Ok(tokio::time::timeout(LIMIT, moving).await.map_err(|_| JobError::Late)??)
    }

    async fn token(&self, target: &Target) -> Result<String, JobError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &target.namespace);
        let name = agent_secret_name(&target.uid);
        let found = secrets.get_opt(&name).await.map_err(|source| JobError::Api { source: Box::new(source) })?;
        let value = found.and_then(|secret| secret.data).and_then(|mut data| data.remove(AGENT_TOKEN_KEY));
        value.and_then(|value| String::from_utf8(value.0).ok()).ok_or(JobError::NoToken { name })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why one try failed.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("Secret {name} with the agent's token is gone")]
    NoToken { name: String },
    #[error("cannot read the agent's token")]
    Api {
        #[source]
        source: Box<kube::Error>,
    },
    #[error("not done within {} s", LIMIT.as_secs())]
    Late,
}

impl JobError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Transfer(error) => error.is_passing(),
            Self::NoToken { .. } | Self::Api { .. } | Self::Late => true,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::Transfer(TransferError::Snapshot(SnapshotError::Missing { .. } | SnapshotError::BadName(_))) => {
                Reason::SnapshotMissing
            }
            Self::Transfer(TransferError::Snapshot(SnapshotError::Corrupt { .. })) => Reason::SnapshotDamaged,
            _ => Reason::TransferFailed,
        }
    }
}
