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
    /// The image lacks programs that everything here is made of.
    #[error("the image lacks {0}, which commands and files in mode Worker need; use another image, or mode Service")]
    Lacks(String),
    /// What came is not what was sent: something else wrote to the terminal, or the connection lost some of it.
    #[error("the output came damaged through the console ({0}); nothing of it can be relied on")]
    Damaged(&'static str),
    /// The sandbox says no.
    #[error("{path}: {refusal}")]
    Path {
        /// What was asked for.
        path: String,
        /// Why not.
        refusal: Refusal,
    },
    /// Something that cannot be typed, or is too much.
    #[error("{0}")]
    Invalid(String),
    /// What was to be sent could not be read.
    #[error("the file could not be read to its end: {0}")]
    Source(String),
    /// Something came that is no frame of a console.
    #[error("the console sent something else than a terminal's output: {0}")]
    Protocol(String),
}

/// What the sandbox says of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing has this name.
    #[error("no such file or directory")]
    Absent,
    /// It is a folder, and a file is wanted.
    #[error("is a directory")]
    Folder,
    /// It is neither what is wanted nor a folder.
    #[error("is not of the kind that is wanted")]
    Irregular,
    /// It may not be read.
    #[error("no permission to read it")]
    Unreadable,
    /// It cannot be written: no permission, or no space.
    #[error("cannot be written; see permissions and free space")]
    Unwritable,
}

impl Refusal {
    /// The refusal that the scripts call so.
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "absent" => Some(Self::Absent),
            "folder" => Some(Self::Folder),
            "irregular" => Some(Self::Irregular),
            "unreadable" => Some(Self::Unreadable),
            "unwritable" => Some(Self::Unwritable),
            _ => None,
        }
    }
}
