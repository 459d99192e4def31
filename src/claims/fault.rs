//! What an answer of the API server means for the one who asked.

use crate::failure::chain;
use std::time::Duration;

/// Time for one call. The client itself has none, and a claimer's patience is seconds.
const CALL: Duration = Duration::from_secs(10);
/// Calls before an unclear answer is believed to stay one.
const CALLS: u32 = 4;

/// A call to the API server that did not do its job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not allowed, or not known who asks (401, 403).
    #[error("not allowed: {0}")]
    Denied(String),
    /// A rule said no (400, 422).
    #[error("refused: {0}")]
    Refused(String),
    /// No such object, or no such kind (404).
    #[error("not found: {0}")]
    NotFound(String),
    /// The object changed or exists already (409).
    #[error("conflict: {0}")]
    Conflict(String),
    /// The answer is missing or says nothing about the effect (time-out, connection, 429, 5xx).
    #[error("no clear answer from the API server: {0}")]
    Unclear(String),
}

impl From<kube::Error> for Fault {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Self::Denied(status.message.clone()),
                400 | 422 => Self::Refused(status.message.clone()),
                404 => Self::NotFound(status.message.clone()),
                409 => Self::Conflict(status.message.clone()),
                code => Self::Unclear(format!("status {code}: {}", status.message)),
            },
            kube::Error::Auth(error) => Self::Denied(chain(&error)),
            error => Self::Unclear(chain(&error)),
        }
    }
}

/// One call, with a limit on its time.
pub(super) async fn once<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Fault> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::Unclear(format!("none within {} s", CALL.as_secs()))),
    }
}

/// A call that may be repeated without harm, until its answer is clear or patience ends.
pub(super) async fn patiently<T, F: Future<Output = kube::Result<T>>>(call: impl Fn() -> F) -> Result<T, Fault> {
    for again in 1..CALLS {
        match once(call()).await {
            Err(Fault::Unclear(_)) => pause(again).await,
            settled => return settled,
        }
    }
    once(call()).await
}

/// The pause after the n-th try: 100 ms, 200 ms, 400 ms …, at most 2 s.
pub(super) async fn pause(tries: u32) {
    let millis = 100_u64 << tries.clamp(1, 6).saturating_sub(1);
    tokio::time::sleep(Duration::from_millis(millis.min(2000))).await;
}
