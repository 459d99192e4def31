//! Sandbar extension, `GET /api/terminal`: a program on a terminal, over a WebSocket. Binary messages are what is typed
//! and what is shown; text messages are JSON, here.

use super::WORKSPACE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most columns or rows of a terminal.
pub const MAX_SIDE: u32 = 1000;

fn columns() -> u32 {
    80
}

fn rows() -> u32 {
    24
}

fn kind() -> String {
    "xterm-256color".to_owned()
}

/// The query of `GET /api/terminal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TerminalRequest {
    /// Width in characters, 1 to [`MAX_SIDE`].
    #[serde(default = "columns")]
    pub cols: u32,
    /// Height in characters, 1 to [`MAX_SIDE`].
    #[serde(default = "rows")]
    pub rows: u32,
    /// Given to `sh -c`; without one a shell for a person runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Working directory; relative ones begin at `/workspace`.
    #[serde(default = "super::workspace")]
    pub cwd: String,
    /// The kind of terminal, for `TERM`.
    #[serde(default = "kind")]
    pub term: String,
}

impl Default for TerminalRequest {
    fn default() -> Self {
        Self { cols: columns(), rows: rows(), command: None, cwd: WORKSPACE.to_owned(), term: kind() }
    }
}

/// A text message from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TerminalControl {
    /// The terminal has another size now: `{"resize": {"cols": 80, "rows": 24}}`.
    Resize {
        /// Width in characters, 1 to [`MAX_SIDE`].
        cols: u32,
        /// Height in characters, 1 to [`MAX_SIDE`].
        rows: u32,
    },
}

/// The one text message from the server, its last message: `{"exit": {"code": 0}}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TerminalEnd {
    /// The program has ended.
    Exit {
        /// As [`super::ExecOutput::exit_code`].
        code: i32,
    },
}
