//! What the budget allows: the cost of a sandbox is set aside before it is made.

use super::{Draft, cost};
use crate::api::Usd;
use crate::api::conditions::{Reason, Type};
use crate::api::cost::{LEAST_BILLED_SECONDS, month_bounds, month_of, seconds};
use crate::controllers::sandbox_pool::facts::{Member, Observed};
use jiff::Timestamp;
use std::time::Duration;

/// What was spent grows with time: looked at so often where a month is bounded.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// What all sandboxes cost for so long must be left before another is made, so that none is made
/// only to be removed soon.
const MARGIN_SECONDS: i64 = 3_600;

/// What the budget allows now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// So many may be made.
    pub(super) create: usize,
    /// So many unclaimed ones must go.
    pub(super) surplus: usize,
    /// So many of them are other pools' by right: no cool-down of this pool keeps them.
    pub(super) owed: usize,
    /// What bounds it, in figures, with the way out.
    pub(super) bound: (Reason, String),
}

impl Room {
    /// There is no budget.
    pub(super) fn unbounded() -> Self {
        Self { create: usize::MAX, surplus: 0, owed: 0, bound: (Reason::AsExpected, String::new()) }
    }
}

/// What the pool's budget allows.
pub(super) fn room(draft: &mut Draft<'_>) -> Room {
    let facts = draft.facts;
    let Some(budget) = &facts.pool.spec.budget else { return Room::unbounded() };
    let Some(price) = facts.usd_per_hour else {
        let message = "the provider does not say what this size costs, and there is a budget: nothing is made until it \
                       does; take a size from its list, or remove spec.budget";
        return Room { create: 0, surplus: 0, owed: 0, bound: (Reason::PriceUnknown, message.to_owned()) };
    };
    let mut room = Room::unbounded();
    if let Some(most) = budget.hourly_usd {
        room = tighter(room, hourly(facts, price, most));
    }
    if let Some(most) = budget.monthly_usd {
        draft.again(LOOK_AGAIN);
        room = tighter(room, monthly(draft, price, most));
    }
    room
}

/// What both allow.
pub(super) fn tighter(one: Room, other: Room) -> Room {
    let surplus = one.surplus.max(other.surplus);
    let bound =
        if (other.create, other.surplus == 0) < (one.create, one.surplus == 0) { other.bound } else { one.bound };
    Room { create: one.create.min(other.create), surplus, owed: one.owed.max(other.owed), bound }
}

/// What a member costs per hour: its own price where it has one.
fn price_of(member: &Member, price: Usd) -> Usd {
    member.cost.usd_per_hour.unwrap_or(price)
}

/// Every member counts, in any state, from before its instance is asked for (S5).
fn rate(facts: &Observed, price: Usd) -> Usd {
    let ended = |member: &&Member| member.cost.ended_at.is_none();
    facts.members.iter().filter(ended).map(|member| price_of(member, price)).sum::<Usd>() + price.times(facts.hidden)
}

/// How many must go for so much less, rounded up.
fn removable(over: Usd, price: Usd) -> usize {
    if over == Usd::ZERO { 0 } else { (over - Usd::nanos(1)).buys(price).saturating_add(1) }
}

fn hourly(facts: &Observed, price: Usd, most: Usd) -> Room {
    let rate = rate(facts, price);
    let count = facts.members.len() + facts.hidden;
    let message = format!(
        "{count} sandboxes cost {} USD per hour, one more costs {}, and spec.budget.hourlyUsd is {most}: raise it, choose \
         a smaller size, or wait for sandboxes to end",
        rate.rough(),
        price.rough()
    );
    Room {
        create: (most - rate).buys(price),
        surplus: removable(rate - most, price),
        owed: 0,
        bound: (Reason::HourlyBudget, message),
    }
}

fn monthly(draft: &Draft<'_>, price: Usd, most: Usd) -> Room {
    let facts = draft.facts;
    let (first, next) = month_bounds(facts.now);
    let spent = spent(draft, first);
    let longest =
        facts.pool.spec.claims.max_ttl.signed().as_secs().min(seconds(facts.now, next)).max(LEAST_BILLED_SECONDS);
    let one = price.over(longest);
    let promised: Usd = facts.members.iter().map(|member| promised(facts, member, price, longest, next)).sum();
    let bound = spent + promised + one.times(facts.hidden);
    let margin = (rate(facts, price) + price).over(MARGIN_SECONDS.min(longest));
    // In twentieths, so that it does not change with every minute (S10).
    let step = most.part(1, 20);
    let told = if step == Usd::ZERO { bound } else { step.times(bound.buys(step)) };
    let message = format!(
        "of {most} USD (spec.budget.monthlyUsd) for {} at least {told} are spent or set aside for sandboxes that exist, \
         each up to claims.maxTTL ({}): raise it, lower claims.maxTTL, choose a smaller size, or wait until {next}",
        month_of(facts.now),
        facts.pool.spec.claims.max_ttl
    );
    let surplus = removable(bound - most, one);
    Room { create: (most - (bound + margin)).buys(one), surplus, owed: 0, bound: (Reason::MonthlyBudget, message) }
}

/// What the month cost so far.
fn spent(draft: &Draft<'_>, first: Timestamp) -> Usd {
    let facts = draft.facts;
    let settled = draft.status.cost.as_ref().map(|cost| cost.settled_in_month(facts.now)).unwrap_or_default();
    let living = facts.members.iter().filter(|member| member.cost.ended_at.is_none());
    let running = living.map(|member| {
        let since = member.cost.since.as_ref().map(|since| since.0.max(first));
        let price = member.cost.usd_per_hour.unwrap_or_default();
        let instance = since.map(|since| price.over(seconds(since, facts.now))).unwrap_or_default();
        instance + cost::in_month(member, facts.now)
    });
    settled + running.sum::<Usd>()
}

/// What a member may still cost in this month: until its claim, or one made now, can have ended.
fn promised(facts: &Observed, member: &Member, price: Usd, longest: i64, next: Timestamp) -> Usd {
    if member.cost.ended_at.is_some() {
        return Usd::ZERO;
    }
    let price = price_of(member, price);
    if member.deleting {
        return price.over(LEAST_BILLED_SECONDS);
    }
    let end = member.claimed_at.filter(|_| member.claimed).map(|claimed| {
        let latest = claimed.checked_add(facts.pool.spec.claims.max_ttl.signed()).unwrap_or(next);
        member.expires_at.map_or(latest, |expires| expires.max(latest)).min(next)
    });
    price.over(end.map_or(longest, |end| seconds(facts.now, end)))
}

/// Says whether the budget keeps sandboxes from being made.
pub(super) fn report(draft: &mut Draft<'_>, short: bool) {
    let room = draft.room.clone();
    let told = draft.status.conditions.iter().any(|condition| condition.type_ == Type::BudgetExceeded.as_str());
    if draft.facts.pool.spec.budget.is_none() {
        if told {
            draft.want(Type::BudgetExceeded, false, Reason::AsExpected, "there is no budget");
        }
        return;
    }
    let (reason, message) = room.bound;
    let by_budget = matches!(reason, Reason::HourlyBudget | Reason::MonthlyBudget | Reason::PriceUnknown);
    if by_budget && (short || room.surplus > 0) {
        draft.want(Type::BudgetExceeded, true, reason, message);
    } else {
        draft.want(Type::BudgetExceeded, false, Reason::AsExpected, "the budget covers what is wanted");
    }
}
