//! Everything a request can be refused for, as status and JSON.

use crate::claims::{ExtendError, Fault, FindError, ReleaseError, RequestError};
use crate::reviews::ReviewError;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request was not done; the text is the answer's `detail`.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// 401: no token.
    #[error("send the token of your kubeconfig as Authorization: Bearer")]
    NoToken,
    /// 401: a token that the cluster does not know. 503: the API server does not say who asks, or what they may.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// 403: a user without the right.
    #[error("{user} may not {verb} {what} in namespace {namespace}; ask for ClusterRole {role} there")]
    Forbidden {
        /// The user's name.
        user: String,
        /// The verb that is missing.
        verb: &'static str,
        /// The kind, and the name where one is asked for.
        what: String,
        /// The shipped role that has the right.
        role: &'static str,
        /// The namespace.
        namespace: String,
    },
    /// 403: not without a token.
    #[error("{0} needs a token: send the one of your kubeconfig as Authorization: Bearer")]
    NotAnonymous(&'static str),
    /// 404: no such run, or none that this caller may know of.
    #[error("there is no run {0}; it may have ended more than an hour ago")]
    NoRun(String),
    /// 404: no pool has this app.
    #[error("there is no app {app}; there {}", listed(.apps))]
    UnknownApp {
        /// As it was asked for.
        app: String,
        /// Those that can be launched.
        apps: Vec<String>,
    },
    /// 404: no such route.
    #[error("there is no such route")]
    NoRoute,
    /// 405: another method.
    #[error("this route has another method")]
    NoMethod,
    /// 422: a value that does not fit.
    #[error("{field}: {why}")]
    Field {
        /// Which one.
        field: String,
        /// What is wrong, and what would be right.
        why: String,
    },
    /// A body that could not be read, with the status that says why.
    #[error("{why}")]
    Body {
        /// 408, 413, 415 or 422.
        status: StatusCode,
        /// What is wrong.
        why: String,
    },
    /// 409: it was asked for otherwise before, or is over.
    #[error("{0}")]
    Conflict(String),
    /// 429: too many launches within the hour.
    #[error("{whose} launched {limit} runs within the last hour, which is the limit; try again in {after} s")]
    Limited {
        /// Who.
        whose: &'static str,
        /// How many may be launched.
        limit: u32,
        /// Seconds until there is room.
        after: u64,
    },
    /// 431: more headers than anybody needs.
    #[error("the headers have more than {0} bytes")]
    LongHeaders(usize),
    /// 502: the agent in a sandbox is not there.
    #[error("{0}")]
    Gateway(String),
    /// 504: the agent in a sandbox is silent.
    #[error("{0}")]
    GatewayTimeout(String),
    /// 503: the API server did not do its part.
    #[error("{0}")]
    Unavailable(String),
}

fn listed(apps: &[String]) -> String {
    if apps.is_empty() { "are none: no pool has spec.apps".to_owned() } else { format!("is {}", apps.join(", ")) }
}

/// What stands in the body of a refusal.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorBody {
    /// What is wrong, and the way out.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The field that does not fit.
    field: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    /// Those that can be launched.
    apps: Vec<String>,
}

impl Refused {
    /// A value that does not fit.
    pub fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Field { field: field.into(), why: why.into() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Review(ReviewError::UnknownToken) => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::NotAnonymous(_) => StatusCode::FORBIDDEN,
            Self::NoRun(_) | Self::UnknownApp { .. } | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Field { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Body { status, .. } => *status,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::LongHeaders(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Gateway(_) => StatusCode::BAD_GATEWAY,
            Self::GatewayTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Review(ReviewError::Unsure { .. }) | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// When the same can be asked again, in seconds.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Limited { after, .. } => Some(*after),
            _ if self.status() == StatusCode::SERVICE_UNAVAILABLE => Some(1),
            _ => None,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, after, detail) = (self.status(), self.retry_after(), self.to_string());
        if status.is_server_error() {
            tracing::warn!(?detail, "a request could not be done");
        }
        let body = match self {
            Self::Field { field, .. } => ErrorBody { detail, field: Some(field), apps: Vec::new() },
            Self::UnknownApp { apps, .. } => ErrorBody { detail, field: None, apps },
            _ => ErrorBody { detail, field: None, apps: Vec::new() },
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        response
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => Self::Body { status: StatusCode::UNPROCESSABLE_ENTITY, why },
            Fault::Conflict(why) => Self::Conflict(why),
            fault => Self::Unavailable(fault.to_string()),
        }
    }
}

impl From<FindError> for Refused {
    fn from(error: FindError) -> Self {
        match error {
            FindError::BadId(bad) => Self::field("run_id", bad.to_string()),
            FindError::NoRun { id, .. } => Self::NoRun(id),
            FindError::Waiting { .. } | FindError::Ended { .. } => Self::Conflict(error.to_string()),
            FindError::Api(fault) => fault.into(),
        }
    }
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::BadId(bad) => Self::field("run_id", bad.to_string()),
            RequestError::Conflict { .. } | RequestError::Deleting { .. } => Self::Conflict(error.to_string()),
            RequestError::Api(fault) => fault.into(),
        }
    }
}

impl From<ReleaseError> for Refused {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Find(error) => error.into(),
            ReleaseError::Delete { .. } => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<ExtendError> for Refused {
    fn from(error: ExtendError) -> Self {
        match error {
            ExtendError::Find(error) => error.into(),
            ExtendError::Shorter { .. } | ExtendError::TooLong { .. } | ExtendError::Refused { .. } => {
                Self::field("by", error.to_string())
            }
            ExtendError::Api(fault) => fault.into(),
        }
    }
}
