//! Sandboxes without an address of their own: commands and files through the provider's console.
//!
//! The console is a terminal behind a WebSocket ([`Channel`]). Nothing that goes through a terminal is safe as it is:
//! it echoes, it changes line ends, it knows no exit codes and only one output, and its frames are text. So a session
//! ([`session`]) first makes the terminal raw and then runs one script of `scripts/` in place of the console's shell.
//! What the script says comes in lines that begin with a nonce which only this session knows; bytes are base64, lines
//! are numbered, and files carry a digest ([`frame`]). Of the image it needs a POSIX shell and the programs of
//! coreutils or BusyBox ([`session::PROGRAMS`]).
//!
//! People have no way to the provider: [`server`] opens consoles for them, as what Kubernetes says they may do, over
//! the same HTTP API that an agent serves ([`crate::agent::wire`]).

mod address;
mod args;
mod channel;
mod error;
mod exec;
mod files;
pub mod frame;
mod probe;
pub mod server;
pub mod session;

pub use address::sandbox_url;
pub use args::{ConsoleArgs, is_safe};
pub use channel::Channel;
pub use error::{ConsoleError, Refusal};
pub use exec::{Ended, Output, exec};
pub use files::{Download, download, list, upload};
pub use probe::answers;
