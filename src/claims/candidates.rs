//! Which members can be claimed, and in which order a claimer tries them.

use crate::api::conditions::Type;
use crate::api::{Phase, Sandbox, short_hash};
use std::borrow::Borrow;

/// Whether this is a warm member that nobody has: ready, unclaimed, staying, and not known to be silent.
pub fn claimable(sandbox: &Sandbox) -> bool {
    sandbox.is_member()
        && sandbox.spec.claim.is_none()
        && sandbox.spec.template.is_some()
        && !sandbox.is_deleting()
        && sandbox.phase() == Phase::Warm
        && !agent_is_silent(sandbox)
        && sandbox.metadata.uid.is_some()
        && sandbox.metadata.resource_version.is_some()
}

fn agent_is_silent(sandbox: &Sandbox) -> bool {
    let conditions = sandbox.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == Type::AgentReady.as_str() && condition.status == "False")
}

/// The claimable ones among these, in the order for this claim: every id has an order of its own, so that a crowd
/// spreads over the members instead of fighting for the first.
pub fn in_order<'a, S: Borrow<Sandbox>>(sandboxes: &'a [S], id: &str) -> Vec<&'a Sandbox> {
    let mut candidates: Vec<&Sandbox> = sandboxes.iter().map(Borrow::borrow).filter(|each| claimable(each)).collect();
    candidates.sort_by_cached_key(|each| short_hash(&[id, each.metadata.uid.as_deref().unwrap_or_default()], 26));
    candidates
}

#[cfg(test)]
#[path = "candidates_tests.rs"]
mod tests;
