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
        return Room { create: 0, bound: (Reason::AccountCap, problem.clone()), ..Room::unbounded() };
    }
    let (pools, own) = claimants(draft, fact, desired);
    let grants = shares(&fact.limits, fact.strangers, &pools);
    let Some((own, grant)) = own.and_then(|own| Some((&pools[own], *grants.get(own)?))) else {
        return Room::unbounded();
    };
    let bound = if own.unpriced {
        draft.again(RECHECK);
        (Reason::PriceUnknown, no_price())
    } else {
        if own.has + grant.create < own.demand() {
            draft.again(LOOK_AGAIN);
            wake(draft, &pools, &grants);
        }
        (Reason::AccountCap, told(fact, &pools, grant))
    };
    Room { create: grant.create, surplus: grant.give_back, owed: grant.give_back, bound }
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

fn no_price() -> String {
    format!(
        "the provider does not say what this pool's size costs, and {ACCOUNT_HOURLY_ANNOTATION} on the credentials Secret \
         bounds the account: nothing is made until it does; take a size from its list, or remove the annotation"
    )
}

/// Without any figure that changes with every sandbox of any pool: all that are short would write (S10).
fn told(fact: &AccountFact, pools: &[Claimant], grant: Grant) -> String {
    let most = fact.limits.max_sandboxes.map(|most| format!("{ACCOUNT_MAX_ANNOTATION} is {most}"));
    let usd = fact.limits.hourly_usd.map(|usd| format!("{ACCOUNT_HOURLY_ANNOTATION} is {usd}"));
    let limits: Vec<String> = most.into_iter().chain(usd).collect();
    let guessed = match &fact.guessed {
        (usd, pools) if !pools.is_empty() => {
            format!(
                "; sandboxes of {} have no known price and count as {} USD per hour each",
                pools.join(", "),
                usd.rough()
            )
        }
        _ => String::new(),
    };
    format!(
        "account {} is used up by its {} pools and this pool's fair share of it is {}: {} on the credentials Secret{guessed}; \
         raise it, lower the warm levels, or wait for claims to end",
        fact.account,
        pools.len(),
        grant.share,
        limits.join(" and ")
    )
}
