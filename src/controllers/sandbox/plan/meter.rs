//! What a member costs: noted with every step of its instance, handed over to its pool at the end (S14).

use super::Draft;
use crate::api::conditions::Reason;
use crate::api::cost::seconds;
use crate::api::{SandboxCost, Usd};
use crate::controllers::sandbox::facts::BooksFact;
use std::time::Duration;

/// The pool tells by itself that it took the cost over.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// A pool that cannot be read keeps a member that has ended no longer than this, in seconds.
const UNREADABLE: i64 = 600;

/// An instance is about to be asked for.
pub(super) fn ask(draft: &mut Draft<'_>) {
    let known = draft.facts.usd_per_hour;
    if known.is_some() || draft.status.cost.is_some() {
        draft.status.cost.get_or_insert_default().ask(known);
    }
}

/// The instance is there.
pub(super) fn begin(draft: &mut Draft<'_>) {
    let known = draft.facts.usd_per_hour;
    draft.status.instance_costs(known);
}

/// The instance is proved gone.
pub(super) fn end(draft: &mut Draft<'_>) {
    let known = draft.facts.usd_per_hour;
    let now = draft.facts.now;
    let claimed = draft.status.claimed_at.as_ref().map(|claimed| claimed.0);
    let Some(cost) = &mut draft.status.cost else { return };
    if cost.since.is_some() {
        cost.usd_per_hour = cost.usd_per_hour.or(known);
    }
    let unpriced = cost.end(claimed, now);
    if unpriced > 0 {
        let note = format!("the provider does not say what the size costs: {unpriced} s are missing in the cost");
        draft.event(true, Reason::PriceUnknown, note);
    }
}

/// Nothing is left at the provider: true once the cost is the pool's, or nobody's.
pub(super) fn hand_over(draft: &mut Draft<'_>) -> bool {
    end(draft);
    let (time, now) = (draft.time(), draft.facts.now);
    let Some(cost) = draft.status.cost.as_mut().filter(|cost| cost.settled_usd > Usd::ZERO) else { return true };
    let ended = cost.ended_at.get_or_insert(time).0;
    match draft.facts.books {
        BooksFact::Taken | BooksFact::NoPool => true,
        BooksFact::Unreadable if seconds(ended, now) >= UNREADABLE => {
            lost(draft);
            true
        }
        BooksFact::Open | BooksFact::Unreadable => {
            draft.again(LOOK_AGAIN);
            false
        }
    }
}

fn lost(draft: &mut Draft<'_>) {
    let usd = draft.status.cost.as_ref().map(|cost: &SandboxCost| cost.settled_usd).unwrap_or_default();
    let note = format!("the pool does not fit its schema: {usd} USD of this sandbox are in no pool's cost");
    draft.event(true, Reason::Undecodable, note);
}
