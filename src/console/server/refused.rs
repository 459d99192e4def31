//! Everything a request can be refused for, as status and JSON.

use crate::agent::wire::ErrorBody;
use crate::console::{ConsoleError, Refusal};
use crate::failure::chain;
use crate::providers::ErrorClass;
use crate::reviews::ReviewError;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Why a request was not done; the text is the answer's `detail`.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// 401: no token.
    #[error("send the token of your kubeconfig as Authorization: Bearer")]
    NoToken,
    /// 403: a user without the right.
    #[error(
        "{user} may not {verb} sandboxes/{subresource} in namespace {namespace}; ask for ClusterRole sandbar-enter there"
    )]
    Forbidden {
        /// The user's name.
        user: String,
        /// The verb that is missing.
        verb: &'static str,
        /// `exec` or `files`.
        subresource: &'static str,
        /// The namespace.
        namespace: String,
    },
    /// 404: no such sandbox; or another one has its name now.
    #[error("there is no sandbox {0} with this UID: its claim has ended")]
    NoSandbox(String),
    /// 409: a sandbox that is not entered this way.
    #[error("{0}")]
    NotNow(String),
    /// 429: too many sessions.
    #[error("too many consoles are open; try again in a moment")]
    Busy,
    /// 404.
    #[error("no such route; sandboxes in mode Worker have commands and files only")]
    NoRoute,
    /// 400.
    #[error("{0}")]
    Bad(String),
    /// 408: the command's time is over and its process group has been ended.
    #[error("Command timed out after {0} s; its processes have been ended")]
    TimedOut(u64),
    /// 401: a token that the cluster does not know. 503: the API server does not say who asks, or what they may.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The console, by what is wrong.
    #[error(transparent)]
    Console(#[from] ConsoleError),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Review(ReviewError::UnknownToken) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } => StatusCode::FORBIDDEN,
            Self::NoSandbox(_) | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NotNow(_) => StatusCode::CONFLICT,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Review(ReviewError::Unsure { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Console(error) => of_console(error),
        }
    }
}

fn of_console(error: &ConsoleError) -> StatusCode {
    match error {
        ConsoleError::NoAddress(error) => match error.class {
            ErrorClass::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_GATEWAY,
        },
        ConsoleError::Path { refusal: Refusal::Absent, .. } => StatusCode::NOT_FOUND,
        ConsoleError::Path { refusal: Refusal::Unreadable | Refusal::Unwritable, .. } => StatusCode::FORBIDDEN,
        ConsoleError::Path { .. } | ConsoleError::Invalid(_) | ConsoleError::Source(_) | ConsoleError::Lacks(_) => {
            StatusCode::BAD_REQUEST
        }
        ConsoleError::Silent(_) => StatusCode::GATEWAY_TIMEOUT,
        ConsoleError::Refused { .. }
        | ConsoleError::Connection { .. }
        | ConsoleError::Ended
        | ConsoleError::Damaged(_)
        | ConsoleError::Protocol(_) => StatusCode::BAD_GATEWAY,
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(ErrorBody { detail: chain(&self) })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
