//! What an account contains, as the newest complete listing shows it.

use crate::providers::{Instance, InstancePhase, Listing};
use std::collections::{HashMap, HashSet};
use tokio::time::Instant;

/// One complete listing, indexed.
#[derive(Debug)]
pub struct AccountView {
    /// The listing itself.
    pub listing: Listing,
    /// When the complete listing before this one began.
    pub previous_began: Option<Instant>,
    names: HashMap<String, usize>,
    uids: HashMap<String, Vec<usize>>,
    pools: HashMap<String, Vec<usize>>,
}

impl AccountView {
    /// Indexes a listing. Only instances with the marks of `installation` are
    /// found by UID; names are found whosever they are.
    pub fn new(listing: Listing, previous_began: Option<Instant>, installation: &str) -> Self {
        let mut names = HashMap::new();
        let mut uids: HashMap<String, Vec<usize>> = HashMap::new();
        let mut pools: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, instance) in listing.instances.iter().enumerate() {
            names.entry(instance.name.clone()).or_insert(index);
            if let Some(marks) = instance.marks.as_ref().filter(|marks| marks.installation == installation) {
                uids.entry(marks.uid.clone()).or_default().push(index);
                pools.entry(marks.pool_uid.clone()).or_default().push(index);
            }
        }
        Self { listing, previous_began, names, uids, pools }
    }

    /// The instance with this name, ours or not: names are unique in an account.
    pub fn by_name(&self, name: &str) -> Option<&Instance> {
        self.names.get(name).map(|index| &self.listing.instances[*index])
    }

    /// This installation's instances that belong to the Sandbox with this UID.
    pub fn of_uid(&self, uid: &str) -> impl Iterator<Item = &Instance> {
        self.at(self.uids.get(uid))
    }

    /// This installation's instances that belong to the pool with this UID.
    pub fn with_pool_uid(&self, uid: &str) -> impl Iterator<Item = &Instance> {
        self.at(self.pools.get(uid))
    }

    /// Every instance of this installation.
    pub fn ours(&self) -> impl Iterator<Item = &Instance> {
        self.uids.values().flatten().map(|index| &self.listing.instances[*index])
    }

    fn at<'a>(&'a self, indexes: Option<&'a Vec<usize>>) -> impl Iterator<Item = &'a Instance> {
        indexes.into_iter().flatten().map(|index| &self.listing.instances[*index])
    }
}

/// What is kept of the complete listing before the newest: only what was not in it matters.
#[derive(Debug)]
pub struct Previous {
    /// When it began.
    pub began: Instant,
    names: HashSet<Box<str>>,
}

impl Previous {
    /// What is kept of this view.
    pub fn of(view: &AccountView) -> Self {
        let names = view.names.keys().map(|name| name.as_str().into()).collect();
        Self { began: view.listing.began, names }
    }

    /// Whether it shows an instance of this name.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// A Sandbox whose instance appeared, disappeared or changed between two listings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change {
    /// Namespace of the Sandbox.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What of an instance is worth a look at its Sandbox.
type Looks<'a> = (&'a InstancePhase, &'a Option<String>, &'a Option<String>);

fn looks(view: &AccountView) -> HashMap<&str, (&Instance, Looks<'_>)> {
    view.ours().map(|found| (found.id.as_str(), (found, (&found.phase, &found.url, &found.deployment_id)))).collect()
}

/// The Sandboxes that the newer listing says something new about, each once.
/// Without an older listing everything is new.
pub fn changes(older: Option<&AccountView>, newer: &AccountView) -> Vec<Change> {
    let before = older.map(looks).unwrap_or_default();
    let after = looks(newer);
    let gone = before.iter().filter(|(id, _)| !after.contains_key(*id)).map(|(_, (instance, _))| *instance);
    let other = after
        .iter()
        .filter(|(id, (_, looks))| before.get(*id).is_none_or(|(_, earlier)| earlier != looks))
        .map(|(_, (instance, _))| *instance);
    let mut changes: Vec<Change> = gone.chain(other).filter_map(change).collect();
    changes.sort();
    changes.dedup();
    changes
}

fn change(instance: &Instance) -> Option<Change> {
    let marks = instance.marks.as_ref()?;
    Some(Change { namespace: marks.namespace.clone(), name: marks.name.clone(), uid: marks.uid.clone() })
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
