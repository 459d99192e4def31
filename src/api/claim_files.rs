//! Files that a claim begins with.

use super::Sandbox;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of the snapshot that a claim begins with: its files are put into the sandbox once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimFiles {
    /// Name of the snapshot.
    #[schemars(length(max = 63))]
    pub snapshot: String,
    /// When its files were there; from here on they are the holder's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_at: Option<Time>,
    /// Tries that failed in a row.
    #[serde(default)]
    pub failures: i32,
    /// When the newest of them failed; the next try is computed from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Time>,
}

impl ClaimFiles {
    /// Nothing was tried yet.
    pub fn of(snapshot: &str) -> Self {
        Self { snapshot: snapshot.to_owned(), restored_at: None, failures: 0, failed_at: None }
    }
}

impl Sandbox {
    /// Members: the snapshot that the claim begins with, as long as its files are not there.
    pub fn awaited_snapshot(&self) -> Option<&str> {
        let snapshot = self.held_by()?.snapshot.as_ref()?;
        let files = self.status.as_ref().and_then(|status| status.claim_files.as_ref());
        files.is_none_or(|files| files.restored_at.is_none()).then_some(snapshot.name.as_str())
    }
}
