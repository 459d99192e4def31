//! What instance sizes cost, as the provider tells.

use super::http::{Call, Http};
use super::wire::SizesAnswer;
use crate::providers::{ErrorClass, ProviderError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Prices change rarely.
const KEPT: Duration = Duration::from_secs(6 * 3_600);

/// Prices in USD per second by size slug, asked for once in a while.
#[derive(Default)]
pub(super) struct Prices {
    known: Mutex<Option<(Instant, BTreeMap<String, f64>)>>,
}

impl Prices {
    /// # Errors
    /// The provider's, or the size does not exist.
    pub(super) async fn of(&self, size: &str, http: &Http) -> Result<f64, ProviderError> {
        let mut known = self.known.lock().await;
        let prices = match known.take().filter(|(at, _)| at.elapsed() < KEPT) {
            Some(kept) => known.insert(kept),
            None => known.insert((Instant::now(), ask(http).await?)),
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
