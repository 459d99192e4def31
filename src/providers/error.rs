//! What a failed provider call proves.

use tokio::time::Instant;

/// What can be concluded from a failed call, and so what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The instance does not exist (404 on get or delete).
    Gone,
    /// The name is in use (409 on create); this call made nothing.
    NameTaken,
    /// The request can never work as it is (400, 422); this call changed nothing.
    Invalid,
    /// The account takes no more instances, while nothing is wrong with the request (422 on
    /// create); this call made nothing. It may work later.
    Quota,
    /// The credentials are refused (401, 403); this call changed nothing.
    Auth,
    /// Too many calls; this call changed nothing. Not before `until`.
    Limited {
        /// When the next call may be made.
        until: Instant,
    },
    /// Nothing is proved: it may have taken effect (5xx, time-out, reset, no JSON).
    Unknown,
}

impl ErrorClass {
    /// The class as a metric label.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::NameTaken => "name_taken",
            Self::Invalid => "invalid",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Limited { .. } => "limited",
            Self::Unknown => "unknown",
        }
    }
}

/// A provider call that did not do what was asked. Never holds a token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct ProviderError {
    /// What it proves.
    pub class: ErrorClass,
    /// The call, such as `create`.
    pub operation: &'static str,
    /// The provider's words, or the transport's.
    pub message: String,
}
