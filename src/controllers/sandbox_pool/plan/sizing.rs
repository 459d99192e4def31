//! Takes claims into the pool's record of demand, and the warm level from it.

use super::lead_time::lead_time;
use super::{Draft, short};
use crate::api::conditions::whole_second;
use crate::api::{Demand, SizingStatus, StartKind};
use crate::controllers::sandbox_pool::facts::Member;
use crate::controllers::sandbox_pool::sizing::demand::{INTERVAL, Measured, rounded};
use crate::controllers::sandbox_pool::sizing::settle::{Asked, HEADROOM, PATIENCE, settle};
use crate::controllers::sandbox_pool::sizing::stock::base_stock;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// A request that got a warm sandbox later than this had to wait for it.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(5);
/// Uncounted requests beyond this many are left out: the record is bounded.
const LOST: usize = 1000;

/// Takes in the claims that this pass counts, and the requests that got nothing.
pub(super) fn record(draft: &mut Draft<'_>, fresh: &[&Member]) {
    let facts = draft.facts;
    if facts.pool.spec.warm.sizing.wanted_hit_rate().is_none() {
        (draft.status.demand, draft.status.sizing) = (None, None);
        return;
    }
    let demand = draft.status.demand.get_or_insert_with(|| Demand::starting(facts.now));
    for member in fresh {
        let Some(claimed) = member.claimed_at else { continue };
        let asked = member.asked_at.unwrap_or(claimed);
        demand.count(asked, member.start_kind == Some(StartKind::Cold) || claimed.duration_since(asked) > AT_ONCE);
        if let (Some(created), Some(ready)) = (member.created, member.ready_at) {
            demand.count_lead_time(ready.duration_since(created));
        }
    }
    demand.lost.retain(|counted| facts.lost.iter().any(|request| short(&request.uid) == *counted));
    for request in &facts.lost {
        let uid = short(&request.uid);
        if demand.lost.len() < LOST && !demand.lost.contains(&uid) {
            demand.lost.push(uid);
            demand.count(request.asked, true);
        }
    }
}

/// Bounds of the level, and what it is for.
struct Terms {
    hit_rate: f64,
    least: i32,
    most: i32,
    creates: i32,
}

/// The warm level while there is demand: the target, or what demand asks for.
pub(super) fn level(draft: &mut Draft<'_>) -> i32 {
    let facts = draft.facts;
    let (warm, limits) = (&facts.pool.spec.warm, &facts.pool.spec.limits);
    let least = warm.target.min(limits.max_sandboxes);
    let (Some(hit_rate), Some(stored)) = (warm.sizing.wanted_hit_rate(), draft.status.demand.clone()) else {
        return least;
    };
    let most = warm.max.unwrap_or(limits.max_sandboxes).min(limits.max_sandboxes).max(least);
    let terms = Terms { hit_rate, least, most, creates: limits.max_concurrent_creates };
    let lead_time = stored.lead_time_seconds.unwrap_or_else(|| lead_time(&facts.members));
    let mut demand = stored.clone();
    // They are counted for good when they are served; until then they are demand all the same.
    facts.queue.iter().for_each(|asked| demand.count(*asked, true));
    let measured = demand.measure(facts.now, lead_time);
    let asked = measured.map_or(Some(Asked { now: 0, with_headroom: 0 }), |measured| ask(&measured, &terms));
    let before = draft.status.sizing.clone();
    let (current, since) = before.as_ref().map_or((least, Timestamp::MIN), |sizing| (sizing.level, sizing.since.0));
    let target = asked.unwrap_or(Asked { now: most, with_headroom: most });
    let level = settle(current, since, facts.now, target, least, most);
    look_again(draft, level, since, target, least);
    let counted = facts.pool.status.as_ref().and_then(|status| status.demand.as_ref());
    let edited = draft.status.observed_generation != facts.pool.metadata.generation;
    if before.is_none() || level != current || edited || counted != Some(&stored) {
        let since = if before.is_none() || level != current { whole_second(facts.now) } else { since };
        draft.status.sizing = Some(SizingStatus {
            level,
            since: Time(since),
            claims_per_minute: measured.map_or(0.0, |measured| rounded(measured.rate * 60.0, 100.0)),
            burstiness: measured.map_or(1.0, |measured| rounded(measured.dispersion, 100.0)),
            lead_time_seconds: rounded(lead_time, 10.0),
            hit_rate: stored.hit_rate(),
            message: explain(level, measured.as_ref(), asked, &terms),
        });
    }
    level
}

/// What demand asks for; none if no level is enough.
fn ask(measured: &Measured, terms: &Terms) -> Option<Asked> {
    let now = base_stock(measured, terms.hit_rate, terms.creates)?;
    let more = Measured { rate: measured.rate * HEADROOM, ..*measured };
    Some(Asked { now, with_headroom: base_stock(&more, terms.hit_rate, terms.creates).unwrap_or(i32::MAX) })
}

/// Only time lets the level go down: claims wake the pool themselves.
fn look_again(draft: &mut Draft<'_>, level: i32, since: Timestamp, asked: Asked, least: i32) {
    if level <= least {
        return;
    }
    let rest = since.checked_add(PATIENCE).unwrap_or(draft.facts.now);
    if asked.with_headroom < level && rest > draft.facts.now {
        draft.again_at(rest);
    } else {
        draft.again(Duration::from_secs(INTERVAL.unsigned_abs()));
    }
}

fn explain(level: i32, measured: Option<&Measured>, asked: Option<Asked>, terms: &Terms) -> String {
    let Terms { hit_rate, least, most, creates } = terms;
    let share = format!("{} % of them", rounded(hit_rate * 100.0, 10.0));
    let Some(measured) = measured else {
        return match level > *least {
            true => format!("no claims in the last hours: going down from {level} to warm.target ({least})"),
            false => format!("no claims in the last hours: warm.target ({least}) is held"),
        };
    };
    let (per_minute, load) = (measured.rate * 60.0, measured.load());
    let demand = format!(
        "{per_minute:.1} claims/min, each replaced in {:.0} s: {load:.1} on their way on average, variance {:.1} times that",
        measured.lead_time, measured.dispersion
    );
    let Some(asked) = asked else {
        let most_made = f64::from(*creates) * 60.0 / measured.lead_time;
        return format!(
            "{demand}; limits.maxConcurrentCreates ({creates}) makes at most {most_made:.1}/min, no level is enough: raise it"
        );
    };
    let enough = asked.now;
    let held = if enough > *most {
        format!("{enough} would let {share} find a warm sandbox, the bound is {most} (warm.max, limits.maxSandboxes)")
    } else if level > enough && level == *least {
        format!("{enough} would let {share} find a warm sandbox, warm.target ({least}) is held")
    } else if level > enough {
        format!("{enough} let {share} find a warm sandbox, the level goes down slowly")
    } else {
        format!("{level} let {share} find a warm sandbox")
    };
    format!("{demand}; {held}")
}
