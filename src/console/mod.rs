//! Sandboxes without an address of their own: commands and files through the provider's console.
//!
//! The console is a terminal behind a WebSocket ([`channel`]). Nothing that goes through a terminal is safe as it is:
//! it echoes, it changes line ends, it knows no exit codes, and its frames are text.

mod address;
mod args;
mod channel;
mod error;
mod probe;

pub use address::sandbox_url;
pub use args::ConsoleArgs;
pub use channel::Channel;
pub use error::ConsoleError;
pub use probe::answers;
