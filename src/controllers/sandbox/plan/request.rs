//! A request: gets one member bound to it, holds it, and stays as a record when that ends.

use super::{Effect, Plan, app, files, story};
use crate::api::conditions::{self, Reason, Type, Wanted};
use crate::api::{
    AppRef, Claim, ClaimFor, ObjectUid, OnEmpty, Phase, QueuePlace, Sandbox, SandboxStatus, Span, settled,
};
use crate::controllers::sandbox::facts::{BoundFact, Candidate, PoolFact, RequestFacts, candidate};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// How long a request waits for a pool that does not exist yet.
const WAIT_FOR_POOL: Span = Span::minutes(5);
/// How often a waiting request looks again by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// A place in the queue is told no more often: it moves with everybody's.
const TELL_PLACE: Span = Span::seconds(15);

struct Draft<'facts> {
    facts: &'facts RequestFacts,
    status: SandboxStatus,
    wanted: Vec<Wanted>,
    effects: Vec<Effect>,
    again: Option<Duration>,
}

/// Decides about a request.
pub(super) fn plan(facts: &RequestFacts) -> Plan {
    let status = facts.sandbox.status.clone().unwrap_or_default();
    let mut draft = Draft { facts, status, wanted: Vec::new(), effects: Vec::new(), again: None };
    if !facts.sandbox.is_deleting() {
        draft.decide();
    }
    draft.finish()
}

impl Draft<'_> {
    fn decide(&mut self) {
        if self.status.phase == Some(Phase::Ended) {
            return self.keep_or_delete();
        }
        match &self.facts.bound {
            BoundFact::None => self.queue(),
            BoundFact::Unknown => self.again(LOOK_AGAIN),
            BoundFact::Gone => self.member_left(None),
            BoundFact::Present { member, live } => {
                if self.holds(member) {
                    self.hold(member);
                } else if self.status.claimed_at.is_some() {
                    self.member_left(Some(member));
                } else if member.held_by().is_some()
                    || member.is_deleting()
                    || !Phase::CLAIMABLE.contains(&member.phase())
                {
                    self.lose(*live);
                } else if !self.fits(&candidate(member)) {
                    // No API server takes such a claim, now or later: nothing of ours can be on its way.
                    self.lose(true);
                } else {
                    self.claim(&candidate(member));
                }
            }
        }
    }

    /// Whether the member is claimed for this very request.
    fn holds(&self, member: &Sandbox) -> bool {
        let uid = self.facts.sandbox.metadata.uid.as_deref();
        member.held_by().and_then(|claim| claim.for_.as_ref()).is_some_and(|held| Some(held.uid.as_str()) == uid)
    }

    /// Whether the claim is within what the member takes; a pool edited since takes more.
    fn fits(&self, candidate: &Candidate) -> bool {
        let takes_files = !candidate.worker || (self.snapshot().is_none() && self.app().is_none());
        takes_files && self.wish().and_then(|claim| claim.ttl).is_none_or(|ttl| ttl <= candidate.max_ttl)
    }

    /// No member yet: end, wait, or choose one.
    fn queue(&mut self) {
        let PoolFact::Present { on_empty, max_ttl, wait_timeout, terminating, full, worker, apps, .. } =
            &self.facts.pool
        else {
            return self.wait(Reason::PoolNotFound, WAIT_FOR_POOL, "there is no such pool");
        };
        if *terminating {
            return self.finish_with(Reason::PoolTerminating, "the pool is being deleted");
        }
        if let Some(ttl) = self.wish().and_then(|claim| claim.ttl).filter(|ttl| ttl > max_ttl) {
            let message = format!(
                "spec.claim.ttl: {ttl} is more than the pool's claims.maxTTL ({max_ttl}); ask for at most that"
            );
            return self.finish_with(Reason::TtlTooLong, &message);
        }
        if let Some(snapshot) = self.snapshot().filter(|_| *worker) {
            let message = format!(
                "spec.claim.snapshot.name: {snapshot} cannot be put into sandboxes of pool {}, which are in mode \
                 Worker; leave snapshot out, or ask a pool in mode Service",
                self.facts.sandbox.spec.pool_ref.name
            );
            return self.finish_with(Reason::InvalidSpec, &message);
        }
        if let Some(wish) = self.app().filter(|wish| !apps.contains(&wish.name)) {
            let message = app::unknown_app(&wish.name, &self.facts.sandbox.spec.pool_ref.name, apps);
            return self.finish_with(Reason::UnknownApp, &message);
        }
        if self.waited() >= wait_timeout.signed() {
            return self.finish_with(Reason::WaitTimeout, &format!("no sandbox within {wait_timeout}"));
        }
        let usable = |candidate: &&Candidate| {
            (*on_empty == OnEmpty::Create || candidate.phase == Phase::Warm) && self.fits(candidate)
        };
        // Earlier requests take the better candidates; the order is the same for everybody who looks.
        match self.facts.candidates.iter().filter(usable).nth(self.facts.ahead) {
            Some(candidate) => self.bind(candidate.clone()),
            None if *on_empty == OnEmpty::Fail => {
                self.finish_with(Reason::NoneWarm, "no sandbox is warm, and onEmpty is Fail")
            }
            None if *full => self.wait(Reason::AtCapacity, *wait_timeout, "the pool has as many sandboxes as it may"),
            None => self.wait(Reason::Queued, *wait_timeout, "waiting for a sandbox"),
        }
    }

    fn wait(&mut self, reason: Reason, limit: Span, message: &str) {
        if self.waited() >= limit.signed() {
            return self
                .finish_with(if reason == Reason::PoolNotFound { reason } else { Reason::WaitTimeout }, message);
        }
        self.phase(Phase::Pending, reason);
        self.tell_place();
        self.wanted.push(Wanted::new(Type::Ready, false, reason, message));
        let left = limit.signed().checked_sub(self.waited()).and_then(|left| Duration::try_from(left).ok());
        self.again(left.unwrap_or_default().min(LOOK_AGAIN).max(Duration::from_millis(50)));
    }

    fn tell_place(&mut self) {
        let position = i32::try_from(self.facts.ahead + 1).unwrap_or(i32::MAX);
        let now = conditions::whole_second(self.facts.now);
        let told = self.status.queue.as_ref().map(|place| (place.position, now.duration_since(place.time.0)));
        match told {
            Some((before, _)) if before == position => {}
            Some((_, ago)) if ago < TELL_PLACE.signed() => {
                let left = TELL_PLACE.signed().checked_sub(ago).and_then(|left| Duration::try_from(left).ok());
                self.again(left.unwrap_or_default());
            }
            _ => self.status.queue = Some(QueuePlace { position, time: Time(now) }),
        }
    }

    /// Writes whom to claim before claiming it, so that a crash between the two loses nothing (S8).
    fn bind(&mut self, candidate: Candidate) {
        self.status.bound_to = Some(ObjectUid { name: candidate.name.clone(), uid: candidate.uid.clone() });
        self.phase(waiting_phase(candidate.phase), Reason::Creating);
        self.claim(&candidate);
    }

    fn claim(&mut self, candidate: &Candidate) {
        let (Some(wish), PoolFact::Present { default_ttl, .. }) = (self.wish(), &self.facts.pool) else {
            // The pool went while we were binding: nothing is claimed, so nothing is lost.
            self.status.bound_to = None;
            return self.finish_with(Reason::PoolNotFound, "the pool is gone");
        };
        let metadata = &self.facts.sandbox.metadata;
        let held_for =
            ClaimFor { name: metadata.name.clone().unwrap_or_default(), uid: metadata.uid.clone().unwrap_or_default() };
        let claim = Claim {
            id: wish.id.clone(),
            holder: wish.holder.clone(),
            ttl: wish.ttl.or(Some((*default_ttl).min(candidate.max_ttl))),
            snapshot: wish.snapshot.clone(),
            app: wish.app.clone(),
            for_: Some(held_for),
            keep_ended: None,
        };
        self.effects.push(Effect::ClaimMember {
            member: ObjectUid { name: candidate.name.clone(), uid: candidate.uid.clone() },
            resource_version: candidate.resource_version.clone(),
            claim,
        });
        self.again(Duration::from_millis(200));
    }

    /// Somebody else has the candidate. Believed only if the API server itself says so: an old
    /// view could hide our own claim on it (S6).
    fn lose(&mut self, live: bool) {
        if live {
            self.status.bound_to = None;
            self.phase(Phase::Pending, Reason::Queued);
        }
        self.again(Duration::from_millis(50));
    }

    /// The member is ours: mirror it.
    fn hold(&mut self, member: &Sandbox) {
        let status = member.status.clone().unwrap_or_default();
        if self.status.claimed_at.is_some() && (member.is_deleting() || status.phase == Some(Phase::Failed)) {
            return self.member_left(Some(member));
        }
        let answers =
            conditions::is_true(&status.conditions, Type::Ready) && (status.url.is_some() || member.is_worker());
        // A member that was warm says that it is ready until its own plan has seen the claim.
        let ready = answers && member.awaited_snapshot().is_none();
        if self.status.claimed_at.is_none() {
            self.status.claimed_at = Some(Time(conditions::whole_second(self.facts.now)));
        }
        self.status.expires_at = status.expires_at.clone().or_else(|| self.expiry(member));
        self.status.url.clone_from(&status.url);
        self.status.start_kind = status.start_kind;
        self.wanted.extend(story::app_ready(&status));
        if ready {
            let (phase, reason) = story::phase_of(&status);
            self.phase(phase, reason);
            self.wanted.push(Wanted::new(Type::Claimed, true, Reason::Claimed, format!("holds {}", name_of(member))));
            self.wanted.push(Wanted::new(Type::Ready, true, Reason::Healthy, "the sandbox can be used"));
        } else if let Some((phase, reason, message)) = asleep(member) {
            self.phase(phase, reason);
            self.wanted.push(Wanted::new(Type::Ready, false, reason, message));
        } else if let Some((reason, message)) = waits_for_files(member) {
            self.phase(Phase::Booting, reason);
            self.wanted.push(Wanted::new(Type::Claimed, true, Reason::Claimed, format!("holds {}", name_of(member))));
            self.wanted.push(Wanted::new(Type::Ready, false, reason, message));
            self.again(LOOK_AGAIN);
        } else {
            self.phase(waiting_phase(member.phase()), Reason::Creating);
            self.wanted.push(Wanted::new(Type::Ready, false, Reason::Creating, "the sandbox is not ready yet"));
            self.again(LOOK_AGAIN);
        }
        self.extend(member);
    }

    /// What the member will write, if it has not yet.
    fn expiry(&self, member: &Sandbox) -> Option<Time> {
        let ttl = member.held_by()?.ttl?;
        let since = self.status.claimed_at.as_ref()?.0;
        since.checked_add(ttl.signed()).ok().map(Time)
    }

    /// A longer TTL on the request is carried to the member.
    fn extend(&mut self, member: &Sandbox) {
        let wanted = self.wish().and_then(|claim| claim.ttl);
        let held = member.held_by().and_then(|claim| claim.ttl);
        let limit = member.spec.template.as_ref().map(|template| template.claims.max_ttl);
        if let (Some(wanted), Some(held)) = (wanted, held)
            && wanted > held
            && limit.is_none_or(|limit| wanted <= limit)
            && !member.is_deleting()
        {
            let uid = member.metadata.uid.clone().unwrap_or_default();
            self.effects.push(Effect::ExtendMember { member: ObjectUid { name: name_of(member), uid }, ttl: wanted });
        }
    }

    /// The member is gone, or going without us: a claim that was held has ended.
    fn member_left(&mut self, member: Option<&Sandbox>) {
        if self.status.claimed_at.is_none() {
            let gone = member.is_none();
            return self.lose(gone);
        }
        let status = member.and_then(|member| member.status.as_ref()).filter(|status| status.ended_at.is_some());
        let told = status.and_then(|status| status.reason.clone());
        let expired = self.status.expires_at.as_ref().is_some_and(|time| time.0 <= self.facts.now);
        let reason =
            told.map(|told| Reason::of(&told)).unwrap_or(if expired { Reason::Expired } else { Reason::Released });
        self.finish_with(reason, "its sandbox is gone");
    }

    fn finish_with(&mut self, reason: Reason, message: &str) {
        self.phase(Phase::Ended, reason);
        self.status.ended_at.get_or_insert(Time(conditions::whole_second(self.facts.now)));
        self.status.url = None;
        self.wanted.push(Wanted::new(Type::Ready, false, reason, message));
        if self.status.conditions.iter().any(|told| told.type_ == Type::AppReady.as_str() && told.status == "True") {
            self.wanted.push(Wanted::new(Type::AppReady, false, reason, message));
        }
        let warning = !matches!(reason, Reason::Expired | Reason::Released);
        self.effects.push(Effect::Event { warning, reason, note: message.to_owned() });
        self.again(Duration::from_millis(100));
    }

    /// Stays until its owner deletes it, or `keepEnded` has passed: a GitOps tool would make a
    /// deleted one anew, for ever.
    fn keep_or_delete(&mut self) {
        let (Some(keep), Some(ended)) = (self.wish().and_then(|claim| claim.keep_ended), &self.status.ended_at) else {
            return;
        };
        let kept = self.facts.now.duration_since(ended.0);
        if kept >= keep.signed() {
            self.effects.push(Effect::DeleteSelf);
        } else {
            let left = keep.signed().checked_sub(kept).and_then(|left| Duration::try_from(left).ok());
            self.again(left.unwrap_or_default());
        }
    }

    fn wish(&self) -> Option<&'_ Claim> {
        self.facts.sandbox.spec.claim.as_ref()
    }

    fn snapshot(&self) -> Option<&str> {
        self.wish()?.snapshot.as_ref().map(|snapshot| snapshot.name.as_str())
    }

    fn app(&self) -> Option<&'_ AppRef> {
        self.wish()?.app.as_ref()
    }

    fn waited(&self) -> jiff::SignedDuration {
        let since: Option<Timestamp> = self.facts.sandbox.metadata.creation_timestamp.as_ref().map(|time| time.0);
        since.map_or(jiff::SignedDuration::ZERO, |since| self.facts.now.duration_since(since))
    }

    fn phase(&mut self, phase: Phase, reason: Reason) {
        self.status.phase = Some(phase);
        self.status.reason = Some(reason.as_str().to_owned());
    }

    fn again(&mut self, pause: Duration) {
        self.again = Some(self.again.map_or(pause, |again| again.min(pause)));
    }

    fn finish(mut self) -> Plan {
        story::tell(self.facts, &mut self.status, &self.wanted);
        let generation = self.facts.sandbox.metadata.generation;
        if self.status.bound_to.is_some() || self.status.phase == Some(Phase::Ended) {
            self.status.queue = None;
        }
        // Of one that has ended nothing is wanted any more, whatever its spec says since.
        if !self.wanted.is_empty() || self.status.phase == Some(Phase::Ended) {
            self.status.observed_generation = generation;
        }
        self.status.conditions = conditions::merge(&self.status.conditions, &self.wanted, generation, self.facts.now);
        settled::sandbox(&mut self.status, &self.facts.sandbox.spec, generation, self.facts.now);
        Plan { status: self.status, needs_token: false, can_wait: false, effects: self.effects, again: self.again }
    }
}

/// What a request shows while its member is not ready.
fn waiting_phase(member: Phase) -> Phase {
    match member {
        Phase::Booting | Phase::Warm | Phase::Claimed | Phase::Launching | Phase::Running => Phase::Booting,
        _ => Phase::Creating,
    }
}

/// What a request shows while its member keeps its files elsewhere: why it does not wake, if it is to.
fn asleep(member: &Sandbox) -> Option<(Phase, Reason, String)> {
    let (phase, reason) = match member.phase() {
        Phase::Hibernating => (Phase::Hibernating, Reason::Hibernating),
        Phase::Hibernated => (Phase::Hibernated, Reason::Hibernated),
        _ => return None,
    };
    let mut told = member.status.iter().flat_map(|status| &status.conditions);
    let told = told.find(|told| told.type_ == Type::Hibernated.as_str());
    let told = told.filter(|told| told.status == "True" && told.reason != Reason::Hibernated.as_str());
    Some(match told {
        Some(told) => (phase, Reason::of(&told.reason), told.message.clone()),
        None => (phase, reason, format!("its sandbox {} is hibernated, or about to be", name_of(member))),
    })
}

/// What a request shows while its member is there and the claim's files are not.
fn waits_for_files(member: &Sandbox) -> Option<(Reason, String)> {
    let snapshot = member.awaited_snapshot().filter(|_| member.instance().is_some_and(|own| own.ready_at.is_some()))?;
    let mut told = member.status.iter().flat_map(|status| &status.conditions);
    let told = told.find(|condition| condition.type_ == Type::Ready.as_str() && condition.status == "False");
    Some(match told {
        Some(told) => (Reason::of(&told.reason), told.message.clone()),
        None => (Reason::Restoring, files::on_the_way(snapshot, None)),
    })
}

fn name_of(member: &Sandbox) -> String {
    member.metadata.name.clone().unwrap_or_default()
}
