//! Apps on their way up in claimed sandboxes, and watched while they run, beside the reconciles: a pass starts a launch,
//! looks at what became of it, and never waits.
//!
//! Nothing here survives the process, and nothing has to: a launch that is not known is begun again, and every step
//! finds what an earlier process has done.

mod sandbox;
mod steps;

pub use steps::Failure;

use super::agents::Agents;
use super::pokes::Pokes;
use super::runtime::lease::LeaseHandle;
use super::sandbox::Guarded;
use super::transfers::{Depot, Target};
use crate::api::conditions::Reason;
use crate::api::{App, AppSource, LaunchStep, Timings};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

/// One launch: the same order twice is one launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Id of the claim.
    pub run: String,
    /// The attempt whose instance it runs in.
    pub attempt: i32,
    /// The deployment that it runs in.
    pub deployment: Option<String>,
    /// What is launched.
    pub app: App,
    /// Where its files are taken from first.
    pub source: AppSource,
}

/// How an app is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is on its way; with what went wrong in the last try, where a step is tried again.
    Doing {
        /// The step.
        step: LaunchStep,
        /// The last try's error.
        trouble: Option<String>,
    },
    /// It answers.
    Ready,
    /// It has answered, and does not any more; its process is there.
    Silent {
        /// What it did instead.
        message: String,
    },
    /// It ended, or a step failed for good.
    Failed {
        /// In one word.
        reason: Reason,
        /// In a sentence, with the last lines it wrote.
        message: String,
    },
}

/// How far a launch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How the app is.
    pub state: State,
    /// Where its files came from, once that is known.
    pub source: Option<AppSource>,
    /// Why they did not come from where they were to.
    pub fallback: Option<String>,
    /// Its process.
    pub pid: Option<i32>,
    /// What the steps took.
    pub timings: Timings,
}

impl Progress {
    fn begun() -> Self {
        let state = State::Doing { step: LaunchStep::Files, trouble: None };
        Self { state, source: None, fallback: None, pid: None, timings: Timings::default() }
    }
}

/// Where a launch says how far it is.
struct Report {
    progress: Arc<Mutex<Progress>>,
    pokes: Pokes<Guarded>,
}

impl Report {
    /// Changes the progress of the app in `target`; gives it as it is then.
    fn tell(&self, target: &Target, change: impl FnOnce(&mut Progress)) -> Progress {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let before = progress.clone();
        change(&mut progress);
        if *progress != before {
            self.pokes.poke(&target.namespace, &target.name);
        }
        progress.clone()
    }
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

/// Every launch of this process. Cheap to clone.
#[derive(Clone)]
pub struct Launches {
    depot: Option<Arc<dyn Depot>>,
    agents: Agents,
    lease: LeaseHandle,
    pokes: Pokes<Guarded>,
    period: Duration,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl Launches {
    /// None yet. An app that answers is asked again every `period`.
    pub fn new(
        depot: Option<Arc<dyn Depot>>,
        agents: Agents,
        lease: LeaseHandle,
        pokes: Pokes<Guarded>,
        period: Duration,
    ) -> Self {
        Self { depot, agents, lease, pokes, period, entries: Arc::default() }
    }

    /// The launch in a Sandbox, if one was started.
    pub fn of(&self, uid: &str) -> Option<(Order, Progress)> {
        let entries = self.lock();
        let entry = entries.get(uid)?;
        let progress = entry.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some((entry.order.clone(), progress))
    }

    /// Starts a launch, or goes on with one whose process is known; another one of the same Sandbox is not looked after
    /// any more.
    pub fn start(&self, target: Target, order: Order, pid: Option<i32>) {
        let mut entries = self.lock();
        if entries.get(&target.uid).is_some_and(|entry| entry.order == order) {
            return;
        }
        let progress = Arc::new(Mutex::new(Progress { pid, ..Progress::begun() }));
        let uid = target.uid.clone();
        let launch = sandbox::Launch {
            depot: self.depot.clone(),
            agents: self.agents.clone(),
            lease: self.lease.clone(),
            target,
            order: order.clone(),
            agent: OnceCell::new(),
        };
        let report = Report { progress: Arc::clone(&progress), pokes: self.pokes.clone() };
        let task = tokio::spawn(steps::carry_out(launch, self.period, report)).abort_handle();
        entries.insert(uid, Entry { order, task, progress });
    }

    /// Looks after the app of a Sandbox no more.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Looks after none but these any more.
    pub fn retain(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
