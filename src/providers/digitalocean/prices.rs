//! What instance sizes cost, as the provider tells.

use super::catalog::Catalog;
use super::http::Http;
use crate::providers::{ErrorClass, ProviderError};
use std::collections::BTreeSet;

/// Price of one instance of this size, in USD per second.
///
/// # Errors
/// The provider's, or the size does not exist or has no price.
pub(super) async fn usd_per_second(size: &str, catalog: &Catalog, http: &Http) -> Result<f64, ProviderError> {
    let sizes = catalog.sizes(http).await?;
    let price = sizes.iter().find(|known| known.slug == size).and_then(|known| known.usd_per_second);
    price.ok_or_else(|| {
        let priced = sizes.iter().filter(|known| known.usd_per_second.is_some());
        let slugs: BTreeSet<&str> = priced.map(|known| known.slug.as_str()).collect();
        let slugs: Vec<&str> = slugs.into_iter().collect();
        ProviderError {
            class: ErrorClass::Invalid,
            operation: "sizes",
            message: format!("size {size:?} does not exist: use one of {}", slugs.join(", ")),
        }
    })
}
