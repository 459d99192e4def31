//! Files on their way between sandboxes and the snapshot store, beside the reconciles: a pass starts one, looks at
//! what became of it, and never waits.
//!
//! Nothing here survives the process, and nothing has to: a transfer that is not known is done again, and a snapshot
//! exists only when it is whole.

mod depot;
mod store;

pub use depot::{Depot, Kept, MoveError, Say};
pub use store::StoreDepot;

use super::pokes::Pokes;
use super::runtime::lease::LeaseHandle;
use super::sandbox::Guarded;
use crate::api::conditions::Reason;
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
    depot: Option<Arc<dyn Depot>>,
    lease: LeaseHandle,
    pokes: Pokes<Guarded>,
    turns: Arc<Semaphore>,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Transfers {
    /// None yet. Without a store there will be none.
    pub fn new(depot: Option<Arc<dyn Depot>>, lease: LeaseHandle, pokes: Pokes<Guarded>) -> Self {
        Self { depot, lease, pokes, turns: Arc::new(Semaphore::new(AT_ONCE)), entries: Arc::default() }
    }

    /// Whether there is a store.
    pub fn has_store(&self) -> bool {
        self.depot.is_some()
    }

    /// Where files are kept.
    pub fn depot(&self) -> Option<&dyn Depot> {
        self.depot.as_deref()
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
        let Some(depot) = &self.depot else { return };
        let mut entries = self.lock();
        if entries.get(&target.uid).is_some_and(|entry| entry.order == order) {
            return;
        }
        let progress = Arc::new(Mutex::new(Progress::Moving { trouble: None }));
        let uid = target.uid.clone();
        let work = self.clone().work(Arc::clone(depot), target, order.clone(), Arc::clone(&progress));
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

    /// Removes a snapshot that nobody needs any more; one that stays is swept later.
    pub fn discard(&self, namespace: &str, snapshot: String) {
        let Some(depot) = self.depot.clone() else { return };
        let (turns, lease, namespace) = (Arc::clone(&self.turns), self.lease.clone(), namespace.to_owned());
        tokio::spawn(async move {
            let _turn = turns.acquire().await;
            if !lease.is_leader() {
                return;
            }
            if let Err(error) = depot.remove(&namespace, &snapshot).await {
                tracing::warn!(namespace, snapshot, %error, "a snapshot that is not needed any more stays for a while");
            }
        });
    }

    async fn work(self, depot: Arc<dyn Depot>, target: Target, order: Order, progress: Arc<Mutex<Progress>>) {
        let mut pause = PAUSE;
        let tell = |news: Progress| {
            let before = std::mem::replace(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner), news.clone());
            if before != news {
                self.pokes.poke(&target.namespace, &target.name);
            }
        };
        loop {
            let error = match self.try_once(depot.as_ref(), &target, &order).await {
                Ok(bytes) => return tell(Progress::Done { bytes }),
                Err(error) => error,
            };
            tracing::warn!(
                namespace = target.namespace, sandbox = target.name, snapshot = order.snapshot, way = ?order.way,
                %error, "files were not transferred"
            );
            // A snapshot that fails is told, and its next try planned: its holder may want something else by then.
            if order.way == Way::Save || !error.passing {
                return tell(Progress::Failed { reason: error.reason, message: error.message });
            }
            tell(Progress::Moving { trouble: Some(error.message) });
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_once(&self, depot: &dyn Depot, target: &Target, order: &Order) -> Result<u64, MoveError> {
        let _turn = self.turns.acquire().await;
        // A process that was paused over its lease must not touch what its successor kept, nor what the holder has
        // done since the successor put the files there.
        let leads = || self.lease.is_leader();
        let moving = async {
            match order.way {
                Way::Save => depot.save(target, &order.snapshot, &leads).await,
                Way::Restore => depot.restore(target, &order.snapshot, &leads).await,
            }
        };
        tokio::time::timeout(LIMIT, moving).await.unwrap_or_else(|_| {
            Err(MoveError::passing(Reason::TransferFailed, format!("not done within {} s", LIMIT.as_secs())))
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
