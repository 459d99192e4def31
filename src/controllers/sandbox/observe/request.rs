//! A request: its pool, its place in the queue, who could be had, and whom it has.

use super::ObserveError;
use crate::api::{ObjectUid, Phase, Sandbox, SandboxPool};
use crate::controllers::context::Context;
use crate::controllers::index::readable;
use crate::controllers::sandbox::facts::{BoundFact, Candidate, PoolFact, RequestFacts, candidate};
use kube::Api;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) async fn observe(context: &Context, sandbox: &Arc<Sandbox>) -> Result<RequestFacts, ObserveError> {
    let namespace = sandbox.metadata.namespace.clone().unwrap_or_default();
    let siblings = context.index.sandboxes(&context.sandboxes, &namespace, &sandbox.spec.pool_ref.name);
    let members = readable(&siblings).filter(|sandbox| sandbox.is_member()).count();
    let pool = pool(context, &namespace, &sandbox.spec.pool_ref.name, members).await?;
    let bound = bound(context, sandbox, &namespace).await?;
    let candidates = candidates(readable(&siblings));
    let ahead = queue(readable(&siblings))
        .into_iter()
        .take_while(|waiting| waiting.metadata.uid != sandbox.metadata.uid)
        .count();
    Ok(RequestFacts { sandbox: Arc::clone(sandbox), now: context.clock.now(), pool, bound, candidates, ahead })
}

async fn pool(context: &Context, namespace: &str, name: &str, members: usize) -> Result<PoolFact, ObserveError> {
    let cached = context.pools.get(&ObjectRef::new(name).within(namespace));
    let known = cached.as_ref().and_then(|guarded| guarded.0.as_ref().ok()).map(Arc::clone);
    let pool = match known {
        Some(pool) => Some(pool),
        None => {
            let api: Api<SandboxPool> = Api::namespaced(context.client.clone(), namespace);
            api.get_opt(name).await.map_err(|source| ObserveError::Api { what: "the pool", source })?.map(Arc::new)
        }
    };
    Ok(pool.map_or(PoolFact::Missing, |pool| PoolFact::Present {
        on_empty: pool.spec.on_empty,
        default_ttl: pool.spec.claims.default_ttl,
        max_ttl: pool.spec.claims.max_ttl,
        wait_timeout: pool.spec.claims.wait_timeout,
        terminating: pool.metadata.deletion_timestamp.is_some(),
        full: usize::try_from(pool.spec.limits.max_sandboxes).is_ok_and(|limit| members >= limit),
        worker: pool.spec.provider.is_worker(),
        apps: pool.spec.apps.iter().map(|app| app.name.clone()).collect(),
    }))
}

/// The bound member: from the store where that shows it as ours or free, else from the API server.
async fn bound(context: &Context, sandbox: &Sandbox, namespace: &str) -> Result<BoundFact, ObserveError> {
    let Some(bound) = sandbox.status.as_ref().and_then(|status| status.bound_to.as_ref()) else {
        return Ok(BoundFact::None);
    };
    if sandbox.phase() == Phase::Ended {
        return Ok(BoundFact::Unknown);
    }
    let cached = context.sandboxes.get(&ObjectRef::new(&bound.name).within(namespace));
    if let Some(member) = cached.as_ref().and_then(|guarded| guarded.0.as_ref().ok())
        && trusted(sandbox, member, bound)
    {
        return Ok(BoundFact::Present { member: Arc::clone(member), live: false });
    }
    let api: Api<Sandbox> = Api::namespaced(context.client.clone(), namespace);
    match api.get_opt(&bound.name).await {
        Ok(Some(member)) if member.metadata.uid.as_deref() == Some(bound.uid.as_str()) => {
            Ok(BoundFact::Present { member: Arc::new(member), live: true })
        }
        Ok(_) => Ok(BoundFact::Gone),
        Err(kube::Error::SerdeError(_)) => Ok(BoundFact::Unknown),
        Err(source) => Err(ObserveError::Api { what: "the bound member", source }),
    }
}

/// An old view is good enough where acting on it is guarded by its version, or changes nothing.
fn trusted(sandbox: &Sandbox, member: &Sandbox, bound: &ObjectUid) -> bool {
    if member.metadata.uid.as_deref() != Some(bound.uid.as_str()) || member.is_deleting() {
        return false;
    }
    match member.held_by() {
        // One that cannot be claimed any more is left for another, which only the API server may cause.
        None => Phase::CLAIMABLE.contains(&member.phase()),
        Some(claim) => claim.for_.as_ref().is_some_and(|held| Some(&held.uid) == sandbox.metadata.uid.as_ref()),
    }
}

/// Requests that wait for a member, the first first.
pub(crate) fn queue<'all>(all: impl Iterator<Item = &'all Sandbox>) -> Vec<&'all Sandbox> {
    let mut waiting: Vec<&Sandbox> = all.filter(|sandbox| waits(sandbox)).collect();
    waiting.sort_by_key(|sandbox| {
        let created = sandbox.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, sandbox.metadata.name.clone())
    });
    waiting
}

fn waits(sandbox: &Sandbox) -> bool {
    let bound = sandbox.status.as_ref().is_some_and(|status| status.bound_to.is_some());
    !sandbox.is_member() && !sandbox.is_deleting() && !bound && sandbox.phase() != Phase::Ended
}

/// Members that nobody has or is about to take, the best first.
pub(crate) fn candidates<'all>(all: impl Iterator<Item = &'all Sandbox> + Clone) -> Vec<Candidate> {
    let taken: HashSet<&str> = all
        .clone()
        .filter(|sandbox| !sandbox.is_member() && sandbox.phase() != Phase::Ended)
        .filter_map(|request| request.status.as_ref()?.bound_to.as_ref().map(|bound| bound.uid.as_str()))
        .collect();
    let mut free: Vec<&Sandbox> = all
        .filter(|sandbox| sandbox.is_member() && !sandbox.is_deleting() && sandbox.spec.claim.is_none())
        .filter(|sandbox| Phase::CLAIMABLE.contains(&sandbox.phase()) && !fell_silent(sandbox))
        .filter(|sandbox| sandbox.metadata.uid.as_deref().is_some_and(|uid| !taken.contains(uid)))
        .collect();
    free.sort_by_key(|sandbox| (rank(sandbox), since(sandbox), sandbox.metadata.uid.clone()));
    free.into_iter().map(candidate).collect()
}

/// A member that was ready and is not any more may never be again.
fn fell_silent(sandbox: &Sandbox) -> bool {
    sandbox.phase() != Phase::Warm && sandbox.instance().is_some_and(|instance| instance.ready_at.is_some())
}

fn rank(sandbox: &Sandbox) -> u8 {
    match sandbox.phase() {
        Phase::Warm => 0,
        Phase::Booting => 1,
        Phase::Creating if sandbox.instance().is_some_and(|instance| instance.failure.is_none()) => 2,
        _ => 3,
    }
}

fn since(sandbox: &Sandbox) -> Option<jiff::Timestamp> {
    let instance = sandbox.instance();
    instance
        .and_then(|instance| instance.ready_at.as_ref().or(Some(&instance.requested_at)))
        .or(sandbox.metadata.creation_timestamp.as_ref())
        .map(|time| time.0)
}
