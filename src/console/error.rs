//! The ways in which a console fails.

use crate::providers::ProviderError;
use std::time::Duration;

/// Why something could not be done through a console. Never holds its address: whoever has that is in.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The provider did not say where the console is.
    #[error("the provider gives no console: {0}")]
    NoAddress(#[from] ProviderError),
    /// The address was given and does not open.
    #[error("the provider's console refuses its own address ({status}): such an address opens once, and not for long")]
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// The connection could not be made, or broke.
    #[error("the connection to the console {what}: {detail}")]
    Connection {
        /// Such as `broke`.
        what: &'static str,
        /// The network's words.
        detail: String,
    },
    /// The console ended the session before the work was done.
    #[error("the console ended the session before the work was done")]
    Ended,
    /// Nothing came for so long.
    #[error("the console was silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// Something came that is no frame of a console.
    #[error("the console sent something else than a terminal's output: {0}")]
    Protocol(String),
}
