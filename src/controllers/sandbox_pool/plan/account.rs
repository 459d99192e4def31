//! What the pool may have of its account, where the account's owner bounds it.

use super::budget::Room;
use super::{Draft, Effect};
use crate::api::conditions::Reason;
use crate::api::{ACCOUNT_HOURLY_ANNOTATION, ACCOUNT_MAX_ANNOTATION, OnEmpty};
use crate::controllers::sandbox_pool::facts::AccountFact;
use crate::controllers::sandbox_pool::share::{Claimant, Grant, shares};
use std::time::Duration;

/// Nobody tells when another pool's member goes.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Nobody tells when a Secret or a price list is put right.
const RECHECK: Duration = Duration::from_secs(15);

/// What the account's limits and the other pools in it leave to this one.
pub(super) fn room(draft: &mut Draft<'_>, desired: i32) -> Room {
    let facts = draft.facts;
    let Some(fact) = &facts.account else { return Room::unbounded() };
    if let Some(problem) = &fact.limits.problem {
        draft.again(RECHECK);
        return Room { create: 0, surplus: 0, bound: (Reason::AccountCap, problem.clone()) };
    }
    if fact.unpriced {
        draft.again(RECHECK);
        let message = format!(
            "the provider does not say what the sizes of this account's pools cost, and {ACCOUNT_HOURLY_ANNOTATION} \
             bounds it: nothing is made until it does"
        );
        return Room { create: 0, surplus: 0, bound: (Reason::PriceUnknown, message) };
    }
    let (pools, own) = claimants(draft, fact, desired);
    let grants = shares(&fact.limits, fact.strangers, &pools);
    let Some(grant) = own.and_then(|own| grants.get(own)).copied() else { return Room::unbounded() };
    let wanted = own.map(|own| pools[own].demand()).unwrap_or_default();
    let has = own.map(|own| pools[own].has).unwrap_or_default();
    if has + grant.create < wanted {
        draft.again(LOOK_AGAIN);
        wake(draft, &pools, &grants);
    }
    Room { create: grant.create, surplus: grant.give_back, bound: (Reason::AccountCap, told(fact, &pools, grant)) }
}

/// The account's pools, this one as it is seen now.
fn claimants(draft: &Draft<'_>, fact: &AccountFact, desired: i32) -> (Vec<Claimant>, Option<usize>) {
    let facts = draft.facts;
    let metadata = &facts.pool.metadata;
    let key = (metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default());
    let mut pools = fact.pools.clone();
    let own = pools.iter().position(|pool| pool.key == key);
    if let Some(own) = own.and_then(|own| pools.get_mut(own)) {
        let create = facts.pool.spec.on_empty == OnEmpty::Create;
        own.waiting = if create { facts.queue.len() } else { 0 };
        own.level = usize::try_from(desired).unwrap_or_default();
    }
    (pools, own)
}

/// Those that have something to give back look when they are told.
fn wake(draft: &mut Draft<'_>, pools: &[Claimant], grants: &[Grant]) {
    let giving = pools.iter().zip(grants).filter(|(_, grant)| grant.give_back > 0);
    let keys: Vec<(String, String)> = giving.map(|(pool, _)| pool.key.clone()).collect();
    if !keys.is_empty() {
        draft.effects.push(Effect::WakePools { pools: keys });
    }
}

fn told(fact: &AccountFact, pools: &[Claimant], grant: Grant) -> String {
    let count = pools.iter().map(|pool| pool.has).sum::<usize>() + fact.strangers.0;
    let most = fact.limits.max_sandboxes.map(|most| format!("{ACCOUNT_MAX_ANNOTATION} is {most}"));
    let usd = fact.limits.hourly_usd.map(|usd| format!("{ACCOUNT_HOURLY_ANNOTATION} is {usd}"));
    let limits: Vec<String> = most.into_iter().chain(usd).collect();
    format!(
        "account {} has {count} sandboxes in {} pools and this pool's fair share is {}: {} on the credentials Secret; \
         raise it, lower the warm levels, or wait for claims to end",
        fact.account,
        pools.len(),
        grant.share,
        limits.join(" and ")
    )
}
