//! Waiting for what is measured.

use std::time::{Duration, Instant};

use kube::Client;

use super::Result;
use super::meter::Writes;

/// Waits until nothing was written for `pause`, for `within` at most; gives the writes until then.
pub async fn quiet(client: &Client, pause: Duration, within: Duration) -> Result<Writes> {
    until(within, "an end of the writes", async || {
        let before = Writes::read(client).await?;
        tokio::time::sleep(pause).await;
        let after = Writes::read(client).await?;
        Ok((before == after).then_some(after))
    })
    .await
}

/// Asks every quarter of a second, for `within` at most.
pub async fn until<T>(within: Duration, what: &str, mut ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            return Err(format!("after {} s still waiting for {what}", within.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
