//! The way to the provider and back: one request, one answer, nothing repeated.

use crate::failure::chain;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// Longest answer that is read, in bytes: a page of 100 apps is about 0.6 MB.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// No whole answer came back; whether the call took effect is unknown.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// Carries one request to the provider and gives its answer.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request once and waits for its whole answer, for `timeout` at most.
    ///
    /// # Errors
    /// [`TransportError`], never with the address or a token in it.
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, TransportError>;
}

/// Over HTTP.
pub(super) struct Network(reqwest::Client);

impl Network {
    /// # Errors
    /// TLS cannot be set up.
    pub(super) fn new(connect_timeout: Duration) -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("sandbar/", env!("CARGO_PKG_VERSION")))
            // A token must not follow a redirect, and no layer may repeat a create.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(connect_timeout)
            .build()
            .map_err(lost)?;
        Ok(Self(client))
    }
}

/// The URL says nothing that the operation does not, and ids only blow up messages.
fn lost(error: reqwest::Error) -> TransportError {
    TransportError(chain(&error.without_url()))
}

#[async_trait]
impl Transport for Network {
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
        timeout: Duration,
    ) -> Result<http::Response<Bytes>, TransportError> {
        let mut request = reqwest::Request::try_from(request).map_err(lost)?;
        *request.timeout_mut() = Some(timeout);
        let mut answer = self.0.execute(request).await.map_err(lost)?;
        let mut whole = http::Response::new(Bytes::new());
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = answer.headers().clone();
        *whole.body_mut() = match read(&mut answer).await {
            // The status alone tells what an error proves.
            Err(_) if !answer.status().is_success() => Bytes::new(),
            other => other?,
        };
        Ok(whole)
    }
}

async fn read(answer: &mut reqwest::Response) -> Result<Bytes, TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(TransportError(format!("the answer is longer than {MAX_BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
