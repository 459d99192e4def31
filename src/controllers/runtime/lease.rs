//! Leadership held by a Lease: the election's rules ([`super::election`])
//! driven against the API server, and the fence that keeps a process that is
//! no longer sure from writing.

use super::election::{Election, Next, Timings};
use super::ticks::Ticks;
use crate::api::hash_share;
use crate::failure::chain;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Says at any moment for how much longer this process may write. Cheap to
/// clone and to ask.
#[derive(Clone, Debug)]
pub struct LeaseHandle {
    ticks: Ticks,
    /// Microseconds of `ticks`; zero = not the leader.
    until: Arc<AtomicU64>,
}

impl LeaseHandle {
    fn new(ticks: Ticks) -> Self {
        Self { ticks, until: Arc::default() }
    }

    /// A handle that is never fenced, for processes that run alone and for tests.
    pub fn unfenced() -> Self {
        Self { ticks: Ticks::real(), until: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Time left in which a write or a provider call may be started and must
    /// be bounded by; zero = not the leader.
    pub fn valid_for(&self) -> Duration {
        Duration::from_micros(self.until.load(Ordering::SeqCst)).saturating_sub(self.ticks.now())
    }

    /// Whether this process leads now.
    pub fn is_leader(&self) -> bool {
        !self.valid_for().is_zero()
    }

    /// Closes the fence for all clones, until the lease is renewed: for a
    /// process that stops its work before it lets go.
    pub fn close(&self) {
        self.set(None);
    }

    fn set(&self, until: Option<Duration>) {
        let micros = until.map_or(0, |until| u64::try_from(until.as_micros()).unwrap_or(u64::MAX));
        self.until.store(micros, Ordering::SeqCst);
    }
}

/// This process leads, until [`lost`](Self::lost) resolves or
/// [`release`](Self::release) is called. Dropping it stops the renewals and
/// closes the fence, but makes rivals wait the lease out.
#[derive(Debug)]
pub struct Leadership {
    handle: LeaseHandle,
    lost: watch::Receiver<bool>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// A name for one process: `base` plus something nobody else has. Two
/// processes under one name would both think they hold the lease.
pub fn unique_identity(base: &str) -> String {
    format!("{base}_{}", uuid::Uuid::new_v4())
}

impl Leadership {
    /// Waits until this process leads. `client` must not repeat requests by
    /// itself ([`super::client::build_client`] makes one that does not);
    /// `identity` comes from [`unique_identity`]; `timings` passed
    /// [`Timings::check`].
    pub async fn acquire(
        client: Client,
        namespace: &str,
        lease_name: &str,
        identity: &str,
        timings: Timings,
    ) -> Leadership {
        Self::acquire_at(Ticks::real(), client, namespace, lease_name, identity, timings).await
    }

    /// The same on this clock.
    pub async fn acquire_at(
        ticks: Ticks,
        client: Client,
        namespace: &str,
        lease_name: &str,
        identity: &str,
        timings: Timings,
    ) -> Leadership {
        let handle = LeaseHandle::new(ticks.clone());
        let mut driver = Driver {
            api: Api::namespaced(client, namespace),
            name: lease_name.to_owned(),
            identity: identity.to_owned(),
            timings,
            election: Election::new(identity.to_owned(), timings),
            ticks,
            handle: handle.clone(),
            seen_holder: None,
        };
        while !handle.is_leader() {
            match driver.step().await {
                Step::Go => {}
                // Spread, so that rivals do not read and write in step.
                Step::Wait(wait) => {
                    tokio::time::sleep(wait.mul_f64(1.0 + hash_share(identity) / 5.0)).await;
                }
                // Won and stopped for so long that it was over before it began.
                Step::Lost => driver.election = Election::new(driver.identity.clone(), timings),
            }
        }
        tracing::info!(lease = lease_name, namespace, identity, "leading");
        let (lost_sender, lost) = watch::channel(false);
        let stop = CancellationToken::new();
        let task = tokio::spawn(driver.hold(stop.clone(), lost_sender));
        Leadership { handle, lost, stop, task: Some(task) }
    }

    /// The fence, for everything that writes.
    pub fn handle(&self) -> LeaseHandle {
        self.handle.clone()
    }

    /// Time left in which a write may be started; zero = not the leader.
    pub fn valid_for(&self) -> Duration {
        self.handle.valid_for()
    }

    /// Resolves when leadership is lost. The process must then end: whatever
    /// it believed about the world may be old.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut lost = self.lost.clone();
        async move {
            // An error means that the task ended, which is a loss as well.
            let _ = lost.wait_for(|lost| *lost).await;
        }
    }

    /// Gives the lease up after all work has stopped, so that a rival need
    /// not wait it out. Takes at most half of the renew deadline.
    pub async fn release(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // It only fails if it panicked, and then the lease runs out by itself.
            let _ = task.await;
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            self.handle.set(None);
        }
    }
}

enum Step {
    Go,
    Wait(Duration),
    Lost,
}

struct Driver {
    api: Api<Lease>,
    name: String,
    identity: String,
    timings: Timings,
    election: Election,
    ticks: Ticks,
    handle: LeaseHandle,
    seen_holder: Option<String>,
}

impl Driver {
    /// Does the one thing the election wants next, and moves the fence.
    async fn step(&mut self) -> Step {
        match self.election.next(self.ticks.now(), self.ticks.wall()) {
            Next::Read => {
                let lease = self.bounded("read", self.api.get_opt(&self.name)).await;
                self.election.read(lease, self.ticks.now());
                self.tell_holder();
            }
            Next::Create(mut lease) => {
                lease.metadata.name = Some(self.name.clone());
                let lease = self.bounded("create", self.api.create(&PostParams::default(), &lease)).await;
                self.election.written(lease, self.ticks.now());
            }
            Next::Replace(lease) => {
                let lease = self.bounded("renew", self.api.replace(&self.name, &PostParams::default(), &lease)).await;
                self.election.written(lease, self.ticks.now());
            }
            Next::Wait(wait) => return Step::Wait(wait),
            Next::Lost => {
                self.handle.set(None);
                return Step::Lost;
            }
        }
        self.handle.set(self.election.valid_until());
        Step::Go
    }

    async fn bounded<T>(&self, what: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, ()> {
        match tokio::time::timeout(self.timings.attempt_timeout(), request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
                tracing::debug!(lease = self.name, "somebody else wrote the lease first");
                Err(())
            }
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, error = chain(&error), "cannot {what} the lease");
                Err(())
            }
            Err(_) => {
                tracing::warn!(lease = self.name, "no answer in time to {what} the lease");
                Err(())
            }
        }
    }

    fn tell_holder(&mut self) {
        let holder = self.election.holder().map(str::to_owned);
        if holder != self.seen_holder {
            if let Some(holder) = holder.as_deref().filter(|holder| *holder != self.identity) {
                tracing::info!(lease = self.name, holder, "standing by");
            }
            self.seen_holder = holder;
        }
    }

    /// Renews until the lease is lost or to be released.
    async fn hold(mut self, stop: CancellationToken, lost: watch::Sender<bool>) {
        loop {
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                step = self.step() => step,
            };
            match step {
                Step::Go => {}
                Step::Wait(wait) => {
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
                Step::Lost => {
                    tracing::error!(lease = self.name, identity = self.identity, "leadership lost");
                    let _ = lost.send(true);
                    return;
                }
            }
        }
        self.handle.set(None);
        if let Some(lease) = self.election.release(self.ticks.now(), self.ticks.wall())
            && self.bounded("release", self.api.replace(&self.name, &PostParams::default(), &lease)).await.is_ok()
        {
            tracing::info!(lease = self.name, identity = self.identity, "leadership released");
        }
        let _ = lost.send(true);
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
