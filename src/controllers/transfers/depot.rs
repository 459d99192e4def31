//! Where files are kept, as the operator sees it: another one in a simulation.

use super::{Purpose, Target};
use crate::api::conditions::Reason;
use async_trait::async_trait;
use jiff::Timestamp;

/// Asked right before something changes that could be another process's by then.
pub type Say<'a> = dyn Fn() -> bool + Send + Sync + 'a;

/// Moves files between sandboxes and snapshots. A snapshot exists once it is whole.
#[async_trait]
pub trait Depot: Send + Sync {
    /// Keeps the files of a sandbox; gives the size of the snapshot in bytes.
    ///
    /// # Errors
    /// [`MoveError`]; then there is no such snapshot, or one that nobody speaks of.
    async fn save(&self, target: &Target, snapshot: &str, may_finish: &Say<'_>) -> Result<u64, MoveError>;

    /// Puts the files of a snapshot into a sandbox, once for each of its containers and purposes; gives the snapshot's
    /// size.
    ///
    /// # Errors
    /// [`MoveError`]; some files may be there then.
    async fn restore(
        &self,
        target: &Target,
        snapshot: &str,
        purpose: Purpose,
        may_unpack: &Say<'_>,
    ) -> Result<u64, MoveError>;

    /// Whether there is such a snapshot; gives its size.
    ///
    /// # Errors
    /// [`MoveError`]; `SnapshotMissing` only where the store says so.
    async fn find(&self, namespace: &str, snapshot: &str) -> Result<u64, MoveError>;

    /// The same, and whether all of it fits its digest.
    ///
    /// # Errors
    /// [`MoveError`].
    async fn check(&self, namespace: &str, snapshot: &str) -> Result<u64, MoveError>;

    /// Removes a snapshot, or what there is of it.
    ///
    /// # Errors
    /// [`MoveError`]; the same call removes what is left.
    async fn remove(&self, namespace: &str, snapshot: &str) -> Result<(), MoveError>;

    /// Snapshots whose names begin so, unfinished ones too; of one namespace or of all.
    ///
    /// # Errors
    /// [`MoveError`]; then nothing is known.
    async fn kept(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<Kept>, MoveError>;
}

/// A snapshot in the store, or what there is of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// When the store last took something in for it.
    pub written: Timestamp,
}

/// Why files were not moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MoveError {
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
    /// The same again could end better without anybody's doing.
    pub passing: bool,
}

impl MoveError {
    /// One that may be gone with the next try.
    pub fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), passing: true }
    }
}
