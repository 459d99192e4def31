//! The ways in which talking to an agent fails.

use crate::agent::wire::ErrorBody;
use crate::failure::chain;
use http::StatusCode;
use serde::Deserialize;
use std::time::Duration;

/// Why an agent did not do what was asked, by what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Nobody answers for the sandbox: no connection, a broken one, or an edge that says so (502, 503, 504, 52x). What
    /// was asked may have happened.
    #[error("the agent cannot be reached: {detail}")]
    Unreachable {
        /// What the network or the edge said.
        detail: String,
    },
    /// 401: no token was sent, or not in a form the agent understands.
    #[error("the agent wants a token: {detail}")]
    Unauthorized {
        /// The agent's words.
        detail: String,
    },
    /// 403: a wrong token, or a path outside the sandbox's folders.
    #[error("the agent refuses: {detail}")]
    Forbidden {
        /// The agent's words.
        detail: String,
    },
    /// 404: no such file, process or route.
    #[error("{detail}")]
    NotFound {
        /// The agent's words.
        detail: String,
    },
    /// 409: something else is under way there, or there are too many; later it may work.
    #[error("{detail}")]
    Busy {
        /// The agent's words.
        detail: String,
    },
    /// 408, or no answer in time.
    #[error("{detail}")]
    Timeout {
        /// The agent's words, or what did not come in time.
        detail: String,
    },
    /// 400, 413, 422, or arguments that cannot be sent.
    #[error("{detail}")]
    Invalid {
        /// The agent's words.
        detail: String,
    },
    /// Anything else: not an agent, or a broken one.
    #[error("unexpected answer of the agent (status {status}): {detail}")]
    Unexpected {
        /// HTTP status.
        status: u16,
        /// What was wrong with it.
        detail: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Sentence(String),
    Violations(Vec<Loose>),
}

/// A violation as any agent may write it: parts of a place may be numbers.
#[derive(Deserialize)]
struct Loose {
    #[serde(default)]
    loc: Vec<serde_json::Value>,
    msg: String,
}

impl Loose {
    fn sentence(&self) -> String {
        let part = |part: &serde_json::Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        format!("{}: {}", self.loc.iter().map(part).collect::<Vec<_>>().join("."), self.msg)
    }
}

impl AgentError {
    pub(super) fn silent(limit: Duration) -> Self {
        Self::Timeout { detail: format!("the agent sent nothing for {} s", limit.as_secs()) }
    }

    pub(super) fn from_transport(error: reqwest::Error) -> Self {
        let detail = chain(&error.without_url());
        Self::Unreachable { detail }
    }

    pub(super) fn from_status(status: StatusCode, body: &[u8]) -> Self {
        let detail = detail(status, body);
        match status.as_u16() {
            401 => Self::Unauthorized { detail },
            403 => Self::Forbidden { detail },
            404 => Self::NotFound { detail },
            409 => Self::Busy { detail },
            408 => Self::Timeout { detail },
            400 | 413 | 422 => Self::Invalid { detail },
            502..=504 | 520..=529 => Self::Unreachable { detail },
            status => Self::Unexpected { status, detail },
        }
    }
}

/// Whether an error's body has the form that an agent gives it.
pub(super) fn is_agents(body: &[u8]) -> bool {
    serde_json::from_slice::<ErrorBody<Detail>>(body).is_ok()
}

/// The agent's own words, or the status where somebody else answered.
fn detail(status: StatusCode, body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody<Detail>>(body) {
        Ok(ErrorBody { detail: Detail::Sentence(text) }) => text,
        Ok(ErrorBody { detail: Detail::Violations(all) }) => {
            all.iter().map(Loose::sentence).collect::<Vec<_>>().join("; ")
        }
        Err(_) => format!("status {status}, without the words of an agent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_html_page_from_the_edge_is_no_answer_of_the_agent() {
        let error = AgentError::from_status(StatusCode::GATEWAY_TIMEOUT, b"<html>504</html>");
        assert!(matches!(error, AgentError::Unreachable { .. }), "{error:?}");
    }

    #[test]
    fn a_violation_names_its_field() {
        let body = br#"{"detail":[{"type":"int_parsing","loc":["body","args",2],"msg":"not a number","input":"x"}]}"#;
        let error = AgentError::from_status(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(error, AgentError::Invalid { detail: "body.args.2: not a number".to_owned() });
    }
}
