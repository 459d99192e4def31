//! A complete listing out of pages that may shift while they are read.
//!
//! Pages are offsets: when an app ends, every later one moves up, and one may
//! slip from an unread page into a read one. So after each page the one before
//! it is read again; if it changed, reading restarts from there, with what it
//! shows now. Every app that lives throughout is then seen. The provider's own
//! count is the second witness.

use crate::providers::{Instance, ProviderError};
use std::collections::HashMap;

/// Apps per page: larger answers are known to fail.
pub(super) const PER_PAGE: usize = 100;
/// A listing that needs this many times the calls of a quiet one is given up.
const PATIENCE: u32 = 4;

/// One page as it was answered.
#[derive(Debug)]
pub(super) struct Page {
    /// What is kept of each app, which is little; none of one without an id.
    pub instances: Vec<Option<Instance>>,
    /// How many apps there are in all.
    pub total: usize,
}

/// Where pages come from.
pub(super) trait Pages {
    /// Reads the page with this number, from 1.
    async fn page(&self, number: usize) -> Result<Page, ProviderError>;
}

/// Every app, and the number of calls that it took.
#[derive(Debug)]
pub(super) struct Complete {
    pub instances: Vec<Instance>,
    pub calls: u32,
}

/// A listing that cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListingError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the listing has an app without an id")]
    Nameless,
    #[error("the listing shows {seen} apps and counts {total}")]
    Miscounted { seen: usize, total: usize },
    #[error("the listing kept shifting; given up after {0} calls")]
    Restless(u32),
}

/// How a page looked, to be compared with how it looks later.
#[derive(PartialEq, Eq)]
struct Looks {
    ids: Vec<String>,
    total: usize,
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    instances: HashMap<String, Instance>,
    calls: u32,
    /// Smallest and largest count that any page told.
    totals: Option<(usize, usize)>,
    shifted: bool,
}

impl Seen {
    /// Reads one page into what was seen.
    async fn read(&mut self, pages: &impl Pages, number: usize) -> Result<Looks, ListingError> {
        self.calls += 1;
        let page = pages.page(number).await?;
        let (least, most) = self.totals.unwrap_or((page.total, page.total));
        self.totals = Some((least.min(page.total), most.max(page.total)));
        let mut ids = Vec::with_capacity(page.instances.len());
        for instance in page.instances {
            let instance = instance.ok_or(ListingError::Nameless)?;
            ids.push(instance.id.clone());
            self.instances.insert(instance.id.clone(), instance);
        }
        Ok(Looks { ids, total: page.total })
    }

    fn finish(self) -> Result<Complete, ListingError> {
        let seen = self.instances.len();
        let (least, most) = self.totals.unwrap_or_default();
        // Apps that lived throughout are at most the smallest count; when something came or went while
        // pages were read, what was seen may also hold some that did not.
        let quiet = least == most && !self.shifted;
        if seen < least || (quiet && seen != least) {
            return Err(ListingError::Miscounted { seen, total: least });
        }
        Ok(Complete { instances: self.instances.into_values().collect(), calls: self.calls })
    }
}

/// Reads all pages, with one page of overlap.
pub(super) async fn read(pages: &impl Pages) -> Result<Complete, ListingError> {
    let mut seen = Seen::default();
    let mut here = seen.read(pages, 1).await?;
    let mut number = 1;
    while number * PER_PAGE < here.total {
        let next = seen.read(pages, number + 1).await?;
        let again = seen.read(pages, number).await?;
        // The count must stand still too: an app that came and one that went can leave a page as it was.
        if again == here && next.total == here.total {
            (here, number) = (next, number + 1);
            continue;
        }
        here = again;
        seen.shifted = true;
        let quiet = u32::try_from(2 * here.total.div_ceil(PER_PAGE)).unwrap_or(u32::MAX);
        if seen.calls > quiet.saturating_mul(PATIENCE) {
            return Err(ListingError::Restless(seen.calls));
        }
    }
    seen.finish()
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
