//! What to do about one pool: pure, so that every rule can be tested without a cluster.

mod account;
mod age;
mod budget;
mod cost;
mod drain;
mod failures;
mod lead_time;
mod level;
mod refs;
mod replace;
mod rollout;
mod sizing;
mod status;

#[cfg(test)]
mod tests;

use super::facts::{Member, Observed};
use crate::api::conditions::{Reason, Type, Wanted};
use crate::api::{POOL_FINALIZER, SandboxPoolStatus, StartKind, Template};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeSet;
use std::time::Duration;

/// Something to be done outside. [`super::apply`] does each once, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put the finalizer on, before anything is made for the pool.
    AddFinalizer,
    /// Keep the credentials Secret from going while an instance needs it.
    HoldSecret,
    /// Let the credentials Secret go if nobody else needs it.
    ReleaseSecret,
    /// Make a member.
    CreateMember {
        /// Its slot.
        slot: i32,
        /// What it carries for life.
        template: Box<Template>,
    },
    /// Delete this very version of an unclaimed member (S7).
    DeleteMember {
        /// Its name.
        name: String,
        /// Its UID.
        uid: String,
        /// The version that was seen.
        resource_version: String,
        /// Why.
        reason: Reason,
    },
    /// Count a claim in the metrics.
    CountClaim {
        /// Whether it got a warm sandbox.
        kind: StartKind,
        /// From the claim to a usable sandbox.
        waited: Duration,
    },
    /// Make other pools of the account look: they have something to give back.
    WakePools {
        /// Their namespaces and names.
        pools: Vec<(String, String)>,
    },
    /// Let the pool go.
    LiftFinalizer,
    /// Tell people.
    Event {
        /// Something is wrong.
        warning: bool,
        /// In one word.
        reason: Reason,
        /// In a sentence.
        note: String,
    },
}

/// What to do, and what to write about it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The status as it must stand before any effect, if it is to be written now.
    pub status: Option<SandboxPoolStatus>,
    /// What to do then, in order.
    pub effects: Vec<Effect>,
    /// When to look again if nothing happens before.
    pub again: Option<Duration>,
}

/// Decides what to do about one pool.
pub fn plan(observed: &Observed) -> Plan {
    let mut draft = Draft::new(observed);
    draft.count_claims();
    failures::note(&mut draft);
    cost::settle(&mut draft);
    if observed.pool.metadata.deletion_timestamp.is_some() {
        drain::plan(&mut draft);
    } else if !has_finalizer(observed) {
        draft.effects.push(Effect::AddFinalizer);
    } else {
        level::plan(&mut draft);
    }
    status::finish(draft)
}

fn has_finalizer(observed: &Observed) -> bool {
    observed.pool.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == POOL_FINALIZER)
}

/// As much of a UID as tells those apart that are counted together.
fn short(uid: &str) -> String {
    uid.chars().take(8).collect()
}

/// A plan while it is being made.
struct Draft<'facts> {
    facts: &'facts Observed,
    status: SandboxPoolStatus,
    wanted: Vec<Wanted>,
    effects: Vec<Effect>,
    again: Option<Duration>,
    /// Members that this plan removes.
    removed: BTreeSet<String>,
    /// What the budget allows.
    room: budget::Room,
}

impl<'facts> Draft<'facts> {
    fn new(facts: &'facts Observed) -> Self {
        let status = facts.pool.status.clone().unwrap_or_default();
        Self {
            facts,
            status,
            wanted: Vec::new(),
            effects: Vec::new(),
            again: None,
            removed: BTreeSet::new(),
            room: budget::Room::unbounded(),
        }
    }

    fn want(&mut self, kind: Type, status: bool, reason: Reason, message: impl Into<String>) {
        self.wanted.push(Wanted::new(kind, status, reason, message));
    }

    fn again(&mut self, pause: Duration) {
        self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
    }

    fn again_at(&mut self, time: jiff::Timestamp) {
        let left = Duration::try_from(time.duration_since(self.facts.now)).unwrap_or_default();
        self.again(left.max(Duration::from_millis(50)));
    }

    fn event(&mut self, warning: bool, reason: Reason, note: impl Into<String>) {
        self.effects.push(Effect::Event { warning, reason, note: note.into() });
    }

    fn remove(&mut self, member: &Member, reason: Reason) {
        if member.deleting || !self.removed.insert(member.uid.clone()) {
            return;
        }
        self.effects.push(Effect::DeleteMember {
            name: member.name.clone(),
            uid: member.uid.clone(),
            resource_version: member.resource_version.clone(),
            reason,
        });
    }

    /// Every claim is counted once: its member's UID stands in the status as long as the member does.
    fn count_claims(&mut self) {
        let facts = self.facts;
        self.status.counted_claims.retain(|counted| facts.members.iter().any(|member| short(&member.uid) == *counted));
        let mut fresh = Vec::new();
        for member in facts.members.iter().filter(|member| member.claimed) {
            let (Some(claimed_at), Some(kind)) = (member.claimed_at, member.start_kind) else { continue };
            if self.status.counted_claims.contains(&short(&member.uid)) {
                continue;
            }
            // A cold claim is counted when it is served, with the time that took.
            let waited = match (kind, member.ready_at) {
                (StartKind::Warm, _) => Duration::ZERO,
                (StartKind::Cold, Some(ready)) => {
                    Duration::try_from(ready.duration_since(claimed_at)).unwrap_or_default()
                }
                (StartKind::Cold, None) => continue,
            };
            match kind {
                StartKind::Warm => self.status.claims_warm += 1,
                StartKind::Cold => self.status.claims_cold += 1,
            }
            self.status.counted_claims.push(short(&member.uid));
            self.effects.push(Effect::CountClaim { kind, waited });
            fresh.push(member);
        }
        sizing::record(self, &fresh);
        let newest =
            facts.members.iter().filter_map(|member| member.claimed_at).chain(facts.queue.iter().copied()).max();
        let known = self.status.last_claim_time.as_ref().map(|time| time.0);
        self.status.last_claim_time = newest.max(known).map(Time);
    }
}
