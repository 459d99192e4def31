//! Hibernation of a claimed member: its files are kept, nothing runs, the claim stays.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Members with a claim: Hibernated keeps the files of /workspace in the snapshot store and ends the instance,
/// Running makes a new one with them. Absent = Running. Nothing but /workspace is kept: no process, no memory, no
/// file elsewhere. Files are copied while the sandbox runs, and what is written meanwhile may be missing: stop what
/// writes first. A waking whose snapshot is not found sleeps on until it is; annotation sandbar.dev/abandon-files
/// with the snapshot's name wakes it without its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OperatingMode {
    /// An instance runs.
    #[default]
    Running,
    /// The files of /workspace are kept in the snapshot store, and no instance costs anything.
    Hibernated,
}

/// A snapshot of the namespace in the operator's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotRef {
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// The newest hibernation of a member, from the wish for it until its files are back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HibernationStatus {
    /// Name of the snapshot that keeps the files, or is to.
    #[schemars(length(max = 63))]
    pub snapshot: String,
    /// Tries to keep the files so far, each under a name of its own.
    #[serde(default)]
    pub tries: i32,
    /// Snapshot of the hibernation before; removed once this one is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub replaces: Option<String>,
    /// When it was begun.
    pub requested_at: Time,
    /// Tries to keep the files that failed in a row.
    #[serde(default)]
    pub failures: i32,
    /// When the newest of them failed; the next try is computed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Time>,
    /// When the files were whole in the store. From here on the instance goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved_at: Option<Time>,
    /// Bytes of the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
    /// When the instance was proved gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hibernated_at: Option<Time>,
    /// When waking began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_requested_at: Option<Time>,
    /// The first attempt of waking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_attempt: Option<i32>,
    /// When the files were back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_at: Option<Time>,
    /// From the wish to wake until the files were back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_seconds: Option<i64>,
    /// When it woke without its files, by its holder's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Time>,
}

impl HibernationStatus {
    /// A hibernation that was just begun; where its files go is not decided yet.
    pub fn begun(replaces: Option<String>, now: Time) -> Self {
        Self {
            snapshot: String::new(),
            tries: 0,
            replaces,
            requested_at: now,
            failures: 0,
            failed_at: None,
            saved_at: None,
            size_bytes: None,
            hibernated_at: None,
            wake_requested_at: None,
            wake_attempt: None,
            restored_at: None,
            wake_seconds: None,
            lost_at: None,
        }
    }

    /// Whether the member runs again, with its files or without.
    pub fn is_over(&self) -> bool {
        self.restored_at.is_some() || self.lost_at.is_some()
    }

    /// Whether the files are in the store and nowhere else.
    pub fn keeps_the_files(&self) -> bool {
        self.saved_at.is_some() && !self.is_over()
    }

    /// Every snapshot that it speaks of.
    pub fn names(&self) -> Vec<String> {
        [&self.snapshot].into_iter().chain(&self.replaces).filter(|name| !name.is_empty()).cloned().collect()
    }

    /// Snapshots that nobody needs when the member ends; what was not put back stays for its holder.
    pub fn left_over(&self) -> Vec<String> {
        let kept = self.lost_at.is_some() || (self.wake_requested_at.is_some() && self.restored_at.is_none());
        let own = (!kept).then(|| self.snapshot.clone());
        own.into_iter().chain(self.replaces.clone()).filter(|name| !name.is_empty()).collect()
    }
}
