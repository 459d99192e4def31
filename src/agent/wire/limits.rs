//! Sandbar extension: what a command may use at most.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds on each process of a command, not on all of them together (setrlimit(2)); what is absent is bounded by the
/// sandbox alone. Only who has CAP_SYS_RESOURCE can raise them again. Unknown names are refused: a bound with a typo
/// would be none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Address space in MiB, 16 to 1048576: allocations beyond it fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Seconds of computing, 1 to 86400: then SIGXCPU, and SIGKILL a second later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Processes and threads of the agent's user, 1 to 1048576: beyond it none can be started. All that this user runs
    /// in the sandbox counts. Refused where the agent runs as root, whom the system does not bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
    /// Size in MiB up to which a file can be written, 1 to 1048576: then SIGXFSZ. The log of a background process is a
    /// file too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_mib: Option<u64>,
}
