//! Waiting until a request has its sandbox.

use super::Claims;
use super::fault::{Fault, patiently};
use super::find::reason;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{Phase, Sandbox};
use futures::{StreamExt, pin_mut};
use kube::api::ListParams;
use kube::runtime::watcher;
use std::time::Duration;
use tokio::time::Instant;

/// How often the place in the queue is looked up: it moves without any change to the request itself.
const LOOK: Duration = Duration::from_secs(5);
/// Watch errors in a row before the wait ends.
const ERRORS: u32 = 10;
/// Why files do not come until somebody does something about it.
const NO_FILES: [&str; 4] = [
    Reason::SnapshotMissing.as_str(),
    Reason::SnapshotDamaged.as_str(),
    Reason::TransferFailed.as_str(),
    Reason::NoSnapshotStore.as_str(),
];

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The request's phase.
    pub phase: Phase,
    /// Why, in one word.
    pub reason: Option<String>,
    /// Place in the queue of the pool, from 1, and its length; absent once it has a member, or when unknown.
    pub place: Option<(usize, usize)>,
    /// The member that is being claimed for it, or that it has.
    pub member: Option<String>,
}

/// Why the wait ended without a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// The request is over.
    #[error("request {name} has ended: {reason}{}", .message.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Ended {
        /// The request.
        name: String,
        /// Why, in one word.
        reason: String,
        /// Why, in a sentence.
        message: Option<String>,
    },
    /// It holds a sandbox, and the files that it begins with cannot be put there now.
    #[error("request {name} waits for its files: {message}")]
    NoFiles {
        /// The request.
        name: String,
        /// Why, and the way out.
        message: String,
    },
    /// It holds a sandbox, and its app cannot be used.
    #[error("the app of request {name} is not up: {message}")]
    NoApp {
        /// The request.
        name: String,
        /// Why, with the last lines that it wrote.
        message: String,
    },
    /// Somebody deleted it.
    #[error("request {name} was deleted")]
    Deleted {
        /// The request.
        name: String,
    },
    /// Not ready in time. The request still stands.
    #[error("request {name} is not ready after {} s", .waited.as_secs())]
    TimedOut {
        /// The request.
        name: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The API server cannot be used.
    #[error(transparent)]
    Api(#[from] Fault),
}

impl Claims {
    /// Waits until the request can use its sandbox, and gives the member it has then. Every change is told to `tell`.
    ///
    /// # Errors
    /// [`WaitError`]. Whatever happens here, the request is left as it is.
    pub async fn wait_ready(
        &self,
        request: &Sandbox,
        timeout: Duration,
        mut tell: impl FnMut(&Progress),
    ) -> Result<Sandbox, WaitError> {
        let name = request.metadata.name.clone().unwrap_or_default();
        match tokio::time::timeout(timeout, self.watch_request(request, &name, &mut tell)).await {
            Ok(end) => end,
            Err(_) => Err(WaitError::TimedOut { name, waited: timeout }),
        }
    }

    async fn watch_request(
        &self,
        request: &Sandbox,
        name: &str,
        tell: &mut impl FnMut(&Progress),
    ) -> Result<Sandbox, WaitError> {
        let changes = watcher::watch_object(self.sandboxes.clone(), name);
        pin_mut!(changes);
        let mut queue = tokio::time::interval_at(Instant::now(), LOOK);
        let (mut last, mut errors) = (request.clone(), 0);
        let mut told = None;
        let before = self.bound(request).await?.map(|member| tries_failed(&member)).unwrap_or_default();
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(Some(seen))) if seen.metadata.uid == request.metadata.uid => (last, errors) = (seen, 0),
                    Some(Err(error)) => {
                        errors += 1;
                        endure(error, errors).await?;
                        continue;
                    }
                    _ => return Err(WaitError::Deleted { name: name.to_owned() }),
                },
                _ = queue.tick() => {}
            }
            if let Some(member) = self.settled(&last, name, before).await? {
                return Ok(member);
            }
            let progress = self.progress(&last).await;
            if told.as_ref() != Some(&progress) {
                tell(&progress);
                told = Some(progress);
            }
        }
    }

    /// The member, if the wait is over; none, if it goes on. So many tries to bring its files had failed before.
    async fn settled(&self, request: &Sandbox, name: &str, before: i32) -> Result<Option<Sandbox>, WaitError> {
        if request.is_deleting() {
            return Err(WaitError::Deleted { name: name.to_owned() });
        }
        let status = request.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|condition| condition.type_ == Type::Ready.as_str());
        if matches!(request.phase(), Phase::Ended | Phase::Failed) {
            let ended = status.conditions.iter().find(|told| told.type_ == Type::Ended.as_str());
            let message = ended.or(ready).map(|ready| ready.message.clone()).filter(|message| !message.is_empty());
            return Err(WaitError::Ended { name: name.to_owned(), reason: reason(request), message });
        }
        if let Some(lacking) =
            ready.filter(|ready| ready.status == "False" && NO_FILES.contains(&ready.reason.as_str()))
        {
            // What failed before this wait may be mended since: the next try tells.
            let failed = self.bound(request).await?.map(|member| tries_failed(&member)).unwrap_or_default();
            if failed > 0 && failed == before {
                return Ok(None);
            }
            return Err(WaitError::NoFiles { name: name.to_owned(), message: lacking.message.clone() });
        }
        if is_true(&status.conditions, Type::Ready) {
            if !Self::app_is_up(request, name)? {
                return Ok(None);
            }
            self.bound(request).await.map_err(WaitError::from)
        } else {
            Ok(None)
        }
    }

    /// Whether the app that the request wants answers, where it wants one.
    fn app_is_up(request: &Sandbox, name: &str) -> Result<bool, WaitError> {
        let wanted = request.spec.claim.as_ref().is_some_and(|claim| claim.app.is_some());
        let told = request.status.iter().flat_map(|status| &status.conditions);
        match told.into_iter().find(|told| told.type_ == Type::AppReady.as_str()) {
            _ if !wanted => Ok(true),
            Some(told) if told.status == "True" => Ok(true),
            Some(told) if told.reason != Reason::Launching.as_str() => {
                Err(WaitError::NoApp { name: name.to_owned(), message: told.message.clone() })
            }
            _ => Ok(false),
        }
    }

    /// The member that the request has.
    async fn bound(&self, request: &Sandbox) -> Result<Option<Sandbox>, Fault> {
        let Some(bound) = request.status.as_ref().and_then(|status| status.bound_to.clone()) else { return Ok(None) };
        let member = patiently(|| self.sandboxes.get_opt(&bound.name)).await?;
        // Not this uid: the request is about to learn that its member is gone.
        Ok(member.filter(|member| member.metadata.uid.as_ref() == Some(&bound.uid)))
    }

    async fn progress(&self, request: &Sandbox) -> Progress {
        let status = request.status.clone().unwrap_or_default();
        let member = status.bound_to.map(|bound| bound.name);
        let place = if member.is_none() { self.place(request).await } else { None };
        Progress { phase: request.phase(), reason: status.reason, place, member }
    }

    /// Place of a request among those of its pool that have no member yet. It is told for orientation, so an answer
    /// that does not come is no error.
    async fn place(&self, request: &Sandbox) -> Option<(usize, usize)> {
        let of_pool = ListParams::default().fields(&format!("spec.poolRef.name={}", request.spec.pool_ref.name));
        let list = patiently(|| self.sandboxes.list(&of_pool)).await.ok()?;
        let mut queue: Vec<_> = list.items.iter().filter(|each| is_queued(each)).collect();
        queue.sort_by_key(|each| (each.metadata.creation_timestamp.clone(), each.metadata.name.clone()));
        let before = queue.iter().position(|each| each.metadata.uid == request.metadata.uid)?;
        Some((before + 1, queue.len()))
    }
}

/// Tries to bring the files that its claim begins with.
fn tries_failed(member: &Sandbox) -> i32 {
    member.status.as_ref().and_then(|status| status.claim_files.as_ref()).map_or(0, |files| files.failures)
}

pub(super) fn is_queued(sandbox: &Sandbox) -> bool {
    let bound = sandbox.status.as_ref().is_some_and(|status| status.bound_to.is_some());
    !sandbox.is_member() && !sandbox.is_deleting() && !bound && sandbox.phase() == Phase::Pending
}

/// A broken watch is begun again by itself; one that is forbidden, or never works, ends the wait.
async fn endure(error: watcher::Error, errors: u32) -> Result<(), Fault> {
    let fault = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Fault::from(error),
        watcher::Error::WatchError(status) => Fault::from(kube::Error::Api(status)),
        watcher::Error::NoResourceVersion => Fault::Unclear("a list without a resourceVersion".to_owned()),
    };
    if matches!(fault, Fault::Denied(_)) || errors >= ERRORS {
        return Err(fault);
    }
    super::fault::pause(errors).await;
    Ok(())
}
