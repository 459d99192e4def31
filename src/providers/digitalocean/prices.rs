//! What instance sizes cost, as the provider tells.

use super::http::{Call, Http};
use super::wire::SizesAnswer;
use crate::providers::{ErrorClass, ProviderError};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Prices change rarely.
const KEPT: Duration = Duration::from_secs(6 * 3_600);

/// After a failure nobody is asked for so long: a price is never urgent.
const PAUSE: Duration = Duration::from_secs(60);

/// Prices in USD per second by size slug, asked for once in a while.
#[derive(Default)]
pub(super) struct Prices {
    known: Mutex<Option<(Instant, BTreeMap<String, f64>)>>,
    failed: Mutex<Option<(Instant, ProviderError)>>,
}

impl Prices {
    /// # Errors
    /// The provider's, or the size does not exist.
    pub(super) async fn of(&self, size: &str, http: &Http) -> Result<f64, ProviderError> {
        let mut known = self.known.lock().await;
        let prices = match known.take().filter(|(at, _)| at.elapsed() < KEPT) {
            Some(kept) => known.insert(kept),
            None => {
                let mut failed = self.failed.lock().await;
                if let Some((_, error)) = failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
                    return Err(error.clone());
                }
                match ask(http).await {
                    Ok(prices) => known.insert((Instant::now(), prices)),
                    Err(error) => return Err(failed.insert((Instant::now(), error)).1.clone()),
                }
            }
        };
        prices.1.get(size).copied().ok_or_else(|| {
            let slugs: Vec<&str> = prices.1.keys().map(String::as_str).collect();
            ProviderError {
                class: ErrorClass::Invalid,
                operation: "sizes",
                message: format!("size {size:?} does not exist: use one of {}", slugs.join(", ")),
            }
        })
    }
}

async fn ask(http: &Http) -> Result<BTreeMap<String, f64>, ProviderError> {
    let answer: SizesAnswer = http.json(Call::get("sizes", &["apps", "tiers", "instance_sizes"])).await?;
    Ok(answer.instance_sizes.into_iter().filter_map(|size| Some((size.slug?, size.usd_per_second?))).collect())
}
