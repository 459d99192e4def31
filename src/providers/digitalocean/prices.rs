//! What instance sizes cost, as the provider tells.

use super::catalog::Catalog;
use super::http::Http;
use crate::providers::{ErrorClass, ProviderError};

/// Price of one instance of this size, in USD per second.
///
/// # Errors
/// The provider's, or the size does not exist or has no price.
pub(super) async fn usd_per_second(size: &str, catalog: &Catalog, http: &Http) -> Result<f64, ProviderError> {
    let sizes = catalog.sizes(http).await?;
    let price = sizes.iter().find(|known| known.slug == size).and_then(|known| known.usd_per_second);
    price.ok_or_else(|| {
        let slugs: Vec<&str> = sizes.iter().map(|known| known.slug.as_str()).collect();
        ProviderError {
            class: ErrorClass::Invalid,
            operation: "sizes",
            message: format!("size {size:?} does not exist: use one of {}", slugs.join(", ")),
        }
    })
}
