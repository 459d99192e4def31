//! The JSON shapes of the in-sandbox API, shared by the server and the client.

mod limits;
mod session;
mod terminal;

pub use limits::Limits;
pub use session::{SessionExec, SessionInfo, SessionOutput, SessionRequest, SessionStarted};
pub use terminal::{MAX_SIDE, TerminalControl, TerminalEnd, TerminalRequest};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where commands start and relative paths begin.
pub const WORKSPACE: &str = "/workspace";

/// Seconds a command may take when the request does not say.
pub const DEFAULT_TIMEOUT: u64 = 120;

/// The longest time-out that is accepted: one day, in seconds.
pub const MAX_TIMEOUT: u64 = 86_400;

fn workspace() -> String {
    WORKSPACE.to_owned()
}

fn default_timeout() -> u64 {
    DEFAULT_TIMEOUT
}

fn terminate() -> i32 {
    15
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `healthy`.
    pub status: String,
    /// What `SANDBOX_MODE` said when the agent started.
    #[serde(default)]
    pub mode: String,
    /// Seconds since the epoch.
    #[serde(default)]
    pub timestamp: f64,
}

/// `POST /api/exec` and `POST /api/exec/stream`: one shell command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecRequest {
    /// Given to `sh -c`.
    pub command: String,
    /// Added to the agent's own environment.
    #[serde(default)]
    pub env: Option<BTreeMap<String, String>>,
    /// Working directory; relative ones begin at `/workspace`.
    #[serde(default = "workspace")]
    pub cwd: String,
    /// Seconds until the whole process group is ended, 1 to [`MAX_TIMEOUT`].
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// Sandbar extension: what each process of it may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl ExecRequest {
    /// A command in `/workspace` with the default time-out and no additional environment.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), env: None, cwd: workspace(), timeout: DEFAULT_TIMEOUT, limits: None }
    }

    /// Sets the time-out in seconds, 1 to [`MAX_TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = seconds;
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<String>) -> Self {
        self.cwd = cwd.into();
        self
    }

    /// Adds one environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.get_or_insert_default().insert(name.into(), value.into());
        self
    }
}

/// The answer to `POST /api/exec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecOutput {
    /// At most [`crate::agent::server::MAX_OUTPUT`] bytes, then a line that says how many were left out.
    pub stdout: String,
    /// Bounded as `stdout`.
    pub stderr: String,
    /// The shell's exit code; minus the signal number when a signal ended it.
    pub exit_code: i32,
}

/// `POST /api/exec/background`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackgroundRequest {
    /// Given to `bash -c`, or `sh -c` where there is no bash.
    pub command: String,
    /// Working directory; relative ones begin at `/workspace`.
    #[serde(default = "workspace")]
    pub cwd: String,
    /// Added to the agent's own environment.
    #[serde(default)]
    pub env: Option<BTreeMap<String, String>>,
    /// Sandbar extension: what each process of it may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

impl BackgroundRequest {
    /// A command in `/workspace` with no additional environment.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into(), cwd: workspace(), env: None, limits: None }
    }
}

/// The answer to `POST /api/exec/background`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackgroundStarted {
    /// Process id, also the id of its process group.
    pub pid: i32,
    /// Sandbox path of the file that holds its output.
    pub log_file: String,
}

/// Whether a background process still has anything running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProcessStatus {
    /// Some process of its group lives.
    Running,
    /// Its whole group is gone.
    Stopped,
}

/// One background process, as listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessInfo {
    /// Process id, also the id of its process group.
    pub pid: i32,
    /// As it was requested.
    pub command: String,
    /// Running or stopped.
    pub status: ProcessStatus,
    /// Sandbox path of the file that holds its output.
    pub log_file: String,
    /// Seconds since the epoch.
    pub started_at: f64,
    /// Sandbar extension: how the command's own process ended, absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// `GET /api/processes/{pid}/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Logs {
    /// Output so far, standard output and error in the order they were written.
    pub logs: String,
}

/// `POST /api/processes/{pid}/kill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillRequest {
    /// Signal number, 0 to 31; 0 only asks whether something could be signalled.
    #[serde(default = "terminate")]
    pub signal: i32,
}

impl Default for KillRequest {
    fn default() -> Self {
        Self { signal: terminate() }
    }
}

/// The answer of routes that only do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Always true: failures are errors.
    pub success: bool,
}

/// `GET /api/files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileList {
    /// Sorted by name.
    pub files: Vec<FileEntry>,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileEntry {
    /// Last part of the path.
    pub name: String,
    /// Sandbox path.
    pub path: String,
    /// Whether it is a directory or a link to one.
    pub is_dir: bool,
    /// Bytes; none for directories.
    pub size: Option<u64>,
    /// Three octal digits, such as `644`.
    pub permissions: String,
}

/// How the content of a file is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// Standard alphabet, padded.
    #[serde(rename = "base64")]
    Base64,
    /// Text as it is; the same as no encoding.
    #[serde(rename = "utf-8", alias = "utf8", alias = "text")]
    Utf8,
}

/// `GET /api/files/content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileContent {
    /// Text, or base64 of the bytes.
    pub content: String,
    /// Sandbox path.
    pub path: String,
    /// Present when the content is not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
}

/// `POST /api/files/content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteRequest {
    /// Sandbox path; missing parent directories are made.
    pub path: String,
    /// Text, or base64 of the bytes.
    pub content: String,
    /// Absent means text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
}

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// Always true: failures are errors.
    pub success: bool,
    /// Sandbox path as it was requested.
    pub path: String,
}

/// A line of output on a stream: `event: stdout`, `event: stderr`, or no event name for logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Without its newline; very long lines come in pieces of 64 KiB.
    pub line: String,
    /// Seconds since the epoch.
    #[serde(default)]
    pub timestamp: f64,
}

/// The last event of a command that ended: `event: exit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// As [`ExecOutput::exit_code`].
    pub code: i32,
    /// From start to exit, in milliseconds.
    #[serde(default)]
    pub duration_ms: u64,
    /// Seconds since the epoch.
    #[serde(default)]
    pub timestamp: f64,
}

/// The last event of a command that was ended: `event: error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamError {
    /// For a person.
    pub message: String,
    /// For a program: `TIMEOUT`; `INTERNAL` (Sandbar extension) when the outcome could not be learned.
    #[serde(default)]
    pub code: String,
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody<D> {
    /// A sentence, or for status 422 a list of [`Violation`]s.
    pub detail: D,
}

/// One thing in a request that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// Always `value_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where: `body`, `query` or `path`, then the field.
    pub loc: Vec<String>,
    /// What is wrong and what would be right.
    pub msg: String,
}
