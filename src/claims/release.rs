//! Giving a run back.

use super::fault::{Fault, patiently};
use super::{Claims, FindError};
use crate::api::Sandbox;
use kube::api::{DeleteParams, Preconditions};

/// What a Sandbox was to the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectRole {
    /// It asked for the run.
    Request,
    /// It was held by the run.
    Member,
}

/// One Sandbox of a released run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedObject {
    /// Its name.
    pub name: String,
    /// What it was.
    pub role: ObjectRole,
    /// False if it was going already.
    pub deleted_now: bool,
}

/// What a release found and did. No objects: the run was gone already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Id of the run.
    pub id: String,
    /// Its request first, then its member.
    pub objects: Vec<ReleasedObject>,
}

/// Why a run could not be released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// It could not be looked up.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It was found, and the API server did not delete it.
    #[error("cannot delete Sandbox {name}: {cause}")]
    Delete {
        /// The object.
        name: String,
        /// What was answered.
        cause: Fault,
    },
}

impl Claims {
    /// Ends a run: its request and its member are deleted, by UID. May be repeated.
    ///
    /// The request goes first: a member whose request is gone is released by the operator, so a stop in between
    /// leaves nothing; the other way round the request could be given another member.
    ///
    /// # Errors
    /// [`ReleaseError`]. A run that nobody knows is no error.
    pub async fn release(&self, id: &str) -> Result<Released, ReleaseError> {
        let mut found = self.carrying(id).await?;
        found.sort_by_key(Sandbox::is_member);
        let mut objects = Vec::new();
        for sandbox in &found {
            if let Some(object) = self.let_go(sandbox).await? {
                objects.push(object);
            }
        }
        Ok(Released { id: id.to_owned(), objects })
    }

    /// Deletes this very object; none if it is gone.
    pub(super) async fn let_go(&self, sandbox: &Sandbox) -> Result<Option<ReleasedObject>, ReleaseError> {
        let name = sandbox.metadata.name.clone().unwrap_or_default();
        let role = if sandbox.is_member() { ObjectRole::Member } else { ObjectRole::Request };
        if sandbox.is_deleting() {
            return Ok(Some(ReleasedObject { name, role, deleted_now: false }));
        }
        let this = Preconditions { uid: sandbox.metadata.uid.clone(), resource_version: None };
        let params = DeleteParams::default().preconditions(this);
        match patiently(|| self.sandboxes.delete(&name, &params)).await {
            Ok(_) => Ok(Some(ReleasedObject { name, role, deleted_now: true })),
            // Gone, or the name belongs to another object by now.
            Err(Fault::NotFound(_) | Fault::Conflict(_)) => Ok(None),
            Err(cause) => Err(ReleaseError::Delete { name, cause }),
        }
    }
}
