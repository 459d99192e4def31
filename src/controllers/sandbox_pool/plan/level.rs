//! Holds the level: how many are wanted, how many may be made, which go.

use super::failures::{Breaker, breaker, is_account_full};
use super::replace::Leaving;
use super::{Draft, Effect, account, budget, refs, replace, rollout, sizing};
use crate::api::conditions::{Reason, Type};
use crate::api::{Activation, OnEmpty, RolloutStrategy, Span};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::Member;
use std::collections::BTreeSet;

/// Decides about a pool that lives.
pub(super) fn plan(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    let desired = desired(draft);
    draft.status.desired_warm = desired;
    let (own, account) = (budget::room(draft), account::room(draft, desired));
    draft.room = budget::tighter(own, account);
    let leaving = replace::choose(draft, desired);
    let supply: Vec<&Member> = facts.members.iter().filter(|member| member.is_free() && !leaving.has(member)).collect();
    let wanted = wanted(draft, desired);
    // A member that was made and is not seen yet is on its way: to make another for it would be one too many.
    let missing = wanted.saturating_sub(supply.len() + (facts.hidden - facts.undecodable));
    let made = if missing > 0 { make(draft, missing) } else { 0 };
    drain_above_limit(draft);
    refs::remove_outdated(draft);
    replace::remove(draft, &leaving, desired, made);
    let affordable = wanted.min(supply.len().saturating_sub(draft.room.surplus));
    if supply.len() > affordable {
        scale_down(draft, &supply, affordable);
    }
    report(draft, desired, missing, made, &leaving);
}

/// The warm level that holds now: the target, more if demand asks for it, or none without demand (S11).
fn desired(draft: &mut Draft<'_>) -> i32 {
    let facts = draft.facts;
    let warm = &facts.pool.spec.warm;
    let target = sizing::level(draft);
    if warm.activation == Activation::Always || !facts.queue.is_empty() {
        return target;
    }
    let last = draft.status.last_claim_time.as_ref().map(|time| time.0);
    match last.and_then(|last| last.checked_add(warm.idle_timeout.signed()).ok()) {
        Some(until) if facts.now < until => {
            draft.again_at(until);
            target
        }
        _ => 0,
    }
}

/// Free members that should exist: the level, and one for every request that one may be made for.
fn wanted(draft: &Draft<'_>, desired: i32) -> usize {
    let level = usize::try_from(desired).unwrap_or_default();
    let queue = if draft.facts.pool.spec.on_empty == OnEmpty::Create { draft.facts.queue.len() } else { 0 };
    level + queue
}

/// Makes what is missing, as far as cap (S5), concurrency, failures and provider allow.
fn make(draft: &mut Draft<'_>, missing: usize) -> usize {
    let facts = draft.facts;
    if !provider_open(draft) || refs::lacking(draft).is_some() {
        return 0;
    }
    let limits = &facts.pool.spec.limits;
    let cap = usize::try_from(limits.max_sandboxes).unwrap_or_default();
    let room = cap.saturating_sub(facts.members.len() + facts.hidden);
    let creating = facts.members.iter().filter(|member| member.is_creating()).count() + facts.hidden;
    let concurrent = usize::try_from(limits.max_concurrent_creates).unwrap_or_default();
    let at_once = match breaker(draft) {
        Breaker::Closed => concurrent,
        Breaker::Trying => 1,
        Breaker::Open { until } => {
            draft.again_at(until);
            0
        }
        Breaker::Broken => 0,
    };
    let count = missing.min(room).min(at_once.saturating_sub(creating)).min(draft.room.create);
    if count == 0 {
        return 0;
    }
    if !facts.secret_held {
        draft.effects.push(Effect::HoldSecret);
    }
    let metadata = &facts.pool.metadata;
    let template =
        facts.pool.spec.template(metadata.uid.as_deref().unwrap_or_default(), metadata.generation.unwrap_or_default());
    let slots: Vec<i32> = free_slots(draft).take(count).collect();
    for slot in &slots {
        draft.effects.push(Effect::CreateMember { slot: *slot, template: Box::new(template.clone()) });
    }
    slots.len()
}

/// Slots that nobody has, the smallest first.
fn free_slots(draft: &Draft<'_>) -> impl Iterator<Item = i32> {
    let facts = draft.facts;
    let mut taken: BTreeSet<i32> = facts.members.iter().map(|member| member.slot).collect();
    taken.extend(&facts.hidden_slots);
    taken.extend(&facts.blocked_slots);
    (0..facts.pool.spec.limits.max_sandboxes).filter(move |slot| !taken.contains(slot))
}

/// Whether one more member may exist, has a name, and can be paid for.
pub(super) fn has_room(draft: &Draft<'_>) -> bool {
    let facts = draft.facts;
    let cap = usize::try_from(facts.pool.spec.limits.max_sandboxes).unwrap_or_default();
    facts.members.len() + facts.hidden < cap && draft.room.create > 0 && free_slots(draft).next().is_some()
}

/// Whether members may be made: the credentials open the account that the pool's instances are in.
fn provider_open(draft: &mut Draft<'_>) -> bool {
    let ProviderFact::Open { account } = &draft.facts.provider else { return false };
    // Without any instance asked for, the pool may as well live in another account.
    let asked = draft.facts.members.iter().any(|member| member.requested_at.is_some());
    let empty = !asked && draft.facts.hidden == 0;
    match &draft.status.account {
        Some(known) if *known != account.0 && !empty => false,
        _ => {
            draft.status.account = Some(account.0.clone());
            true
        }
    }
}

/// A lowered limit drains the slots above it; claimed ones live out their claim.
fn drain_above_limit(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    let above = |member: &&Member| member.slot >= facts.pool.spec.limits.max_sandboxes && member.is_free();
    for member in facts.members.iter().filter(above) {
        draft.remove(member, Reason::Surplus);
    }
}

/// Between two members that go because another pool has a right to them: the views of both pools follow.
const GIVE_BACK_PAUSE: Span = Span::seconds(1);

/// Removes surplus members one by one, not soon after a claim; all at once where there is no demand.
/// What another pool has a right to goes however busy this one is: else its requests would starve.
fn scale_down(draft: &mut Draft<'_>, supply: &[&Member], wanted: usize) {
    let facts = draft.facts;
    let warm = &facts.pool.spec.warm;
    let mut surplus: Vec<&Member> =
        supply.iter().copied().filter(|member| !draft.removed.contains(&member.uid)).collect();
    let mut count = surplus.len().saturating_sub(wanted);
    if count == 0 {
        return;
    }
    // Those farthest from warm first, then those of an older template, then the oldest.
    surplus.sort_by_key(|member| (member.is_warm(), member.updated, member.ready_at.or(member.created)));
    let idle = warm.activation == Activation::OnFirstClaim && draft.status.desired_warm == 0 && facts.queue.is_empty();
    if !idle {
        let after =
            |time: Option<jiff::Timestamp>, pause: Span| time.and_then(|time| time.checked_add(pause.signed()).ok());
        let last_removal = draft.status.last_scale_down_time.as_ref().map(|time| time.0);
        let last_claim = draft.status.last_claim_time.as_ref().map(|time| time.0);
        let owed = draft.room.owed > 0;
        let pause = if owed { GIVE_BACK_PAUSE.min(warm.scale_down_delay) } else { warm.scale_down_delay };
        let cooled = after(last_claim, warm.cooldown_after_claim).filter(|_| !owed);
        let not_before = after(last_removal, pause).max(cooled);
        if let Some(until) = not_before.filter(|until| facts.now < *until) {
            draft.again_at(until);
            return;
        }
        draft.again(pause.duration());
        count = 1;
    }
    let now = crate::api::conditions::whole_second(facts.now);
    draft.status.last_scale_down_time = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
    for member in surplus.into_iter().take(count) {
        draft.remove(member, if idle { Reason::NoDemand } else { Reason::Surplus });
    }
}

fn report(draft: &mut Draft<'_>, desired: i32, missing: usize, made: usize, leaving: &Leaving) {
    let facts = draft.facts;
    // Not while some are still made: then the figures are those of all that fit.
    let short = missing > 0 && made == 0 && draft.room.create == 0;
    budget::report(draft, short);
    let warm = facts.members.iter().filter(|member| member.is_warm()).count();
    let level = usize::try_from(desired).unwrap_or_default();
    if warm >= level {
        draft.want(Type::Available, true, Reason::AsExpected, "the warm level is reached");
    } else {
        let (reason, message) = why_below(draft, missing, made);
        draft.want(Type::Available, false, reason, message);
    }
    tell_progress(draft, made, leaving);
    if facts.pool.spec.warm.activation == Activation::OnFirstClaim {
        let idle = desired == 0;
        let (reason, message) = if idle {
            (Reason::NoDemand, "nothing is kept warm until somebody claims")
        } else {
            (Reason::Claimed, "there is demand")
        };
        draft.want(Type::Idle, idle, reason, message);
    }
}

fn tell_progress(draft: &mut Draft<'_>, made: usize, leaving: &Leaving) {
    let facts = draft.facts;
    let moving =
        made > 0 || !leaving.is_empty() || facts.members.iter().any(|member| member.is_creating() || member.deleting);
    let full = made == 0 && !has_room(draft);
    let replaces = facts.pool.spec.rollout.strategy != RolloutStrategy::OnReplenish;
    let (moving, reason, message) = match rollout::progress(draft, full) {
        Some(far) if replaces => (true, Reason::Updating, far),
        _ if moving => (true, Reason::Creating, "members are being made or removed".to_owned()),
        Some(far) => (false, Reason::AsExpected, format!("level; {far}")),
        None => (false, Reason::AsExpected, "level".to_owned()),
    };
    draft.want(Type::Progressing, moving, reason, message);
}

fn why_below(draft: &Draft<'_>, missing: usize, made: usize) -> (Reason, String) {
    let facts = draft.facts;
    if let ProviderFact::Shut { reason, message } = &facts.provider {
        return (*reason, message.clone());
    }
    if let Some(lacking) = refs::lacking(draft) {
        return (lacking.reason, lacking.message.clone());
    }
    let cap = usize::try_from(facts.pool.spec.limits.max_sandboxes).unwrap_or_default();
    match breaker(draft) {
        Breaker::Open { until } if draft.status.failures.as_ref().is_some_and(is_account_full) => {
            (Reason::AccountLimit, format!("the provider's account is full, see Degraded; next try at {until}"))
        }
        Breaker::Open { until } => (Reason::BackingOff, format!("the last sandboxes failed; next try at {until}")),
        Breaker::Broken => (Reason::InvalidSpec, "the provider refuses this spec; see Degraded".to_owned()),
        Breaker::Closed | Breaker::Trying if missing > made && facts.members.len() + facts.hidden >= cap => (
            Reason::AtCapacity,
            format!("spec.limits.maxSandboxes ({cap}) is reached; raise it or wait for claims to end"),
        ),
        Breaker::Closed | Breaker::Trying if missing > 0 && made == 0 && draft.room.create == 0 => {
            draft.room.bound.clone()
        }
        Breaker::Closed | Breaker::Trying => (Reason::BelowTarget, "sandboxes are being made".to_owned()),
    }
}
