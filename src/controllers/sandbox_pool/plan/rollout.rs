//! Which members of an older template go, and how far that is.

use super::failures::{Breaker, breaker};
use super::replace::Leaving;
use super::{Draft, refs};
use crate::api::RolloutStrategy;
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::Member;

/// Nobody has it, and it is not what a member made now would be.
fn is_outdated(member: &&Member) -> bool {
    member.is_free() && !member.updated
}

/// Adds the members that the rollout replaces. None while sandboxes fail: what is warm and works
/// is not given up for what may never be.
pub(super) fn choose(draft: &mut Draft<'_>, leaving: &mut Leaving) {
    let facts = draft.facts;
    let strategy = facts.pool.spec.rollout.strategy;
    if strategy == RolloutStrategy::OnReplenish || !facts.members.iter().any(|member| is_outdated(&member)) {
        return;
    }
    if let Breaker::Open { until } = breaker(draft) {
        draft.again_at(until);
    }
    if stands(draft).is_some() {
        return;
    }
    for member in facts.members.iter().filter(is_outdated) {
        // What is not warm yet is missed by nobody, and would be replaced as soon as it is.
        if strategy == RolloutStrategy::Recreate || !member.is_warm() {
            leaving.at_once.insert(member.uid.clone());
        } else {
            leaving.outdated.insert(member.uid.clone());
        }
    }
}

/// Why nothing is replaced now.
fn stands(draft: &Draft<'_>) -> Option<&'static str> {
    match breaker(draft) {
        Breaker::Open { .. } => return Some("the last sandboxes failed, the next one is tried soon"),
        Breaker::Broken => return Some("the provider refuses the new template, see Degraded"),
        Breaker::Closed | Breaker::Trying => {}
    }
    if refs::lacking(draft).is_some() {
        return Some("the new template names what is not there, see ResolvedRefs");
    }
    matches!(draft.facts.provider, ProviderFact::Shut { .. }).then_some("the provider cannot be asked")
}

/// How far the rollout is; none if every warm member is of the newest template.
pub(super) fn progress(draft: &Draft<'_>, full: bool) -> Option<String> {
    let facts = draft.facts;
    let rollout = &facts.pool.spec.rollout;
    let warm = || facts.members.iter().filter(|member| member.is_warm());
    let (all, updated) = (warm().count(), warm().filter(|member| member.updated).count());
    if updated == all {
        return None;
    }
    let far = format!("{updated} of {all} warm sandboxes are of the newest template");
    let why = match rollout.strategy {
        RolloutStrategy::OnReplenish => {
            return Some(format!("{far}; the others stay until they are claimed (spec.rollout.strategy: OnReplenish)"));
        }
        RolloutStrategy::Recreate | RolloutStrategy::Rolling => stands(draft),
    };
    Some(match why {
        Some(why) => format!("{far}; waiting: {why}"),
        None if full && rollout.strategy == RolloutStrategy::Rolling && rollout.unavailable() == 0 => format!(
            "{far}; waiting for a free slot: spec.limits.maxSandboxes is reached and spec.rollout.maxUnavailable is 0"
        ),
        None => far,
    })
}
