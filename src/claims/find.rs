//! What belongs to a run: its request, its member.

use super::fault::{Fault, patiently};
use super::{BadId, Claims, check_id};
use crate::api::{Phase, Sandbox};
use kube::api::ListParams;

/// Everything in the namespace that carries a run's id.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// The request, if the run was asked for by one.
    pub request: Option<Sandbox>,
    /// The member that is held, going ones included.
    pub member: Option<Sandbox>,
}

/// Why a run was not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Not an id at all.
    #[error(transparent)]
    BadId(#[from] BadId),
    /// Nothing in the namespace carries it.
    #[error("no run {id} in namespace {namespace}")]
    NoRun {
        /// The id.
        id: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// It waits in the queue and has no sandbox yet.
    #[error("run {id} has no sandbox yet")]
    Waiting {
        /// The id.
        id: String,
    },
    /// It is over.
    #[error("run {id} has ended: {reason}")]
    Ended {
        /// The id.
        id: String,
        /// Why, in one word.
        reason: String,
    },
    /// The API server cannot be used.
    #[error(transparent)]
    Api(#[from] Fault),
}

impl Claims {
    /// Everything that carries this run's id; empty if nothing does.
    ///
    /// # Errors
    /// When the id is none, or the API server cannot be used.
    pub async fn find(&self, id: &str) -> Result<Run, FindError> {
        let mut run = Run::default();
        for sandbox in self.carrying(id).await? {
            // A going member with the same id is only of interest while there is no other.
            let place = if sandbox.is_member() { &mut run.member } else { &mut run.request };
            if place.as_ref().is_none_or(Sandbox::is_deleting) {
                *place = Some(sandbox);
            }
        }
        Ok(run)
    }

    /// The member that a run holds now, to work in it.
    ///
    /// # Errors
    /// [`FindError`], which says whether the run is unknown, waiting or over.
    pub async fn held(&self, id: &str) -> Result<Sandbox, FindError> {
        let run = self.find(id).await?;
        let ended = |sandbox: &Sandbox| FindError::Ended { id: id.to_owned(), reason: reason(sandbox) };
        match (run.member, run.request) {
            (Some(member), _) if member.is_deleting() || is_over(&member) => Err(ended(&member)),
            (Some(member), _) => Ok(member),
            (None, Some(request)) if is_over(&request) => Err(ended(&request)),
            (None, Some(_)) => Err(FindError::Waiting { id: id.to_owned() }),
            (None, None) => Err(FindError::NoRun { id: id.to_owned(), namespace: self.namespace.clone() }),
        }
    }

    pub(super) async fn carrying(&self, id: &str) -> Result<Vec<Sandbox>, FindError> {
        check_id(id)?;
        let of_run = ListParams::default().fields(&format!("spec.claim.id={id}"));
        Ok(patiently(|| self.sandboxes.list(&of_run)).await?.items)
    }
}

/// Whether nothing can be done any more in or with this sandbox.
pub(super) fn is_over(sandbox: &Sandbox) -> bool {
    matches!(sandbox.phase(), Phase::Terminating | Phase::Failed | Phase::Ended)
}

/// Why it is as it is, in one word.
pub(super) fn reason(sandbox: &Sandbox) -> String {
    let stored = sandbox.status.as_ref().and_then(|status| status.reason.clone());
    stored
        .unwrap_or_else(|| if sandbox.is_deleting() { "Released".to_owned() } else { format!("{:?}", sandbox.phase()) })
}
