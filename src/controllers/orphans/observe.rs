//! Reads everything that one sweep's plan needs: the accounts first and completely, then the Sandboxes live from the
//! API server. In this order an instance without a Sandbox has none; in the other it could be new.

use super::facts::{Memory, Observed, Policy, Sandboxes, Shown};
use super::list::{self, List, ListError};
use crate::api::{CredentialsRef, ProviderSpec, Sandbox};
use crate::controllers::context::Context;
use crate::providers::accounts::Connection;
use crate::providers::{Account, ErrorClass, Instance};
use futures::future::join_all;
use kube::Api;
use kube::api::ListParams;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Sandboxes per page.
const PAGE: u32 = 500;

/// A sweep that could not see enough to decide anything.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The list of orphans cannot be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// The Sandboxes cannot be read completely.
    #[error("the Sandboxes cannot be listed")]
    Sandboxes(#[source] kube::Error),
}

/// The ways into the accounts. One that no pool names any more is kept for as long as it works, so that what a
/// deleted pool left behind is still seen; a new process cannot know it.
#[derive(Default)]
pub struct Handles(BTreeMap<Account, Connection>);

impl Handles {
    /// The way into an account.
    pub fn get(&self, account: &Account) -> Option<&Connection> {
        self.0.get(account)
    }

    /// Takes in what pools and members name now.
    async fn refresh(&mut self, context: &Context) {
        let references = references(context);
        let resolved = references.iter().map(async |(namespace, provider)| {
            context.accounts.resolve(namespace, provider).await.inspect_err(
                |error| tracing::debug!(namespace, %error, "these credentials open no account to sweep for orphans"),
            )
        });
        for connection in join_all(resolved).await.into_iter().flatten() {
            self.0.insert(connection.account.clone(), connection);
        }
    }

    /// Every account's instances, as far as they can be listed completely.
    async fn list(&mut self, context: &Context) -> BTreeMap<Account, Vec<Instance>> {
        let listings = self.0.iter().map(async |(account, connection)| (account, connection.provider.list().await));
        let (mut accounts, mut refused) = (BTreeMap::new(), Vec::new());
        for (account, listing) in join_all(listings).await {
            match listing {
                Ok(listing) => drop(accounts.insert(account.clone(), listing.instances)),
                Err(error) => {
                    tracing::warn!(%account, class = error.class.label(), %error, "not swept for orphans this time");
                    if error.class == ErrorClass::Auth {
                        refused.push(account.clone());
                    }
                }
            }
        }
        for account in refused {
            // The next sweep asks the Secret again, if any pool still names it.
            if let Some(connection) = self.0.remove(&account) {
                context.accounts.forget(&connection);
            }
        }
        accounts
    }
}

/// Every credentials reference in use, once: pools may be gone before the members that were made from them.
fn references(context: &Context) -> Vec<(String, ProviderSpec)> {
    let mut references: BTreeMap<(String, CredentialsRef), ProviderSpec> = BTreeMap::new();
    let mut add = |namespace: &Option<String>, provider: &ProviderSpec| {
        let (Some(namespace), Some(reference)) = (namespace, provider.credentials_ref()) else { return };
        references.entry((namespace.clone(), reference.clone())).or_insert_with(|| provider.clone());
    };
    for pool in context.pools.state().iter().filter_map(|guarded| guarded.0.as_ref().ok()) {
        add(&pool.metadata.namespace, &pool.spec.provider);
    }
    for sandbox in context.sandboxes.state().iter().filter_map(|guarded| guarded.0.as_ref().ok()) {
        if let Some(template) = &sandbox.spec.template {
            add(&sandbox.metadata.namespace, &template.provider);
        }
    }
    references.into_iter().map(|((namespace, _), provider)| (namespace, provider)).collect()
}

/// Observes everything that one sweep decides about, and gives the list as it stands.
///
/// # Errors
/// [`ObserveError`]: nothing may be concluded from half a view. An account that cannot be listed is left out.
pub async fn observe(
    context: &Context,
    handles: &mut Handles,
    memory: &Memory,
) -> Result<(Observed, List), ObserveError> {
    let list = list::read(context).await?;
    handles.refresh(context).await;
    let known: BTreeSet<Account> = handles.0.keys().cloned().collect();
    let accounts = handles.list(context).await;
    let uids = live_uids(context).await.map_err(ObserveError::Sandboxes)?;
    let observed = Observed {
        installation: context.installation.clone(),
        watched: context.watched.clone(),
        policy: Policy {
            mode: context.orphan_mode,
            grace: context.timing.orphan_grace,
            per_sweep: context.timing.orphans_per_sweep,
        },
        now: context.clock.now(),
        uptime: context.clock.ticks().now(),
        unlisted: known.into_iter().filter(|account| !accounts.contains_key(account)).collect(),
        accounts,
        sandboxes: Sandboxes { uids, attempts: attempts(context) },
        memory: memory.clone(),
        shown: Shown { orphans: list.orphans.clone(), approval: list.approval.clone() },
    };
    Ok((observed, list))
}

/// UIDs of all Sandboxes, by their metadata: one that cannot be read otherwise counts as well.
async fn live_uids(context: &Context) -> kube::Result<HashSet<String>> {
    let api: Api<Sandbox> = match &context.watched {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let (mut uids, mut params) = (HashSet::new(), ListParams::default().limit(PAGE));
    loop {
        let page = api.list_metadata(&params).await?;
        uids.extend(page.items.into_iter().filter_map(|object| object.metadata.uid));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(uids),
        }
    }
}

/// The attempt that each readable Sandbox is at. From memory: an attempt never falls, so an old view errs to the safe
/// side, and every delete is preceded by a live look.
fn attempts(context: &Context) -> HashMap<String, i32> {
    let sandboxes = context.sandboxes.state();
    let readable = sandboxes.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    readable.filter_map(|sandbox| attempt(sandbox, &context.installation)).collect()
}

/// UID and attempt of a Sandbox whose status is of this installation.
pub(super) fn attempt(sandbox: &Sandbox, installation: &str) -> Option<(String, i32)> {
    let instance = sandbox.instance().filter(|instance| instance.installation == installation)?;
    Some((sandbox.metadata.uid.clone()?, instance.attempt))
}
