//! The other pools of an account, where its owner bounds what all of them have together.

use super::facts::{AccountFact, Member};
use super::observe::member;
use super::share::Claimant;
use crate::api::conditions::{Type, is_true};
use crate::api::{OnEmpty, POOL_LABEL, Sandbox, SandboxPool, Usd, settled};
use crate::controllers::context::Context;
use crate::controllers::index::{pool_of, readable};
use crate::controllers::sandbox::Guarded;
use crate::controllers::sandbox::observe::queue;
use crate::providers::accounts::{AccountLimits, Connection};
use futures::future::join_all;
use kube::ResourceExt;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

type Place = (String, String);

/// Every pool looks more often than this; a Secret that none names any more bounds nothing.
const KEPT: Duration = Duration::from_secs(900);
/// For so long a pool waits for the Secrets of the others.
const LOOK: Duration = Duration::from_secs(10);

/// What each credentials Secret of an account says, and when it was read.
type BySecret = BTreeMap<Place, (Instant, AccountLimits)>;

/// What this process knows of accounts that are bounded.
#[derive(Debug, Default)]
pub struct Bounded {
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    limits: Mutex<HashMap<String, BySecret>>,
    /// Pools whose Secret was looked at, by UID.
    looked: Mutex<HashSet<String>>,
}

impl Bounded {
    /// What a Secret of the account says.
    pub fn note(&self, account: &str, secret: Place, limits: AccountLimits) {
        let mut known = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(account.to_owned()).or_default().insert(secret, (Instant::now(), limits));
    }

    /// The tightest limits of the account that any of its Secrets tells, as last seen.
    pub fn limits(&self, account: &str) -> AccountLimits {
        let mut known = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_account) = known.get_mut(account) else { return AccountLimits::default() };
        of_account.retain(|_, (seen, _)| seen.elapsed() < KEPT);
        of_account.values().fold(AccountLimits::default(), |all, (_, limits)| all.and(limits))
    }

    /// Those of these pools whose Secret this process never looked at; what it knows of others is forgotten.
    fn unlooked(&self, pools: Vec<Arc<SandboxPool>>) -> Vec<Arc<SandboxPool>> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let there: HashSet<String> = pools.iter().filter_map(|pool| pool.uid()).collect();
        looked.retain(|uid| there.contains(uid));
        pools.into_iter().filter(|pool| pool.uid().is_some_and(|uid| !looked.contains(&uid))).collect()
    }

    fn looked(&self, pools: &[Arc<SandboxPool>]) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.extend(pools.iter().filter_map(|pool| pool.uid()));
    }

    /// Pools of one account look and act one after another: what the one makes, the next one counts.
    pub async fn turn(&self, account: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(account.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

/// Looks once at the Secret of every pool: after a restart, one that nobody looked at yet may bound the account.
pub(super) async fn look_at_all(context: &Context) {
    let all = context.pools.state();
    let pools = all.iter().filter_map(|guarded| guarded.0.as_ref().ok().cloned()).collect();
    let unlooked = context.bounded.unlooked(pools);
    // Others may be out of reach: this pool must not stand still for them, and each goes on looking by itself.
    let _ = tokio::time::timeout(LOOK, join_all(unlooked.iter().map(|pool| look_at(context, pool)))).await;
    context.bounded.looked(&unlooked);
}

/// Notes what the pool's Secret says of its account, which needs no token that works where it is known
/// which account the Secret opened.
pub(super) async fn look_at(context: &Context, pool: &SandboxPool) {
    let (Some(secret), namespace) = (place(pool), pool.namespace().unwrap_or_default()) else { return };
    let provider = &pool.spec.provider;
    let Ok(limits) = context.accounts.limits(&namespace, provider).await else { return };
    if !limits.any() {
        return;
    }
    let known = pool.status.as_ref().and_then(|status| status.account.clone());
    let account = match known {
        Some(account) => account,
        None => match context.accounts.resolve(&namespace, provider).await {
            Ok(connection) => connection.account.0,
            Err(_) => return,
        },
    };
    context.bounded.note(&account, secret, limits);
}

/// What sizes cost in an account, by slug. Asked for before the turn is taken: it may take long.
pub(super) async fn prices(
    context: &Context,
    pool: &Arc<SandboxPool>,
    connection: &Connection,
) -> HashMap<String, Usd> {
    let mut prices = HashMap::new();
    for (_, sibling) in pools_of(context, pool, connection) {
        let Some(size) = size(&sibling) else { continue };
        if prices.contains_key(&size) {
            continue;
        }
        if let Ok(price) = connection.provider.usd_per_second(&size).await {
            prices.insert(size, Usd::per_hour(price));
        }
    }
    prices
}

fn size(pool: &SandboxPool) -> Option<String> {
    pool.spec.provider.digital_ocean.as_ref().map(|provider| provider.size.clone())
}

pub(super) fn place(pool: &SandboxPool) -> Option<Place> {
    Some(pool.spec.provider.credentials_ref()?.place(&pool.namespace()?))
}

/// The pool itself, and every other one whose instances are in the account or would be.
fn pools_of(context: &Context, own: &Arc<SandboxPool>, connection: &Connection) -> BTreeMap<Place, Arc<SandboxPool>> {
    let secret = (connection.secret_namespace.clone(), connection.secret_name.clone());
    let here = |pool: &SandboxPool| match pool.status.as_ref().and_then(|status| status.account.as_ref()) {
        Some(account) => *account == connection.account.0,
        None => place(pool).as_ref() == Some(&secret),
    };
    let key = |pool: &SandboxPool| (pool.namespace().unwrap_or_default(), pool.name_any());
    let all = context.pools.state();
    let readable = all.iter().filter_map(|guarded| guarded.0.as_ref().ok());
    let mut pools: BTreeMap<Place, Arc<SandboxPool>> =
        readable.filter(|pool| here(pool)).map(|pool| (key(pool), Arc::clone(pool))).collect();
    pools.insert(key(own), Arc::clone(own));
    pools
}

/// Every pool of the account, with what it has and wants.
pub(super) fn observe(
    context: &Context,
    pool: &Arc<SandboxPool>,
    connection: &Connection,
    limits: AccountLimits,
    prices: &HashMap<String, Usd>,
) -> AccountFact {
    let pools = pools_of(context, pool, connection);
    let price = |pool: &SandboxPool| size(pool).and_then(|size| prices.get(&size).copied());
    let budgeted = limits.hourly_usd.is_some();
    // The provider tells no price of a size that it withdrew: it counts as the dearest in use.
    let guess = prices.values().copied().max().unwrap_or_default();
    let (mut claimants, mut guessed) = (Vec::new(), Vec::new());
    for (key, pool) in &pools {
        let (claimant, known) = claimant(context, key, pool, price(pool).unwrap_or_default());
        let priced = !budgeted || price(pool).is_some();
        if !priced && known.len() < claimant.has {
            guessed.push(format!("{}/{}", key.0, key.1));
        }
        claimants.push(if priced { claimant } else { claimant.without_price(&known, guess) });
    }
    AccountFact {
        account: connection.account.0.clone(),
        limits,
        guessed: (guess, guessed),
        strangers: strangers(context, connection, &pools),
        pools: claimants,
    }
}

/// What a pool has and wants, and what those of its members cost that tell it.
fn claimant(context: &Context, key: &Place, pool: &SandboxPool, price: Usd) -> (Claimant, Vec<Usd>) {
    let (namespace, name) = key;
    let all = context.index.sandboxes(&context.sandboxes, namespace, name);
    let bound: HashSet<&str> = readable(&all).filter_map(super::observe::binding).collect();
    let template = pool.spec.template(&pool.uid().unwrap_or_default(), pool.metadata.generation.unwrap_or_default());
    let members: Vec<Member> = readable(&all).filter_map(|sandbox| member(sandbox, &bound, &template)).collect();
    let seen: HashSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let unseen = context.pool_memory.unseen(&pool.uid().unwrap_or_default(), &seen).len();
    let has = members.len() + unseen + all.iter().filter(|guarded| guarded.0.is_err()).count();
    let free = members.iter().filter(|member| member.is_free()).count() + unseen;
    let able = is_able(pool);
    let status = pool.status.clone().unwrap_or_default();
    let level = if status.observed_generation.is_some_and(|seen| seen != settled::UNSEEN) {
        status.desired_warm
    } else {
        pool.spec.warm.target
    };
    let waiting = if pool.spec.on_empty == OnEmpty::Create { queue(readable(&all)).len() } else { 0 };
    let cost = |member: &Member| match member.cost.ended_at {
        Some(_) => Some(Usd::ZERO),
        None => member.cost.usd_per_hour,
    };
    let known = members.iter().filter_map(cost).collect();
    let claimant = Claimant {
        key: key.clone(),
        has,
        busy: has - free,
        waiting: if able { waiting } else { 0 },
        level: if able { usize::try_from(level).unwrap_or_default() } else { 0 },
        most: usize::try_from(pool.spec.limits.max_sandboxes).unwrap_or_default(),
        price,
        unpriced: false,
    };
    (claimant, known)
}

/// Whether the pool could make members: nothing is kept free for one that cannot.
fn is_able(pool: &SandboxPool) -> bool {
    let status = pool.status.clone().unwrap_or_default();
    let shut = status
        .conditions
        .iter()
        .any(|condition| condition.type_ == Type::ProviderReachable.as_str() && condition.status == "False");
    let failing = status.failures.is_some_and(|failures| failures.consecutive > 0);
    let poor = is_true(&status.conditions, Type::BudgetExceeded);
    pool.metadata.deletion_timestamp.is_none() && !shut && !failing && !poor
}

/// Members in the account that belong to none of its pools, and what they cost.
fn strangers(context: &Context, connection: &Connection, pools: &BTreeMap<Place, Arc<SandboxPool>>) -> (usize, Usd) {
    let (mut count, mut usd) = (0, Usd::ZERO);
    for guarded in context.sandboxes.state() {
        let key = (guarded.namespace().unwrap_or_default(), pool_of(&guarded).unwrap_or_default());
        if pools.contains_key(&key) || !may_be_in(&guarded, connection) {
            continue;
        }
        count += 1;
        let cost = guarded.0.as_ref().ok().and_then(|sandbox| sandbox.status.as_ref()?.cost.as_ref()?.usd_per_hour);
        usd += cost.unwrap_or_default();
    }
    (count, usd)
}

/// Whether an object has an instance in the account, or could have: what cannot be read counts.
fn may_be_in(guarded: &Guarded, connection: &Connection) -> bool {
    let sandbox: &Sandbox = match &guarded.0 {
        Ok(sandbox) => sandbox,
        Err(unreadable) => {
            return unreadable.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(POOL_LABEL));
        }
    };
    let Some(template) = sandbox.spec.template.as_ref().filter(|_| sandbox.is_member()) else { return false };
    match sandbox.instance() {
        Some(instance) => instance.account == connection.account.0,
        None => template.provider.credentials_ref().is_some_and(|secret| {
            secret.place(&sandbox.namespace().unwrap_or_default())
                == (connection.secret_namespace.clone(), connection.secret_name.clone())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(count: usize) -> AccountLimits {
        AccountLimits { max_sandboxes: Some(count), ..AccountLimits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_bounds_its_account_however_it_was_looked_at_s5() {
        let bounded = Bounded::default();
        let secret = |name: &str| ("ns".to_owned(), name.to_owned());
        assert!(!bounded.limits("team-1").any());
        bounded.note("team-1", secret("open"), AccountLimits::default());
        // Another pool's Secret: nobody's turn came yet, or its token is refused by now.
        bounded.note("team-1", secret("tight"), most(2));
        bounded.note("team-2", secret("other"), most(1));
        assert_eq!(bounded.limits("team-1"), most(2));
        tokio::time::advance(KEPT).await;
        assert!(!bounded.limits("team-1").any(), "no pool names it any more");
    }

    #[test]
    fn every_pool_is_looked_at_once_and_again_when_it_is_another_one() {
        let pool = |uid: &str| {
            let spec = serde_json::json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": "a", "uid": uid}, "spec": {
                "provider": {"digitalOcean": {"region": "nyc", "size": "s",
                    "credentialsRef": {"name": "do", "key": "token"}}},
                "image": {"registryType": "GHCR", "registry": "r", "repository": "i", "tag": "1"},
                "limits": {"maxSandboxes": 1}, "warm": {"target": 0}}});
            Arc::new(serde_json::from_value::<SandboxPool>(spec).expect("a pool"))
        };
        let bounded = Bounded::default();
        let count = |uids: &[&str]| bounded.unlooked(uids.iter().map(|uid| pool(uid)).collect()).len();
        assert_eq!(count(&["1", "2"]), 2);
        bounded.looked(&[pool("1")]);
        assert_eq!(count(&["1", "2"]), 1);
        assert_eq!(count(&["2"]), 1);
        assert_eq!(count(&["1"]), 1, "what went is forgotten");
    }
}
