//! Failures in a row: recorded before the failed member goes, so that a restart resets nothing.

use super::Draft;
use crate::api::FailureRecord;
use crate::api::conditions::{Reason, truncate, whole_second};
use crate::controllers::sandbox_pool::facts::{Failure, Member};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Records new failures, forgets them after a success, and removes recorded failed members.
pub(super) fn note(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    let mut failed: Vec<(&Member, &Failure)> =
        facts.members.iter().filter_map(|member| Some((member, member.failure.as_ref()?))).collect();
    failed.sort_by(|(left, a), (right, b)| (a.time, &left.uid).cmp(&(b.time, &right.uid)));
    for (member, failure) in failed {
        if is_news(draft.status.failures.as_ref(), member, failure) {
            record(draft, member, failure);
        }
        // The intent is written before the effects: the record stands when the member goes.
        if !member.claimed {
            draft.remove(member, Reason::of(&failure.reason));
        }
    }
    forget_after_success(draft);
}

fn is_news(record: Option<&FailureRecord>, member: &Member, failure: &Failure) -> bool {
    record.is_none_or(|record| {
        (record.last_time.0, record.last_uid.as_str()) < (whole_second(failure.time), member.uid.as_str())
    })
}

fn record(draft: &mut Draft<'_>, member: &Member, failure: &Failure) {
    let before = draft.status.failures.as_ref().map_or(0, |record| record.consecutive);
    draft.status.failures = Some(FailureRecord {
        consecutive: before + 1,
        last_time: Time(whole_second(failure.time)),
        last_uid: member.uid.clone(),
        last_reason: truncate(&failure.reason, 64),
        last_message: truncate(&failure.message, 1024),
        generation: member.generation,
        terminal: failure.terminal,
    });
    let reason = Reason::of(&failure.reason);
    draft.event(true, reason, format!("{} failed: {}", member.name, failure.message));
}

fn forget_after_success(draft: &mut Draft<'_>) {
    let members = &draft.facts.members;
    // Times are whole seconds: another member that became ready in the second of the failure counts.
    let succeeded = |record: &FailureRecord| {
        members.iter().any(|member| {
            member.uid != record.last_uid && member.ready_at.is_some_and(|ready| ready >= record.last_time.0)
        })
    };
    if let Some(record) = &mut draft.status.failures
        && succeeded(record)
    {
        record.consecutive = 0;
        record.terminal = false;
    }
}

/// Whether the last one failed because the account takes no more: asked again seldom, but again.
pub(super) fn is_account_full(record: &FailureRecord) -> bool {
    record.consecutive > 0 && Reason::of(&record.last_reason) == Reason::AccountLimit
}

/// What failures allow now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    /// As much as is wanted.
    Closed,
    /// One at a time: the last one failed.
    Trying,
    /// Nothing before then.
    Open {
        /// When the next try may be made.
        until: Timestamp,
    },
    /// Nothing until the spec is changed.
    Broken,
}

pub(super) fn breaker(draft: &Draft<'_>) -> Breaker {
    let Some(record) = draft.status.failures.as_ref().filter(|record| record.consecutive > 0) else {
        return Breaker::Closed;
    };
    if record.generation < draft.facts.pool.metadata.generation.unwrap_or_default() && record.terminal {
        return Breaker::Trying;
    }
    if record.terminal {
        return Breaker::Broken;
    }
    let backoff = &draft.facts.pool.spec.create.backoff;
    let pause = if is_account_full(record) { backoff.max } else { backoff.after(record.consecutive) };
    match record.last_time.0.checked_add(pause.signed()) {
        Ok(until) if draft.facts.now < until => Breaker::Open { until },
        _ => Breaker::Trying,
    }
}
