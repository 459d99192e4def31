//! The bearer token in front of everything but `/health`.

use super::{Shared, problem::Problem};
use crate::agent::link::LinkKey;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// The agent's token, kept as its digest and as the key of its links only.
#[derive(Clone)]
pub struct Token {
    digest: [u8; 32],
    links: LinkKey,
}

impl Token {
    /// None for an empty text: an empty token would let everybody in.
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() { None } else { Some(Self { digest: digest(text.as_bytes()), links: LinkKey::new(text) }) }
    }

    // Digests have one length, so neither the content nor the length of the
    // token shows in the time this takes.
    pub(super) fn is(&self, candidate: &[u8]) -> bool {
        self.digest.ct_eq(&digest(candidate)).into()
    }

    pub(super) fn links(&self) -> &LinkKey {
        &self.links
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lets a request pass only with the agent's token.
pub async fn require(State(agent): State<Shared>, request: Request, next: Next) -> Result<Response, Problem> {
    let token = agent.token.as_ref().ok_or(Problem::NoToken)?;
    let given = request.headers().get(header::AUTHORIZATION).ok_or(Problem::Unauthorized)?.as_bytes();
    let (scheme, credential) = given.split_at_checked(7).ok_or(Problem::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") || credential.is_empty() {
        return Err(Problem::Unauthorized);
    }
    if token.is(credential) { Ok(next.run(request).await) } else { Err(Problem::WrongToken) }
}
