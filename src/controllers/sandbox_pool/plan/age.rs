//! Which warm members are too old: spread over the last quarter of `maxAge`.

use super::Draft;
use super::lead_time::lead_time;
use crate::api::hash_share;
use crate::controllers::sandbox_pool::facts::Member;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// When a member is due: 75–100 % of `maxAge`, by its UID, so that those made together do not go together.
fn due(member: &Member, max_age: SignedDuration) -> Option<Timestamp> {
    let share = 0.75 + 0.25 * hash_share(&member.uid);
    let age = SignedDuration::try_from_secs_f64(max_age.as_secs_f64() * share).ok()?;
    member.ready_at?.checked_add(age).ok()
}

/// The members to replace now: the oldest, as many at once as the last quarter of `maxAge` asks for.
pub(super) fn choose(draft: &mut Draft<'_>, desired: i32) -> BTreeSet<String> {
    let facts = draft.facts;
    let Some(max_age) = facts.pool.spec.warm.max_age.map(crate::api::Span::signed) else { return BTreeSet::new() };
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
    let parallel = (f64::from(desired) * lead_time(&facts.members) / window).ceil().max(1.0);
    let limit = f64::from(facts.pool.spec.limits.max_concurrent_creates);
    dues.into_iter()
        .take_while(|(due, _)| *due <= facts.now)
        .take(parallel.min(limit) as usize)
        .map(|(_, member)| member.uid.clone())
        .collect()
}
