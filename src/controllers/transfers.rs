//! Files on their way between sandboxes and the snapshot store, beside the reconciles: a pass starts one, looks at
//! what became of it, and never waits.
//!
//! Nothing here survives the process, and nothing has to: a transfer that is not known is done again, and a snapshot
//! exists only when it is whole.

mod depot;
mod store;
mod turns;

pub use depot::{Depot, Kept, MoveError, Say};
pub use store::StoreDepot;
use turns::Turns;

use super::pokes::Pokes;
use super::runtime::lease::LeaseHandle;
use super::sandbox::Guarded;
use crate::api::conditions::Reason;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The longest that one try may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// The longest that an instance waits for its files from their turn on: for one try, and the turn of another.
pub const RESTORE_LIMIT: Duration = Duration::from_secs(2 * 3600);
/// Between two tries to put files back, or to find them.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Between two looks at a damaged archive, which is read whole each time.
const DAMAGED_PAUSE: Duration = Duration::from_secs(600);

/// What files are put into a sandbox for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The instance begins with them.
    Instance,
    /// The claim begins with them.
    Claim,
    /// The claim's app is run from them.
    App,
}

impl Purpose {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Claim => "claim",
            Self::App => "app",
        }
    }
}

/// Which way the files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Out of the sandbox into the store.
    Save,
    /// Out of the store into the sandbox, instead of what is there; once in a container for each purpose.
    Restore(Purpose),
    /// Nowhere: whether they are in the store at all. Asked until they are.
    Find,
    /// Nowhere: whether they are in the store and fit their digest. Asked until they do.
    Check,
}

impl Way {
    /// Whether it only looks into the store.
    pub fn is_look(self) -> bool {
        matches!(self, Self::Find | Self::Check)
    }
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
    /// It waits for its turn.
    Queued,
    /// On its way; with what went wrong in the last try, if it is one that is repeated.
    Moving {
        /// The last try's error.
        trouble: Option<MoveError>,
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
    /// Base address of its agent; empty where no instance runs and the store is only looked into.
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
    turns: Arc<Turns>,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Transfers {
    /// None yet. Without a store there will be none.
    pub fn new(depot: Option<Arc<dyn Depot>>, lease: LeaseHandle, pokes: Pokes<Guarded>) -> Self {
        Self { depot, lease, pokes, turns: Arc::default(), entries: Arc::default() }
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
        // A look at a manifest holds nothing in memory, and nobody has to wait for it.
        let first = if order.way == Way::Find { Progress::Moving { trouble: None } } else { Progress::Queued };
        let progress = Arc::new(Mutex::new(first));
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
            let _turn = turns.take(&namespace).await;
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
            let new = before != news;
            if new {
                self.pokes.poke(&target.namespace, &target.name);
            }
            new
        };
        loop {
            let turn = match order.way {
                Way::Find => None,
                Way::Save | Way::Restore(_) | Way::Check => Some(self.turns.take(&target.namespace).await),
            };
            if *progress.lock().unwrap_or_else(PoisonError::into_inner) == Progress::Queued {
                tell(Progress::Moving { trouble: None });
            }
            let tried = self.try_once(depot.as_ref(), &target, &order).await;
            drop(turn);
            let error = match tried {
                Ok(bytes) => {
                    tell(Progress::Done { bytes });
                    return;
                }
                Err(error) => error,
            };
            // A snapshot that fails is told, and its next try planned: its holder may want something else by then.
            // What is not in the store may be put back there, and nobody tells when.
            let again = match order.way {
                Way::Save => false,
                Way::Restore(_) => error.passing,
                Way::Find | Way::Check => true,
            };
            // The store's words may be others each time, and those of the first try stand in a status for as long.
            let known = match &*progress.lock().unwrap_or_else(PoisonError::into_inner) {
                Progress::Moving { trouble: Some(known) } if order.way.is_look() => known.reason == error.reason,
                _ => false,
            };
            let (damaged, said) = (error.reason == Reason::SnapshotDamaged, error.to_string());
            let new = !known
                && tell(match again {
                    true => Progress::Moving { trouble: Some(error) },
                    false => Progress::Failed { reason: error.reason, message: error.message },
                });
            // A store that says the same for days says it once.
            if new {
                tracing::warn!(
                    namespace = target.namespace, sandbox = target.name, snapshot = order.snapshot, way = ?order.way,
                    error = said, "files were not transferred"
                );
            }
            if !again {
                return;
            }
            tokio::time::sleep(if damaged { DAMAGED_PAUSE } else { pause }).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_once(&self, depot: &dyn Depot, target: &Target, order: &Order) -> Result<u64, MoveError> {
        // A process that was paused over its lease must not touch what its successor kept, nor what the holder has
        // done since the successor put the files there.
        let leads = || self.lease.is_leader();
        let moving = async {
            match order.way {
                Way::Save => depot.save(target, &order.snapshot, &leads).await,
                Way::Restore(purpose) => depot.restore(target, &order.snapshot, purpose, &leads).await,
                Way::Find => depot.find(&target.namespace, &order.snapshot).await,
                Way::Check => depot.check(&target.namespace, &order.snapshot).await,
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
