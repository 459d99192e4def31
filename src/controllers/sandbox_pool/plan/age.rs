//! Replaces warm members before they are too old, spread over the last quarter of `maxAge`.

use super::failures::{Breaker, breaker};
use super::{Draft, refs};
use crate::api::conditions::Reason;
use crate::api::hash_share;
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::Member;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// UIDs of members that are being replaced now.
pub(super) type Aged = BTreeSet<String>;

/// From the request to a ready agent where no member tells it: the median of real creates.
const LEAD_TIME: SignedDuration = SignedDuration::from_secs(60);

/// When a member is due: 75–100 % of `maxAge`, by its UID, so that those made together do not go together.
fn due(member: &Member, max_age: SignedDuration) -> Option<Timestamp> {
    let share = 0.75 + 0.25 * hash_share(&member.uid);
    let age = SignedDuration::try_from_secs_f64(max_age.as_secs_f64() * share).ok()?;
    member.ready_at?.checked_add(age).ok()
}

/// The members to replace now: the oldest, as many at once as the last quarter of `maxAge` asks for.
pub(super) fn choose(draft: &mut Draft<'_>, desired: i32) -> Aged {
    let facts = draft.facts;
    let Some(max_age) = facts.pool.spec.warm.max_age.map(crate::api::Span::signed) else { return Aged::new() };
    let mut dues: Vec<(Timestamp, &Member)> = facts
        .members
        .iter()
        .filter(|member| member.is_warm())
        .filter_map(|member| Some((due(member, max_age)?, member)))
        .collect();
    dues.sort_by(|(a, left), (b, right)| (a, &left.uid).cmp(&(b, &right.uid)));
    if let Some((next, _)) = dues.iter().find(|(due, _)| *due > facts.now) {
        draft.again_at(*next);
    }
    let window = max_age.as_secs_f64() / 4.0;
    let parallel = (f64::from(desired) * lead_time(&facts.members).as_secs_f64() / window).ceil().max(1.0);
    let limit = f64::from(facts.pool.spec.limits.max_concurrent_creates);
    dues.into_iter()
        .take_while(|(due, _)| *due <= facts.now)
        .take(parallel.min(limit) as usize)
        .map(|(_, member)| member.uid.clone())
        .collect()
}

/// How long members took from request to ready, on average.
fn lead_time(members: &[Member]) -> SignedDuration {
    let took: Vec<SignedDuration> = members
        .iter()
        .filter_map(|member| Some(member.ready_at?.duration_since(member.requested_at?)))
        .filter(|took| took.is_positive())
        .collect();
    match i32::try_from(took.len()) {
        Ok(count) if count > 0 => took.into_iter().sum::<SignedDuration>() / count,
        _ => LEAD_TIME,
    }
}

/// Removes the aged once others stand in for them; first, where no slot is free.
pub(super) fn replace(draft: &mut Draft<'_>, aged: &Aged, desired: i32, made: usize) {
    if aged.is_empty() {
        return;
    }
    let facts = draft.facts;
    let fresh = facts.members.iter().filter(|member| member.is_warm() && !aged.contains(&member.uid)).count();
    let level = usize::try_from(desired).unwrap_or_default();
    let cap = usize::try_from(facts.pool.spec.limits.max_sandboxes).unwrap_or_default();
    let in_flight = made + facts.members.iter().filter(|member| member.is_creating() || member.deleting).count();
    let full = facts.members.len() + facts.hidden >= cap || draft.room.create == 0;
    // Nothing warm is given up for what cannot be made.
    let can_make = matches!(breaker(draft), Breaker::Closed | Breaker::Trying)
        && matches!(facts.provider, ProviderFact::Open { .. })
        && refs::lacking(draft).is_none();
    if fresh >= level || (full && in_flight == 0 && can_make) {
        for member in facts.members.iter().filter(|member| aged.contains(&member.uid)) {
            draft.remove(member, Reason::MaxAge);
        }
    }
}
