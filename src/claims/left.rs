//! Knowing when a run no longer works in its sandbox.

use super::Claims;
use super::find::is_over;
use crate::api::{Phase, Sandbox};
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use std::pin::pin;

/// Why a run no longer works in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The run is over, or the sandbox is.
    Ended,
    /// The run sleeps; when it wakes, its instance is another one.
    Asleep,
}

impl Claims {
    /// Waits until the run no longer works in this member, however long the API server is away meanwhile.
    pub async fn until_left(&self, id: &str, member: &Sandbox) -> Left {
        let name = member.metadata.name.as_deref().unwrap_or_default();
        let mut states = pin!(watcher::watch_object(self.sandboxes.clone(), name).default_backoff());
        while let Some(state) = states.next().await {
            if let Some(left) = state.ok().and_then(|seen| left(id, member, seen.as_ref())) {
                return left;
            }
        }
        Left::Ended
    }
}

/// What the member's state, none if it is gone, says about the run.
fn left(id: &str, member: &Sandbox, seen: Option<&Sandbox>) -> Option<Left> {
    let Some(seen) = seen.filter(|seen| seen.metadata.uid == member.metadata.uid) else { return Some(Left::Ended) };
    let holds = seen.spec.claim.as_ref().is_some_and(|claim| claim.id == id);
    if !holds || seen.is_deleting() || is_over(seen) {
        return Some(Left::Ended);
    }
    matches!(seen.phase(), Phase::Hibernating | Phase::Hibernated).then_some(Left::Asleep)
}
