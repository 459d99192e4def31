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

/// Adds the members that the rollout replaces. While it stands for a time they still go, later: were they supply
/// again, the stand-ins that are being made would be surplus, and be made again afterwards. Where it stands until
/// somebody mends something, what is warm and works is not given up for what may never be.
pub(super) fn choose(draft: &mut Draft<'_>, leaving: &mut Leaving) {
    let facts = draft.facts;
    let strategy = facts.pool.spec.rollout.strategy;
    if strategy == RolloutStrategy::OnReplenish || !facts.members.iter().any(|member| is_outdated(&member)) {
        return;
    }
    if let Breaker::Open { until } = breaker(draft) {
        draft.again_at(until);
    }
    let halt = halt(draft);
    if halt.as_ref().is_some_and(|halt| !halt.passes) {
        return;
    }
    for member in facts.members.iter().filter(is_outdated) {
        // What is not warm yet is missed by nobody, and would be replaced as soon as it is.
        if halt.is_none() && (strategy == RolloutStrategy::Recreate || !member.is_warm()) {
            leaving.at_once.insert(member.uid.clone());
        } else {
            leaving.outdated.insert(member.uid.clone());
        }
    }
}

/// Why nothing is replaced now.
struct Halt {
    why: &'static str,
    /// It ends by itself.
    passes: bool,
}

fn halt(draft: &Draft<'_>) -> Option<Halt> {
    let halt = |why, passes| Some(Halt { why, passes });
    match breaker(draft) {
        Breaker::Open { .. } => return halt("the last sandboxes failed, the next one is tried soon", true),
        Breaker::Broken => return halt("the provider refuses the new template, see Degraded", false),
        Breaker::Closed | Breaker::Trying => {}
    }
    if refs::lacking(draft).is_some() {
        return halt("the new template names what is not there, see ResolvedRefs", false);
    }
    let shut = matches!(draft.facts.provider, ProviderFact::Shut { .. });
    if shut { halt("the provider cannot be asked", true) } else { None }
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
        RolloutStrategy::Recreate | RolloutStrategy::Rolling => halt(draft).map(|halt| halt.why),
    };
    Some(match why {
        Some(why) => format!("{far}; waiting: {why}"),
        None if full && rollout.strategy == RolloutStrategy::Rolling && rollout.unavailable() == 0 => format!(
            "{far}; waiting for a free slot: spec.limits.maxSandboxes is reached and spec.rollout.maxUnavailable is 0"
        ),
        None => far,
    })
}
