//! What the provider has on offer: instance sizes and regions, and the nearest
//! ones to what somebody asked for.

use super::http::{Call, Http, unknown};
use super::kept::Kept;
use super::wire::{RegionsAnswer, SizesAnswer};
use crate::api::DigitalOceanProvider;
use crate::api::conditions::Reason;
use crate::providers::{Fit, ProviderError};
use std::sync::Arc;

/// So many others are named where one does not exist.
const NEAREST: usize = 3;

/// An instance size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Size {
    pub slug: String,
    pub usd_per_second: Option<f64>,
    /// It is to be withdrawn.
    pub deprecated: bool,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub slug: String,
    pub continent: String,
    /// Why it is closed to new apps, if it is.
    pub closed: Option<String>,
}

/// The provider's lists, each asked for once in a while.
#[derive(Default)]
pub(super) struct Catalog {
    sizes: Kept<Size>,
    regions: Kept<Region>,
}

impl Catalog {
    /// Every instance size.
    ///
    /// # Errors
    /// The provider's, or its answer lists none.
    pub(super) async fn sizes(&self, http: &Http) -> Result<Arc<[Size]>, ProviderError> {
        self.sizes.get(ask_sizes(http)).await
    }

    /// Whether the provider has the size and the region of this spec.
    ///
    /// # Errors
    /// A list cannot be read, and the other one has nothing against it.
    pub(super) async fn fit(&self, spec: &DigitalOceanProvider, http: &Http) -> Result<Fit, ProviderError> {
        let size = self.sizes(http).await.map(|sizes| size(&spec.size, &sizes));
        let region = self.regions.get(ask_regions(http)).await.map(|regions| region(&spec.region, &regions));
        match (size, region) {
            (Ok(unfit @ Fit::NotOffered { .. }), _) | (_, Ok(unfit @ Fit::NotOffered { .. })) => Ok(unfit),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(size), Ok(_)) => Ok(size),
        }
    }
}

async fn ask_sizes(http: &Http) -> Result<Vec<Size>, ProviderError> {
    let answer: SizesAnswer = http.json(Call::get("sizes", &["apps", "tiers", "instance_sizes"])).await?;
    let size = |size: super::wire::Size| {
        Some(Size { slug: size.slug?, usd_per_second: size.usd_per_second, deprecated: size.deprecation_intent })
    };
    some("sizes", answer.instance_sizes.into_iter().filter_map(size).collect())
}

async fn ask_regions(http: &Http) -> Result<Vec<Region>, ProviderError> {
    let answer: RegionsAnswer = http.json(Call::get("regions", &["apps", "regions"])).await?;
    let region = |region: super::wire::Region| {
        let closed = region.disabled.then(|| region.reason.unwrap_or_default());
        Some(Region { slug: region.slug?, continent: region.continent.unwrap_or_default(), closed })
    };
    some("regions", answer.regions.into_iter().filter_map(region).collect())
}

/// An empty list is no list: it would forbid everything.
fn some<T>(operation: &'static str, list: Vec<T>) -> Result<Vec<T>, ProviderError> {
    if list.is_empty() { Err(unknown(operation, "the answer lists none".to_owned())) } else { Ok(list) }
}

fn size(wanted: &str, sizes: &[Size]) -> Fit {
    let lasting = || nearest(wanted, sizes.iter().filter(|size| !size.deprecated).map(|size| size.slug.as_str()));
    let field = "provider.digitalOcean.size";
    match sizes.iter().find(|size| size.slug == wanted) {
        None => Fit::NotOffered {
            reason: Reason::SizeUnknown,
            message: format!("{field}: the provider has no size {wanted:?}; the nearest are {}", lasting()),
        },
        Some(size) if size.deprecated => Fit::Leaving {
            message: format!("{field}: the provider is about to withdraw {wanted}; change to one of {}", lasting()),
        },
        Some(_) => Fit::Offered,
    }
}

fn region(wanted: &str, regions: &[Region]) -> Fit {
    let field = "provider.digitalOcean.region";
    let found = regions.iter().find(|region| region.slug == wanted);
    let open = || regions.iter().filter(|region| region.closed.is_none());
    let why = match found {
        None => format!("the provider has no region {wanted:?}"),
        Some(Region { closed: Some(reason), .. }) if reason.is_empty() => {
            format!("the provider makes nothing new in {wanted}")
        }
        Some(Region { closed: Some(reason), .. }) => {
            format!("the provider makes nothing new in {wanted} ({reason})")
        }
        Some(_) => return Fit::Offered,
    };
    // The nearest region is one on the same continent, not one with a similar name.
    let (near, far): (Vec<&Region>, Vec<&Region>) =
        open().partition(|region| found.is_some_and(|found| found.continent == region.continent));
    let others: Vec<&str> = near.into_iter().chain(far).map(|region| region.slug.as_str()).take(NEAREST).collect();
    Fit::NotOffered {
        reason: Reason::RegionUnavailable,
        message: format!(
            "{field}: {why}; a pool stays in its region, so make another pool, for example in {}",
            others.join(", ")
        ),
    }
}

/// The names that differ least from what was asked for, for people to choose from.
fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_by_key(|name| strsim::damerau_levenshtein(wanted, name));
    known.truncate(NEAREST);
    known.join(", ")
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
