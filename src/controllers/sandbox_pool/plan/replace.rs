//! Puts others in the place of warm members: the same way for those that are too old and those of
//! an older template.

use super::failures::{Breaker, breaker};
use super::level::has_room;
use super::{Draft, age, refs, rollout};
use crate::api::conditions::Reason;
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::Member;
use std::collections::BTreeSet;

/// UIDs of free members that others stand in for: they no longer count as supply.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Warm and too old.
    pub aged: BTreeSet<String>,
    /// Warm and of an older template.
    pub outdated: BTreeSet<String>,
    /// Of an older template, and not to be waited for.
    pub at_once: BTreeSet<String>,
}

impl Leaving {
    /// Whether this member goes for another.
    pub fn has(&self, member: &Member) -> bool {
        [&self.aged, &self.outdated, &self.at_once].iter().any(|set| set.contains(&member.uid))
    }

    /// Whether nobody goes.
    pub fn is_empty(&self) -> bool {
        self.aged.is_empty() && self.outdated.is_empty() && self.at_once.is_empty()
    }

    fn reason(&self, member: &Member) -> Reason {
        if self.aged.contains(&member.uid) { Reason::MaxAge } else { Reason::Outdated }
    }
}

/// Who goes for another, now or when that one is warm.
pub(super) fn choose(draft: &mut Draft<'_>, desired: i32) -> Leaving {
    let mut leaving = Leaving { aged: age::choose(draft, desired), ..Leaving::default() };
    rollout::choose(draft, &mut leaving);
    leaving
}

/// Removes those for whom others stand in; where no slot is free for a stand-in, as many as may be missing.
pub(super) fn remove(draft: &mut Draft<'_>, leaving: &Leaving, desired: i32, made: usize) {
    if leaving.is_empty() {
        return;
    }
    let facts = draft.facts;
    for member in facts.members.iter().filter(|member| leaving.at_once.contains(&member.uid)) {
        draft.remove(member, Reason::Outdated);
    }
    let stays = |member: &&Member| member.is_warm() && !draft.removed.contains(&member.uid);
    let warm = facts.members.iter().filter(stays).count();
    let mut going: Vec<&Member> = facts.members.iter().filter(stays).filter(|member| leaving.has(member)).collect();
    going.sort_by_key(|member| (member.ready_at, &member.uid));
    let level = usize::try_from(desired).unwrap_or_default();
    let spare = warm.saturating_sub(level);
    if spare == 0 && !may_break(draft, made) {
        return;
    }
    let count = if spare > 0 { spare } else { breakable(draft, leaving, warm, level) };
    for member in going.into_iter().take(count) {
        draft.remove(member, leaving.reason(member));
    }
}

/// Whether a member may go before its stand-in is made: no slot is free, nothing that would free
/// one or end the need is on its way, and nothing warm is given up for what cannot be made.
fn may_break(draft: &Draft<'_>, made: usize) -> bool {
    let facts = draft.facts;
    let unseen = facts.hidden - facts.undecodable;
    let in_flight =
        made + unseen + facts.members.iter().filter(|member| member.is_creating() || member.deleting).count();
    let can_make = matches!(breaker(draft), Breaker::Closed | Breaker::Trying)
        && matches!(facts.provider, ProviderFact::Open { .. })
        && refs::lacking(draft).is_none();
    !has_room(draft) && in_flight == 0 && can_make
}

/// How many may go first: all that are too old, since there are never many at once; of the
/// outdated, as many as may be missing from the level.
fn breakable(draft: &Draft<'_>, leaving: &Leaving, warm: usize, level: usize) -> usize {
    let least = level.saturating_sub(draft.facts.pool.spec.rollout.unavailable());
    let missable = warm.saturating_sub(least);
    leaving.aged.len().max(missable.min(leaving.outdated.len()))
}
