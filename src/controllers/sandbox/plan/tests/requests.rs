//! Rules of one request, one by one.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, Wanted, is_true, merge};
use crate::api::{
    Claim, ClaimFiles, ObjectUid, OnEmpty, Phase, PoolRef, Sandbox, SandboxSpec, SandboxStatus, SnapshotRef, Span,
};
use crate::controllers::sandbox::facts::{BoundFact, Candidate, Observed, PoolFact, RequestFacts};
use crate::controllers::sandbox::plan::{Effect, Plan, plan};
use kube::api::ObjectMeta;
use std::sync::Arc;
use std::time::Duration;

const REQUEST: &str = "request-uid";

fn request(status: Option<SandboxStatus>) -> Sandbox {
    Sandbox {
        metadata: ObjectMeta {
            name: Some("req".into()),
            namespace: Some("ns".into()),
            uid: Some(REQUEST.into()),
            creation_timestamp: Some(time(0)),
            ..ObjectMeta::default()
        },
        spec: SandboxSpec {
            pool_ref: PoolRef { name: "python".into() },
            slot: None,
            template: None,
            claim: Some(Claim { ttl: None, ..claim(1) }),
            operating_mode: None,
        },
        status,
    }
}

fn pool(on_empty: OnEmpty) -> PoolFact {
    PoolFact::Present {
        on_empty,
        default_ttl: Span::minutes(30),
        max_ttl: Span::hours(1),
        wait_timeout: Span::minutes(5),
        terminating: false,
        full: false,
        worker: false,
        apps: vec!["snake".into(), "memory".into()],
    }
}

fn candidate(name: &str, phase: Phase) -> Candidate {
    Candidate {
        name: name.into(),
        uid: format!("uid-{name}"),
        resource_version: "7".into(),
        phase,
        max_ttl: Span::hours(1),
        worker: false,
    }
}

fn facts(sandbox: Sandbox, now: i64) -> RequestFacts {
    RequestFacts {
        sandbox: Arc::new(sandbox),
        now: at(now),
        pool: pool(OnEmpty::Create),
        bound: BoundFact::None,
        candidates: vec![candidate("python-0", Phase::Warm), candidate("python-1", Phase::Creating)],
        ahead: 0,
    }
}

fn run(facts: RequestFacts) -> Plan {
    plan(&Observed::Request(Box::new(facts)))
}

fn claims(plan: &Plan) -> Vec<&str> {
    plan.effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::ClaimMember { member, .. } => Some(member.name.as_str()),
            _ => None,
        })
        .collect()
}

fn bound_status() -> SandboxStatus {
    SandboxStatus {
        phase: Some(Phase::Booting),
        bound_to: Some(ObjectUid { name: "python-0".into(), uid: UID.into() }),
        ..SandboxStatus::default()
    }
}

#[test]
fn it_is_bound_before_it_claims_s8() {
    let plan = run(facts(request(None), 1));
    assert_eq!(plan.status.bound_to.map(|bound| bound.uid).as_deref(), Some("uid-python-0"));
    let [Effect::ClaimMember { resource_version, claim, .. }] = &plan.effects[..] else { panic!("{:?}", plan.effects) };
    assert_eq!(resource_version, "7");
    assert_eq!(claim.for_.as_ref().map(|held| held.uid.as_str()), Some(REQUEST));
    assert_eq!(claim.ttl, Some(Span::minutes(30)), "the pool's default");
}

#[test]
fn the_queue_takes_candidates_in_its_order_s6() {
    let mut second = facts(request(None), 1);
    second.ahead = 1;
    assert_eq!(claims(&run(second.clone())), ["python-1"]);
    second.ahead = 2;
    let waiting = run(second);
    assert_eq!((claims(&waiting), waiting.status.reason.as_deref()), (vec![], Some("Queued")));
}

#[test]
fn on_empty_decides_what_a_request_gets() {
    let cold = |on_empty| {
        let mut facts = facts(request(None), 1);
        facts.pool = pool(on_empty);
        facts.candidates.remove(0);
        run(facts)
    };
    assert_eq!(claims(&cold(OnEmpty::Create)), ["python-1"]);
    assert_eq!(cold(OnEmpty::Wait).status.phase, Some(Phase::Pending));
    let failed = cold(OnEmpty::Fail);
    assert_eq!((failed.status.phase, failed.status.reason.as_deref()), (Some(Phase::Ended), Some("NoneWarm")));
}

#[test]
fn a_member_that_takes_only_shorter_claims_is_left_to_others() {
    let mut sandbox = request(None);
    sandbox.spec.claim = Some(claim(3600));
    let mut facts = facts(sandbox, 1);
    facts.candidates[0].max_ttl = Span::minutes(30);
    assert_eq!(claims(&run(facts.clone())), ["python-1"]);
    let mut bound = bound_status();
    bound.phase = Some(Phase::Creating);
    let mut member = warm();
    member.spec.template.as_mut().expect("a member has one").claims.max_ttl = Span::minutes(30);
    let mut again = facts.sandbox.as_ref().clone();
    again.status = Some(bound);
    facts.sandbox = again.into();
    facts.bound = BoundFact::Present { member: Arc::new(member), live: false };
    let plan = run(facts);
    assert!(plan.status.bound_to.is_none() && plan.effects.is_empty(), "{:?}", plan.effects);
}

#[test]
fn at_the_cap_it_says_so() {
    let mut facts = facts(request(None), 1);
    facts.candidates.clear();
    if let PoolFact::Present { full, .. } = &mut facts.pool {
        *full = true;
    }
    assert_eq!(run(facts).status.reason.as_deref(), Some("AtCapacity"));
}

#[test]
fn waiting_ends_with_a_reason() {
    let mut late = facts(request(None), 300);
    late.candidates.clear();
    assert_eq!(run(late).status.reason.as_deref(), Some("WaitTimeout"));
    let mut early = facts(request(None), 299);
    early.candidates.clear();
    assert_eq!(run(early).status.phase, Some(Phase::Pending));
    let mut missing = facts(request(None), 10);
    missing.pool = PoolFact::Missing;
    assert_eq!(run(missing.clone()).status.reason.as_deref(), Some("PoolNotFound"));
    missing.now = at(301);
    assert_eq!(run(missing).status.phase, Some(Phase::Ended));
}

#[test]
fn a_ttl_beyond_the_pools_limit_names_both() {
    let mut sandbox = request(None);
    sandbox.spec.claim = Some(claim(7200));
    let plan = run(facts(sandbox, 1));
    assert_eq!(plan.status.reason.as_deref(), Some("TtlTooLong"));
    let message = &plan.status.conditions.first().expect("Ready=False").message;
    assert!(message.contains("2h") && message.contains("1h"), "{message}");
}

#[test]
fn an_old_view_never_moves_a_binding_s6() {
    let mut taken = warm();
    taken.spec.claim = Some(claim_for("somebody-else"));
    let mut facts = facts(request(Some(bound_status())), 5);
    facts.bound = BoundFact::Present { member: Arc::new(taken.clone()), live: false };
    assert!(run(facts.clone()).status.bound_to.is_some(), "a cache may hide our own claim");
    facts.bound = BoundFact::Present { member: Arc::new(taken), live: true };
    assert!(run(facts.clone()).status.bound_to.is_none());
    facts.bound = BoundFact::Unknown;
    let unknown = run(facts.clone());
    assert!(unknown.status.bound_to.is_some() && unknown.effects.is_empty());
    facts.bound = BoundFact::Gone;
    assert!(run(facts).status.bound_to.is_none());
}

#[test]
fn an_unfinished_claim_goes_on_with_the_same_member_s8() {
    let mut facts = facts(request(Some(bound_status())), 5);
    facts.bound = BoundFact::Present { member: Arc::new(warm()), live: false };
    assert_eq!(claims(&run(facts)), ["python-0"]);
}

fn held(mutate: impl FnOnce(&mut Sandbox)) -> RequestFacts {
    let mut member = warm();
    member.spec.claim = Some(claim_for(REQUEST));
    mutate(&mut member);
    let status = SandboxStatus { claimed_at: Some(time(5)), expires_at: Some(time(605)), ..bound_status() };
    let mut facts = facts(request(Some(status)), 50);
    facts.bound = BoundFact::Present { member: Arc::new(member), live: false };
    facts
}

#[test]
fn a_request_says_why_its_sandbox_does_not_wake() {
    let facts = held(|member| {
        let status = member.status.as_mut().expect("status");
        status.phase = Some(Phase::Hibernated);
        let wanted = Wanted::new(Type::Hibernated, true, Reason::SnapshotMissing, "no such snapshot");
        status.conditions = merge(&[], &[wanted], Some(1), at(40));
    });
    let plan = run(facts);
    assert_eq!((plan.status.phase, plan.status.reason.as_deref()), (Some(Phase::Hibernated), Some("SnapshotMissing")));
    let told = plan.status.conditions.iter().find(|told| told.type_ == Type::Ready.as_str()).expect("told");
    assert_eq!((told.status.as_str(), told.message.as_str()), ("False", "no such snapshot"));
}

#[test]
fn a_longer_ttl_is_carried_to_the_member() {
    let mut facts = held(|_| {});
    let mut sandbox = facts.sandbox.as_ref().clone();
    sandbox.spec.claim = Some(claim(1200));
    facts.sandbox = sandbox.into();
    let plan = run(facts);
    let extended = plan
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::ExtendMember { ttl, .. } if *ttl == Span::seconds(1200)));
    assert!(extended, "{:?}", plan.effects);
}

#[test]
fn it_ends_with_its_member_and_says_why() {
    let mut gone = held(|_| {});
    gone.bound = BoundFact::Gone;
    assert_eq!(run(gone.clone()).status.reason.as_deref(), Some("Released"));
    gone.now = at(605);
    assert_eq!(run(gone).status.reason.as_deref(), Some("Expired"));
    let lost = held(|member| {
        let status = member.status.as_mut().expect("status");
        status.phase = Some(Phase::Failed);
        status.reason = Some("InstanceLost".into());
        status.ended_at = Some(time(40));
    });
    let plan = run(lost);
    assert_eq!((plan.status.phase, plan.status.reason.as_deref()), (Some(Phase::Ended), Some("InstanceLost")));
}

#[test]
fn an_ended_request_stays_as_long_as_its_owner_wants() {
    let ended = SandboxStatus { phase: Some(Phase::Ended), ended_at: Some(time(0)), ..SandboxStatus::default() };
    let for_ever = run(facts(request(Some(ended.clone())), 1_000_000));
    assert!(for_ever.effects.is_empty());
    let mut sandbox = request(Some(ended));
    sandbox.spec.claim = Some(Claim { keep_ended: Some(Span::hours(1)), ..claim(60) });
    assert!(run(facts(sandbox.clone(), 3599)).effects.is_empty());
    assert_eq!(run(facts(sandbox, 3600)).effects, [Effect::DeleteSelf]);
}

#[test]
fn a_place_in_the_queue_is_told_at_once_and_then_every_fifteen_seconds() {
    let at_place = |ahead: usize, second: i64, before: Option<SandboxStatus>| {
        let mut facts = facts(request(before), second);
        (facts.ahead, facts.candidates) = (ahead, vec![]);
        run(facts)
    };
    let place = |plan: &Plan| plan.status.queue.as_ref().map(|queue| queue.position);
    let first = at_place(4, 1, None);
    assert_eq!(place(&first), Some(5));
    let soon = at_place(2, 11, Some(first.status.clone()));
    assert_eq!(place(&soon), Some(5), "ten seconds later");
    assert_eq!(soon.again, Some(Duration::from_secs(5)));
    assert_eq!(soon.status, first.status, "so nothing is written");
    let later = at_place(2, 16, Some(first.status.clone()));
    assert_eq!(place(&later), Some(3));
    let same = at_place(2, 100, Some(later.status.clone()));
    assert_eq!(same.status, later.status, "a place that is kept is written once");
    let bound = run(facts(request(Some(later.status)), 101));
    assert_eq!(place(&bound), None, "who is served stands in no queue");
}

#[test]
fn a_request_that_waits_tells_each_thing_that_it_waits_for_once() {
    let mut status = None;
    for pass in 0..200 {
        let mut facts = facts(request(status), 1 + pass);
        (facts.ahead, facts.candidates) = (usize::try_from(pass % 7).expect("small"), vec![]);
        if let PoolFact::Present { full, .. } = &mut facts.pool {
            *full = pass % 2 == 0;
        }
        status = Some(run(facts).status);
    }
    let told: Vec<String> = status.expect("a status").timeline.into_iter().map(|entry| entry.message).collect();
    let story = [
        "Acquiring sandbox, none is warm...",
        "the pool has as many sandboxes as it may, number 1 in the queue",
        "waiting for a sandbox, number 2 in the queue",
    ];
    assert_eq!(told, story);
}

#[test]
fn acquiring_counts_from_when_the_request_was_made() {
    // Until it holds a member that can be used: when it was first seen, when it had it, and what it tells.
    for (seen, had, told) in [(0, 1, 1000), (1, 3, 2000), (30, 31, 30_000)] {
        let first = run(RequestFacts { candidates: vec![], ..facts(request(None), seen) }).status;
        let mut held = warm();
        held.spec.claim = Some(claim_for(REQUEST));
        let usable = [Wanted::new(Type::Ready, true, Reason::Healthy, "")];
        held.status.as_mut().expect("a status").conditions = merge(&[], &usable, None, at(0));
        let mut facts = facts(request(Some(SandboxStatus { bound_to: bound_status().bound_to, ..first })), had);
        facts.bound = BoundFact::Present { member: Arc::new(held), live: true };
        let status = run(facts).status;
        assert_eq!(status.timings.and_then(|timings| timings.acquire_ms), Some(told), "{seen} s, {had} s");
        let last = status.timeline.last().map(|entry| entry.message.clone());
        assert!(last.is_some_and(|last| last.starts_with(&format!("Pool acquisition: {told}ms"))));
        assert!(status.timeline.windows(2).all(|pair| pair[0].time.0 <= pair[1].time.0), "{:?}", status.timeline);
    }
}

/// A request that begins with a snapshot, and the member that it holds.
fn with_files() -> (Sandbox, Sandbox) {
    let snapshot = Some(SnapshotRef { name: "notes".into() });
    let mut asking = request(Some(bound_status()));
    asking.spec.claim.as_mut().expect("a claim").snapshot.clone_from(&snapshot);
    let mut held = warm();
    held.spec.claim = Some(Claim { snapshot, ..claim_for(REQUEST) });
    held.status.as_mut().expect("a status").conditions =
        merge(&[], &[Wanted::new(Type::Ready, true, Reason::Healthy, "")], None, at(60));
    (asking, held)
}

#[test]
fn a_request_is_ready_only_with_the_files_it_begins_with() {
    let (mut asking, mut held) = with_files();
    let look = |asking: &Sandbox, held: &Sandbox| {
        let bound = BoundFact::Present { member: Arc::new(held.clone()), live: false };
        run(RequestFacts { bound, ..facts(asking.clone(), 200) }).status
    };
    let ready = |status: &SandboxStatus| status.conditions.iter().find(|told| told.type_ == "Ready").cloned();
    asking.status = Some(look(&asking, &held));
    let told = ready(&look(&asking, &held)).expect("a word");
    assert_eq!((told.status.as_str(), told.reason.as_str()), ("False", "Restoring"), "an old Ready is not believed");
    assert!(is_true(&look(&asking, &held).conditions, Type::Claimed), "it holds the member all the same");

    let status = held.status.as_mut().expect("a status");
    status.conditions = merge(&[], &[Wanted::new(Type::Ready, false, Reason::SnapshotMissing, "none")], None, at(61));
    let told = ready(&look(&asking, &held)).expect("a word");
    assert_eq!((told.reason.as_str(), told.message.as_str()), ("SnapshotMissing", "none"));

    let status = held.status.as_mut().expect("a status");
    status.claim_files = Some(ClaimFiles { restored_at: Some(time(70)), ..ClaimFiles::of("notes") });
    status.conditions = merge(&[], &[Wanted::new(Type::Ready, true, Reason::Healthy, "")], None, at(70));
    assert!(is_true(&look(&asking, &held).conditions, Type::Ready));
}

#[test]
fn files_are_asked_for_where_they_can_be_put() {
    let (mut asking, _) = with_files();
    asking.status = None;
    let mut facts = facts(asking, 1);
    let plan = run(facts.clone());
    let [Effect::ClaimMember { claim, .. }] = &plan.effects[..] else { panic!("{:?}", plan.effects) };
    assert_eq!(claim.snapshot.as_ref().map(|snapshot| snapshot.name.as_str()), Some("notes"));
    facts.candidates[0].worker = true;
    assert_eq!(claims(&run(facts.clone())), ["python-1"], "members may be older than their pool's mode");
    if let PoolFact::Present { worker, .. } = &mut facts.pool {
        *worker = true;
    }
    let plan = run(facts);
    assert_eq!((plan.status.phase, plan.status.reason.as_deref()), (Some(Phase::Ended), Some("InvalidSpec")));
}
