//! What tools go by that read all kinds alike: kubectl's cli-utils, Helm, Flux and Argo CD. They call the rules kstatus
//! (`sigs.k8s.io/cli-utils/pkg/kstatus/status`): of a kind that they do not know, an object is in progress while
//! `observedGeneration` is not its generation, while `Reconciling` is True or while `Ready` is there and not True; it has
//! failed while `Stalled` is True; else it is as its spec wants it.
//!
//! So `Reconciling` and `Stalled` stand in a status while they are True, and `Ready` only where somebody may wait for it.

use super::conditions::{Reason, Type, Wanted, merge};
use super::{OperatingMode, Phase, SandboxSpec, SandboxStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Stands in for the generation of an object that no operator has seen: the definitions put it into a status that is
/// not there, as it would read as one that says all is well.
pub const UNSEEN: i64 = -1;

/// What the rest of a status comes to: a word and a sentence.
type Why = Option<(Reason, String)>;

/// Adds to the conditions of a pool what they come to.
pub fn pool(conditions: &mut Vec<Condition>, generation: Option<i64>, now: Timestamp) {
    let stalled = pool_stalls(conditions);
    let moves = if stalled.is_some() { None } else { pool_moves(conditions) };
    put(conditions, Type::Stalled, stalled, generation, now);
    put(conditions, Type::Reconciling, moves, generation, now);
}

/// Only a person can help.
fn pool_stalls(conditions: &[Condition]) -> Why {
    let degraded = told(conditions, Type::Degraded).filter(|told| told.status == "True");
    // Those end by themselves, or do not keep the pool from its level.
    let passing = [Reason::BackingOff, Reason::ClockSkew, Reason::SlotBlocked, Reason::Undecodable];
    let degraded = degraded.filter(|told| !passing.contains(&Reason::of(&told.reason)));
    let is = |kind, reason: Reason| {
        told(conditions, kind).filter(|told| told.status == "False" && told.reason == reason.as_str())
    };
    let account = || is(Type::ProviderReachable, Reason::WrongAccount);
    degraded.or_else(account).or_else(|| is(Type::Available, Reason::PriceUnknown)).map(why)
}

/// Members come and go, or are about to. What the spec itself bounds is as the spec wants it.
fn pool_moves(conditions: &[Condition]) -> Why {
    let Some(available) = told(conditions, Type::Available) else {
        return Some((Reason::BelowTarget, "nothing is made yet".to_owned()));
    };
    let bounded = [Reason::AtCapacity, Reason::HourlyBudget, Reason::MonthlyBudget];
    let below = available.status != "True" && !bounded.contains(&Reason::of(&available.reason));
    let progress = || told(conditions, Type::Progressing).filter(|told| told.status == "True");
    Some(available).filter(|_| below).or_else(progress).map(why)
}

/// Adds to the status of a Sandbox what it comes to, once it has a phase.
pub fn sandbox(status: &mut SandboxStatus, spec: &SandboxSpec, generation: Option<i64>, now: Timestamp) {
    let Some(phase) = status.phase else { return };
    let asleep = phase == Phase::Hibernated && status.reason.as_deref() == Some(Reason::Hibernated.as_str());
    let conditions = &mut status.conditions;
    if phase == Phase::Ended {
        let ended = status.ended_at.as_ref().map_or(now, |time| time.0);
        instead_of_ready(conditions, Type::Ended, generation, ended);
    } else if asleep {
        instead_of_ready(conditions, Type::Hibernated, generation, now);
    } else if spec.slot.is_none() {
        conditions.retain(|told| told.type_ != Type::Hibernated.as_str());
    }
    let stalled = sandbox_stalls(conditions, phase);
    let rests = stalled.is_some() || asleep || matches!(phase, Phase::Ended | Phase::Failed | Phase::Terminating);
    let moves = if rests { None } else { sandbox_moves(conditions, spec, phase) };
    put(conditions, Type::Stalled, stalled, generation, now);
    put(conditions, Type::Reconciling, moves, generation, now);
}

/// What `Ready` said last is said by a condition that nobody takes for a promise.
fn instead_of_ready(conditions: &mut Vec<Condition>, kind: Type, generation: Option<i64>, now: Timestamp) {
    let Some(ready) = told(conditions, Type::Ready).map(why) else { return };
    conditions.retain(|told| told.type_ != Type::Ready.as_str());
    if told(conditions, kind).is_none_or(|told| told.status != "True") {
        put(conditions, kind, Some(ready), generation, now);
    }
}

/// Nothing comes of it without a person.
fn sandbox_stalls(conditions: &[Condition], phase: Phase) -> Why {
    let not = |kind| told(conditions, kind).filter(|told| told.status == "False");
    let lost = [Reason::SnapshotMissing, Reason::SnapshotDamaged, Reason::NoSnapshotStore];
    let among = |told: &&Condition, reasons: &[Reason]| reasons.contains(&Reason::of(&told.reason));
    match phase {
        Phase::Ended => {
            let ended = told(conditions, Type::Ended);
            ended.filter(|ended| !among(ended, &[Reason::Expired, Reason::Released])).map(why)
        }
        Phase::Failed => not(Type::Ready).map(why),
        Phase::Terminating => None,
        _ => {
            let files = || not(Type::Ready).filter(|ready| among(ready, &lost));
            let sleep = || not(Type::Hibernated).filter(|told| among(told, &lost));
            // One that runs and is silent may answer again; one that failed is not started anew.
            let mends = [Reason::Launching, Reason::AppSilent, Reason::Hibernated, Reason::InstanceLost];
            let app = || not(Type::AppReady).filter(|app| !among(app, &mends));
            not(Type::ResolvedRefs).or_else(files).or_else(sleep).or_else(app).map(why)
        }
    }
}

/// It is on its way to what is wanted of it.
fn sandbox_moves(conditions: &[Condition], spec: &SandboxSpec, phase: Phase) -> Why {
    let not = |kind| told(conditions, kind).filter(|told| told.status == "False");
    let sleeps = spec.operating_mode == Some(OperatingMode::Hibernated);
    let launches = spec.claim.as_ref().is_some_and(|claim| claim.app.is_some());
    match told(conditions, Type::Ready) {
        Some(ready) if ready.status == "True" && sleeps => {
            let told = not(Type::Hibernated).filter(|told| told.reason != Reason::AsExpected.as_str());
            Some(told.map_or((Reason::Hibernating, "it is to be hibernated".to_owned()), why))
        }
        Some(ready) if ready.status == "True" && launches => match told(conditions, Type::AppReady) {
            Some(app) if app.status == "True" => None,
            Some(app) => Some(why(app)),
            None => Some((Reason::Launching, "its app is about to be launched".to_owned())),
        },
        Some(ready) if ready.status == "True" => None,
        Some(ready) => Some(why(ready)),
        None => Some(match phase {
            Phase::Booting => (Reason::Booting, "its agent does not answer yet".to_owned()),
            Phase::Creating => (Reason::Creating, "its instance is being made".to_owned()),
            _ => (Reason::Queued, "it waits for its turn".to_owned()),
        }),
    }
}

fn told(conditions: &[Condition], kind: Type) -> Option<&Condition> {
    conditions.iter().find(|told| told.type_ == kind.as_str())
}

fn why(told: &Condition) -> (Reason, String) {
    (Reason::of(&told.reason), told.message.clone())
}

/// A condition that is True or not there.
fn put(conditions: &mut Vec<Condition>, kind: Type, why: Why, generation: Option<i64>, now: Timestamp) {
    match why {
        Some((reason, message)) => {
            *conditions = merge(conditions, &[Wanted::new(kind, true, reason, message)], generation, now);
        }
        None => conditions.retain(|told| told.type_ != kind.as_str()),
    }
}

#[cfg(test)]
#[path = "settled_tests.rs"]
mod tests;
