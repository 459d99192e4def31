//! The claim on a member: noted once, ended by its time, its request, or its instance.

use super::{Draft, Effect};
use crate::api::conditions::{Reason, Type};
use crate::api::{Phase, StartKind};
use crate::controllers::sandbox::facts::RequestFact;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// How long a claimed member whose instance is lost stays, so that its holder can read why.
const KEEP_LOST: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// How often a member looks whether the request that it is held for still exists.
const REQUEST_CHECK: Duration = Duration::from_secs(10);

/// Writes `claimedAt` once, and `expiresAt` from it; a longer TTL moves only the latter.
pub(super) fn note(draft: &mut Draft<'_>) {
    let Some(claim) = draft.facts.sandbox.held_by() else { return };
    let ttl = claim.ttl.or_else(|| Some(draft.facts.sandbox.spec.template.as_ref()?.claims.default_ttl));
    let Some(ttl) = ttl else { return };
    if draft.status.claimed_at.is_none() {
        let warm = draft.status.phase == Some(Phase::Warm);
        draft.status.claimed_at = Some(draft.time());
        draft.status.start_kind = Some(if warm { StartKind::Warm } else { StartKind::Cold });
        draft.want(Type::Claimed, true, Reason::Claimed, format!("claim {} of {}", claim.id, claim.holder));
        draft.event(false, Reason::Claimed, format!("claim {} of {} for {ttl}", claim.id, claim.holder));
    }
    let since = draft.status.claimed_at.as_ref().map_or(draft.facts.now, |time| time.0);
    draft.status.expires_at = since.checked_add(ttl.signed()).ok().map(Time);
}

/// Ends the claim if it is over; true if the member is on its way out.
pub(super) fn end(draft: &mut Draft<'_>) -> bool {
    if draft.facts.sandbox.held_by().is_none() {
        return false;
    }
    let now = draft.facts.now;
    let over = |time: &Option<Time>| time.as_ref().is_some_and(|time| time.0 <= now);
    let failed = draft.status.phase == Some(Phase::Failed);
    let lost_long_ago =
        failed && draft.status.ended_at.as_ref().is_some_and(|ended| now.duration_since(ended.0) >= KEEP_LOST);
    if lost_long_ago {
        draft.effects.push(Effect::DeleteSelf);
        return true;
    }
    let reason = if over(&draft.status.expires_at) {
        Reason::Expired
    } else if draft.facts.request == RequestFact::Gone {
        Reason::Released
    } else {
        if !failed {
            // An extension came in just before the deletion, and won.
            draft.status.ended_at = None;
        }
        schedule(draft, failed);
        return false;
    };
    if draft.status.ended_at.is_none() {
        draft.status.ended_at = Some(draft.time());
    }
    if !failed {
        draft.status.reason = Some(reason.as_str().to_owned());
    }
    draft.event(
        false,
        reason,
        if reason == Reason::Expired { "the claim's time is over" } else { "the request is gone" },
    );
    draft.effects.push(Effect::DeleteSelf);
    true
}

fn schedule(draft: &mut Draft<'_>, failed: bool) {
    if let Some(expires) = draft.status.expires_at.clone() {
        draft.again_at(expires.0);
    }
    if let Some(ended) = draft.status.ended_at.clone().filter(|_| failed)
        && let Ok(until) = ended.0.checked_add(KEEP_LOST)
    {
        draft.again_at(until);
    }
    if draft.facts.request != RequestFact::None {
        draft.again(REQUEST_CHECK);
    }
}
