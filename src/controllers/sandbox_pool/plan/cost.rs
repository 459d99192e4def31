//! What the pool costs: the cost of members that end is taken over once, that of the others is a rate (S14).

use super::Draft;
use crate::api::cost::{month_bounds, month_of, seconds};
use crate::api::{PoolCost, Usd};
use crate::controllers::sandbox_pool::facts::{Member, Observed};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Takes over the cost of members that have ended, and notes what the others cost.
///
/// The cost and the UID are written together, in one write of the pool. A member goes only when it
/// sees its UID there, and the UID goes only when the member is not seen any more: a death between
/// any two of these writes neither loses the cost nor adds it twice.
pub(super) fn settle(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    let known = draft.status.cost.is_some();
    let mut cost = draft.status.cost.take().unwrap_or_default();
    cost.settling.retain(|uid| facts.present.contains(uid));
    for member in &facts.members {
        let Some(ended) = &member.cost.ended_at else { continue };
        if !cost.settling.contains(&member.uid) {
            take_over(&mut cost, member, ended.0);
        }
    }
    rate(&mut cost, facts);
    draft.status.cost = (known || cost != PoolCost::default()).then_some(cost);
}

fn take_over(cost: &mut PoolCost, member: &Member, ended: Timestamp) {
    cost.settled_usd += member.cost.settled_usd;
    cost.settling.push(member.uid.clone());
    let month = month_of(ended);
    if cost.month.as_ref().is_none_or(|known| *known < month) {
        cost.month = Some(month.clone());
        cost.month_usd = Usd::ZERO;
    }
    if cost.month == Some(month) {
        cost.month_usd += in_month(member, ended);
    }
}

/// The part of a member's settled cost that falls into the month of `now`, by share of its time.
pub(super) fn in_month(member: &Member, now: Timestamp) -> Usd {
    let (first, _) = month_bounds(now);
    let Some(created) = member.created else { return member.cost.settled_usd };
    member.cost.settled_usd.part(seconds(first.max(created), now), seconds(created, now))
}

/// One rate since one time for all instances: their beginnings' mean, weighted by price, gives the same sum.
fn rate(cost: &mut PoolCost, facts: &Observed) {
    let (mut rate, mut weighted) = (Usd::ZERO, 0_i128);
    for member in &facts.members {
        let (Some(price), Some(since)) = (member.cost.usd_per_hour, &member.cost.since) else { continue };
        rate += price;
        weighted += i128::from(price.as_nanos()) * i128::from(since.0.as_second());
    }
    cost.usd_per_hour = rate;
    let mean = (rate > Usd::ZERO).then(|| weighted.div_euclid(i128::from(rate.as_nanos())));
    let mean = mean.and_then(|mean| i64::try_from(mean).ok());
    cost.since = mean.and_then(|second| Timestamp::from_second(second).ok()).map(Time);
}
