//! What a request tells of its way to a sandbox and a running app: its timeline, and how long that took.

use crate::api::conditions::{Reason, Type, Wanted, is_true};
use crate::api::{Phase, Sandbox, SandboxStatus, StartKind, TimelineEntry, note};
use crate::controllers::sandbox::facts::{BoundFact, RequestFacts};
use jiff::{SignedDuration, Timestamp};

/// Between what a request waits for and its place.
const PLACE: &str = ", number ";

/// What a request shows of a member that can be used.
pub(super) fn phase_of(member: &SandboxStatus) -> (Phase, Reason) {
    match member.phase {
        Some(phase @ (Phase::Launching | Phase::Running)) => {
            (phase, member.reason.as_deref().map_or(Reason::Claimed, Reason::of))
        }
        _ => (Phase::Claimed, Reason::Claimed),
    }
}

/// What the member says of its app.
pub(super) fn app_ready(member: &SandboxStatus) -> Option<Wanted> {
    let told = member.conditions.iter().find(|told| told.type_ == Type::AppReady.as_str())?;
    Some(Wanted::new(Type::AppReady, told.status == "True", Reason::of(&told.reason), told.message.clone()))
}

/// Adds to the timeline what this pass has changed.
pub(super) fn tell(facts: &RequestFacts, status: &mut SandboxStatus, wanted: &[Wanted]) {
    let before = facts.sandbox.status.clone().unwrap_or_default();
    if facts.sandbox.is_deleting() || before.phase == Some(Phase::Ended) {
        return;
    }
    if before.timeline.is_empty() {
        let (asked, begins) = (asked_at(facts, status), begins(facts, status));
        note(&mut status.timeline, asked, false, begins);
    }
    let ready = wanted.iter().find(|wanted| wanted.kind == Type::Ready);
    if status.phase == Some(Phase::Pending)
        && status.reason != before.reason
        && let Some(waits) = ready
    {
        // What it waits for may change to and fro; that it does is told once for each.
        let told = |entry: &TimelineEntry| entry.message.starts_with(&format!("{}{PLACE}", waits.message));
        if !status.timeline.iter().any(told) {
            let message = format!("{}{PLACE}{} in the queue", waits.message, facts.ahead + 1);
            note(&mut status.timeline, facts.now, false, &message);
        }
    }
    let usable = ready.is_some_and(|ready| ready.status == Some(true));
    let acquired = status.timings.as_ref().is_some_and(|timings| timings.acquire_ms.is_some());
    if usable && !acquired && !is_true(&before.conditions, Type::Ready) {
        acquire(facts, status);
    }
    if let BoundFact::Present { member, .. } = &facts.bound
        && status.claimed_at.is_some()
    {
        take_over(facts, status, member);
    }
    if status.phase == Some(Phase::Ended) {
        let why = ready.map(|ready| ready.message.as_str()).unwrap_or_default();
        let reason = status.reason.as_deref().map_or(Reason::Released, Reason::of);
        let warning = !matches!(reason, Reason::Expired | Reason::Released);
        note(&mut status.timeline, facts.now, warning, &format!("Ended ({reason}): {why}"));
    }
}

/// What it begins with.
fn begins(facts: &RequestFacts, status: &SandboxStatus) -> &'static str {
    let warm = match status.start_kind {
        Some(kind) => kind == StartKind::Warm,
        None => facts.candidates.iter().any(|candidate| candidate.phase == Phase::Warm),
    };
    if warm { "Acquiring sandbox from warm pool..." } else { "Acquiring sandbox, none is warm..." }
}

/// When the request was made: at its first entry, which the operator writes when it sees it. It was away if that is more
/// than the second in which the API server says that it stored it: whole seconds are all that it tells.
fn asked_at(facts: &RequestFacts, status: &SandboxStatus) -> Timestamp {
    let first = status.timeline.first().filter(|first| first.number == 1);
    let seen = first.map_or(facts.now, |first| first.time.0);
    let stored = facts.sandbox.metadata.creation_timestamp.as_ref();
    let latest = stored.and_then(|stored| stored.0.checked_add(SignedDuration::from_secs(1)).ok());
    latest.map_or(seen, |latest| latest.min(seen))
}

/// It has a sandbox that can be used.
fn acquire(facts: &RequestFacts, status: &mut SandboxStatus) {
    let since = asked_at(facts, status);
    let took = i64::try_from(facts.now.duration_since(since).as_millis()).unwrap_or(i64::MAX);
    // The member itself says so only when its own plan has seen the claim.
    let still_warm = matches!(&facts.bound, BoundFact::Present { member, .. } if member.phase() == Phase::Warm);
    let hit = status.start_kind.map_or(still_warm, |kind| kind == StartKind::Warm);
    let how = if hit { "pool hit" } else { "cold start" };
    note(&mut status.timeline, facts.now, false, &format!("Pool acquisition: {took}ms ({how})"));
    status.timings.get_or_insert_default().acquire_ms = Some(took);
}

/// What the member has told since, and what its steps took.
fn take_over(facts: &RequestFacts, status: &mut SandboxStatus, member: &Sandbox) {
    let Some(theirs) = &member.status else { return };
    let taken = status.timeline_of_member.unwrap_or_default();
    for entry in theirs.timeline.iter().filter(|entry| entry.number > taken) {
        note(&mut status.timeline, entry.time.0, entry.warning, &entry.message);
        status.timeline_of_member = Some(entry.number);
    }
    let Some(steps) = &theirs.timings else { return };
    let asked = asked_at(facts, status);
    let timings = status.timings.get_or_insert_default();
    let (acquire, total) = (timings.acquire_ms, timings.total_ms);
    *timings = steps.clone();
    timings.acquire_ms = acquire;
    let answered = theirs.timeline.last().map_or(facts.now, |last| last.time.0);
    let whole = || i64::try_from(answered.duration_since(asked).as_millis()).unwrap_or(i64::MAX);
    timings.total_ms = total.or_else(|| steps.total_ms.map(|_| whole()));
}
