//! Sessions: shells that keep their state between commands.

use super::{DEFAULT_TIMEOUT, Limits, ProcessStatus, WORKSPACE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /api/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionRequest {
    /// 1 to 64 letters, digits, `.`, `_` and `-`; the first a letter or digit.
    pub session_id: String,
    /// Added to the agent's own environment.
    #[serde(default)]
    pub env: Option<BTreeMap<String, String>>,
    /// Where the shell begins; relative ones begin at `/workspace`.
    #[serde(default = "super::workspace")]
    pub cwd: String,
    /// Sandbar extension: what the shell and each process it starts may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl SessionRequest {
    /// A session in `/workspace` with no additional environment.
    pub fn new(id: impl Into<String>) -> Self {
        Self { session_id: id.into(), env: None, cwd: WORKSPACE.to_owned(), limits: None }
    }
}

/// The answer to `POST /api/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionStarted {
    /// As it was requested.
    pub session_id: String,
    /// The shell's process id, also the id of its terminal's session.
    pub pid: i32,
}

/// `GET /api/sessions/{id}`, and each of `GET /api/sessions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// As it was requested.
    pub session_id: String,
    /// The shell's process id.
    pub pid: i32,
    /// Where the shell is now, as a sandbox path where it is one.
    pub cwd: String,
    /// As it was requested.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether the shell lives.
    pub status: ProcessStatus,
    /// Seconds since the epoch.
    #[serde(default)]
    pub created_at: f64,
}

/// `POST /api/sessions/{id}/exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionExec {
    /// Lines for the session's shell; what they change there stays changed.
    pub command: String,
    /// Seconds until the command is interrupted, 1 to [`super::MAX_TIMEOUT`].
    #[serde(default = "super::default_timeout")]
    pub timeout: u64,
}

impl SessionExec {
    /// A command with the default time-out.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), timeout: DEFAULT_TIMEOUT }
    }

    /// Sets the time-out in seconds, 1 to [`super::MAX_TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = seconds;
        self
    }
}

/// The answer to `POST /api/sessions/{id}/exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionOutput {
    /// What the terminal showed of the command, standard output and error together; line ends are `\n`. At most
    /// [`crate::agent::server::MAX_OUTPUT`] bytes, then a line that says how many were left out.
    pub output: String,
    /// Sandbar extension: the command's exit code, or the shell's where the command has ended it; null where it is
    /// not known: after a time-out, or when the shell was killed.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Sandbar extension: the time was over and the command has been ended; `output` is what it showed until then.
    #[serde(default)]
    pub timed_out: bool,
    /// Sandbar extension: whether the session takes another command.
    #[serde(default = "running")]
    pub status: ProcessStatus,
}

fn running() -> ProcessStatus {
    ProcessStatus::Running
}
