//! What to do about one Sandbox: pure, so that every rule can be tested
//! without a cluster or a cloud.

mod app;
mod attempt;
mod claim;
mod claim_files;
mod files;
mod hibernation;
mod inputs;
mod meter;
mod request;
mod running;
mod story;
mod teardown;

#[cfg(test)]
mod tests;

use super::facts::{MemberFacts, Observed, ProviderFact};
use crate::api::conditions::{self, Reason, Type, Wanted};
use crate::api::{Claim, InstanceStatus, MEMBER_FINALIZER, ObjectUid, Phase, Sandbox, SandboxStatus, Span, settled};
use crate::controllers::launches;
use crate::controllers::transfers::{Order, Progress};
use crate::providers::{Inputs, Marks};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::time::Duration;

/// Something to be done outside. [`super::apply`] does each once, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put the finalizer on, before anything exists at the provider (S2).
    AddFinalizer,
    /// Send one create call.
    Create {
        /// Name of the instance.
        name: String,
        /// Ownership.
        marks: Marks,
        /// Values out of Secrets; they go nowhere else.
        inputs: Inputs,
        /// The attempt was written in this very pass: nothing else can have sent it.
        fresh: bool,
    },
    /// Ask the provider to delete the instance with this id.
    Delete {
        /// The provider's id.
        id: String,
    },
    /// Start anew with what is known of the agent: its container was replaced.
    ResetProbe,
    /// Move files between the instance and the snapshot store, beside the passes.
    Transfer {
        /// Which, and which way.
        order: Order,
    },
    /// End the transfer of its files, and forget what became of it.
    EndTransfer,
    /// Launch an app in the sandbox and look after it, beside the passes.
    Launch {
        /// What, and where.
        order: launches::Order,
        /// Its process, where one was started before.
        pid: Option<i32>,
    },
    /// Look after its app no more, and forget what became of it.
    EndLaunch,
    /// Remove a snapshot that nobody needs any more.
    DiscardSnapshot {
        /// Its name.
        snapshot: String,
    },
    /// Delete the Secret with the agent's token.
    DeleteToken,
    /// Let the object go (S4).
    LiftFinalizer,
    /// Delete this very version of this Sandbox (S7).
    DeleteSelf,
    /// Write a claim on a member, in the version that was seen (S6).
    ClaimMember {
        /// The member.
        member: ObjectUid,
        /// The version that was seen.
        resource_version: String,
        /// The claim.
        claim: Claim,
    },
    /// Let a member's claim live longer.
    ExtendMember {
        /// The member.
        member: ObjectUid,
        /// The new TTL.
        ttl: Span,
    },
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
    /// The status as it must stand before any effect: the intent.
    pub status: SandboxStatus,
    /// The agent's token must be there before the status is written: an attempt without one is lost.
    pub needs_token: bool,
    /// Writing the status can wait for a turn: nothing but readers depends on it.
    pub can_wait: bool,
    /// What to do then, in order.
    pub effects: Vec<Effect>,
    /// When to look again if nothing happens before.
    pub again: Option<Duration>,
}

/// Decides what to do about one Sandbox.
pub fn plan(observed: &Observed) -> Plan {
    match observed {
        Observed::Member(facts) => member(facts),
        Observed::Request(facts) => request::plan(facts),
    }
}

fn member(facts: &MemberFacts) -> Plan {
    let mut draft = Draft::new(facts);
    if facts.sandbox.is_deleting() {
        teardown::plan(&mut draft);
    } else if !has_finalizer(&facts.sandbox) {
        draft.effects.push(Effect::AddFinalizer);
    } else {
        claim::note(&mut draft);
        if !claim::end(&mut draft) {
            attempt::plan(&mut draft);
            claim_files::plan(&mut draft);
            app::plan(&mut draft);
            hibernation::plan(&mut draft);
        }
    }
    draft.finish()
}

fn has_finalizer(sandbox: &Sandbox) -> bool {
    sandbox.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == MEMBER_FINALIZER)
}

/// Whether a plan for this member may hold a create call; what that needs is observed only then.
pub fn may_create(sandbox: &Sandbox) -> bool {
    let sought = |instance: &InstanceStatus| instance.id.is_none() || instance.failure.is_some();
    let lives = !sandbox.is_deleting() && has_finalizer(sandbox) && sandbox.phase() != Phase::Failed;
    lives && sandbox.instance().is_none_or(sought)
}

/// A plan for a member while it is being made.
struct Draft<'facts> {
    facts: &'facts MemberFacts,
    status: SandboxStatus,
    wanted: Vec<Wanted>,
    effects: Vec<Effect>,
    again: Option<Duration>,
    needs_token: bool,
}

impl<'facts> Draft<'facts> {
    fn new(facts: &'facts MemberFacts) -> Self {
        let status = facts.sandbox.status.clone().unwrap_or_default();
        Self { facts, status, wanted: Vec::new(), effects: Vec::new(), again: None, needs_token: false }
    }

    fn uid(&self) -> &'facts str {
        self.facts.sandbox.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Now, as the API server stores it.
    fn time(&self) -> Time {
        Time(conditions::whole_second(self.facts.now))
    }

    fn phase(&mut self, phase: Phase, reason: Reason) {
        self.status.phase = Some(phase);
        self.status.reason = Some(reason.as_str().to_owned());
    }

    fn want(&mut self, kind: Type, status: bool, reason: Reason, message: impl Into<String>) {
        // The last word holds: two of them would move the transition time with every pass (S10).
        self.wanted.retain(|wanted| wanted.kind != kind);
        self.wanted.push(Wanted::new(kind, status, reason, message));
    }

    fn event(&mut self, warning: bool, reason: Reason, note: impl Into<String>) {
        self.effects.push(Effect::Event { warning, reason, note: note.into() });
    }

    /// Looks again no later than after `pause`.
    fn again(&mut self, pause: Duration) {
        self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
    }

    /// Looks again at `time`, or at once if that is past.
    fn again_at(&mut self, time: jiff::Timestamp) {
        let left = time.duration_since(self.facts.now);
        self.again(Duration::try_from(left).unwrap_or_default().max(Duration::from_millis(50)));
    }

    /// Looks again when the next listing can have come.
    fn again_soon(&mut self) {
        self.again(self.facts.listing_period + Duration::from_millis(100));
    }

    /// How far this very transfer is, if this process has started it.
    fn transfer(&self, order: &Order) -> Option<Progress> {
        self.facts.transfer.as_ref().filter(|(started, _)| started == order).map(|(_, progress)| progress.clone())
    }

    /// The account, if it is the one that the instance is in; else says why not.
    fn open_account(&mut self) -> bool {
        let expected = self.status.instance.as_ref().map(|instance| instance.account.clone());
        match (&self.facts.provider, expected) {
            (ProviderFact::Open { account }, Some(expected)) if account.0 != expected => {
                // Another account's 404 proves nothing (S3).
                self.shut(
                    Reason::WrongAccount,
                    format!(
                        "the credentials open account {account}, but the instance is in {expected}: \
                         put a token of {expected} back into the Secret"
                    ),
                );
                false
            }
            (ProviderFact::Open { .. }, _) => {
                // What a create call was told is taken back by one that works, not by an open door.
                let told = |condition: &Condition| {
                    condition.type_ == Type::ProviderReachable.as_str()
                        && condition.reason != Reason::CredentialsRejected.as_str()
                        && condition.reason != Reason::RateLimited.as_str()
                };
                if self.status.conditions.iter().any(told) {
                    self.want(Type::ProviderReachable, true, Reason::AsExpected, "the provider answers");
                }
                true
            }
            (ProviderFact::Shut { reason, message }, _) => {
                self.shut(*reason, message.clone());
                false
            }
        }
    }

    fn shut(&mut self, reason: Reason, message: String) {
        self.want(Type::ProviderReachable, false, reason, message);
        self.again(Duration::from_secs(15));
    }

    fn finish(mut self) -> Plan {
        let generation = self.facts.sandbox.metadata.generation;
        if !self.wanted.is_empty() || self.status.observed_generation.is_some_and(|seen| seen != settled::UNSEEN) {
            self.status.observed_generation = generation;
        }
        self.status.conditions = conditions::merge(&self.status.conditions, &self.wanted, generation, self.facts.now);
        settled::sandbox(&mut self.status, &self.facts.sandbox.spec, generation, self.facts.now);
        // The claim is the holder's since its one write; the operator's note of it must not slow the next claim.
        let can_wait = self.facts.sandbox.held_by().is_some()
            && self.effects.iter().all(|effect| matches!(effect, Effect::Event { .. }))
            && self.status.instance.as_ref().is_some_and(|instance| instance.ready_at.is_some());
        Plan { status: self.status, needs_token: self.needs_token, can_wait, effects: self.effects, again: self.again }
    }
}
