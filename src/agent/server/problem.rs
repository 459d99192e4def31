//! Everything a request can be refused for, as status and JSON.

use crate::agent::link::LinkError;
use crate::agent::wire::{ErrorBody, MAX_TIMEOUT, Violation};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Why a request was not done; the text is the answer's `detail`.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// 503: the agent was started without a token and serves only `/health`.
    #[error("the agent has no token: start it with SANDBOX_API_TOKEN set")]
    NoToken,
    /// 503: the agent is ending.
    #[error("the agent is stopping")]
    Stopping,
    /// 401: no header, or not a bearer token.
    #[error("missing or malformed Authorization header, expected `Bearer <token>`")]
    Unauthorized,
    /// 403: another token than the agent's.
    #[error("wrong token")]
    WrongToken,
    /// 403: a signed link that does not open, or not any more.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// 403: a path outside the allowed folders, directly or through a link.
    #[error("path {0:?} is outside /workspace, /home/sandbox and /tmp")]
    Outside(String),
    /// 403: the operating system says no.
    #[error("no permission for {0:?}")]
    Permission(String),
    /// 422: fields that do not fit.
    #[error("the request does not fit the schema")]
    Schema(Vec<Violation>),
    /// 400: fits the schema, but cannot be done.
    #[error("{0}")]
    Bad(String),
    /// 404: no such file, process or route.
    #[error("{0}")]
    NotFound(String),
    /// 409: would be in the way of what is there.
    #[error("{0}")]
    Busy(String),
    /// 405.
    #[error("method not allowed")]
    Method,
    /// 408: the command's time is over and its process group has been ended.
    #[error("Command timed out after {0} s; its processes have been ended")]
    TimedOut(u64),
    /// 413: more than the agent takes or gives in one piece.
    #[error("{what} is larger than {limit} bytes{advice}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Bytes allowed.
        limit: u64,
        /// The way out, beginning with a separator; may be empty.
        advice: &'static str,
    },
    /// 502: the app that was to answer is not there, or broke off.
    #[error("{0}")]
    Gateway(String),
    /// 504: the app that was to answer is silent.
    #[error("{0}")]
    GatewayTimeout(String),
    /// 500: not the caller's fault.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Problem {
    /// One field that does not fit; `place` is `body`, `query` or `path`.
    pub fn field(place: &str, field: &str, message: impl Into<String>) -> Self {
        let loc = [place, field].into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Self::Schema(vec![Violation { kind: "value_error".to_owned(), loc, msg: message.into() }])
    }

    /// A time-out outside its range.
    pub fn timeout(seconds: u64) -> Self {
        Self::field("body", "timeout", format!("{seconds} is not between 1 and {MAX_TIMEOUT} seconds"))
    }

    /// An I/O error on a path that the caller named, by its kind.
    pub fn on_path(path: &str, what: &'static str, error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound(format!("no such file or directory: {path:?}")),
            std::io::ErrorKind::NotADirectory => Self::Bad(format!("a part of {path:?} is not a directory")),
            std::io::ErrorKind::IsADirectory => Self::Bad(format!("{path:?} is a directory")),
            std::io::ErrorKind::PermissionDenied => Self::Permission(path.to_owned()),
            std::io::ErrorKind::InvalidFilename | std::io::ErrorKind::InvalidInput => {
                Self::Bad(format!("{path:?} is not a usable path"))
            }
            _ => Self::Io { what, source: error },
        }
    }

    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongToken | Self::Link(_) | Self::Outside(_) | Self::Permission(_) => StatusCode::FORBIDDEN,
            Self::Schema(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Busy(_) => StatusCode::CONFLICT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Gateway(_) => StatusCode::BAD_GATEWAY,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same in one sentence, for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Schema(all) => all.iter().map(|each| each.msg.as_str()).collect::<Vec<_>>().join("; "),
            other => other.to_string(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, wrong_token) = (self.status(), matches!(self, Self::WrongToken));
        let mut response = match self {
            Self::Schema(violations) => (status, Json(ErrorBody { detail: violations })).into_response(),
            other => (status, Json(ErrorBody { detail: other.to_string() })).into_response(),
        };
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // So that whoever passes requests on with a token can tell it from a path that is closed to everybody.
        if wrong_token {
            let told = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, told);
        }
        response
    }
}
