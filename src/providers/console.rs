//! The way to an instance's terminal.

use crate::telemetry::secret::Secret;

/// Address of one session of an instance's terminal: a WebSocket that needs nothing but this address, opens once, and
/// only for a short while.
#[derive(Clone, Debug)]
pub struct ConsoleAddress {
    /// `wss://…`, with the session's token in it.
    pub url: Secret<String>,
}
