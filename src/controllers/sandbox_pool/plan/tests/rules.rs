//! Rules of a pool, one by one.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{
    ABANDON_POOL_ANNOTATION, Activation, END_CLAIMS_ANNOTATION, OnEmpty, Phase, SandboxPoolStatus, Span, Warm,
};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::{Member, Observed};
use crate::controllers::sandbox_pool::plan::{Effect, plan};
use crate::providers::Account;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn status(observed: &Observed) -> SandboxPoolStatus {
    plan(observed).status.expect("something to write")
}

#[test]
fn it_fills_to_the_target_as_fast_as_creates_may_run() {
    let plan = plan(&observed(pool(target(5), limits(10, 2)), vec![], 0));
    assert_eq!(created(&plan), [0, 1]);
}

#[test]
fn nothing_is_made_before_the_finalizer_s2() {
    let mut bare = pool(target(2), limits(5, 2));
    bare.metadata.finalizers = None;
    assert_eq!(plan(&observed(bare, vec![], 0)).effects, [Effect::AddFinalizer]);
}

#[test]
fn the_secret_is_held_before_the_first_member() {
    let mut facts = observed(pool(target(1), limits(5, 2)), vec![], 0);
    facts.secret_held = false;
    assert_eq!(plan(&facts).effects.first(), Some(&Effect::HoldSecret));
}

#[test]
fn a_slot_is_free_only_when_nobody_has_its_name() {
    let mut facts = observed(pool(target(3), limits(6, 6)), vec![member(1, Phase::Warm)], 100);
    facts.blocked_slots.insert(0);
    facts.hidden_slots.insert(2);
    (facts.hidden, facts.undecodable) = (1, 1);
    assert_eq!(created(&plan(&facts)), [3, 4]);
}

#[test]
fn a_member_that_is_not_seen_yet_is_not_made_twice() {
    let mut facts = observed(pool(target(2), limits(9, 9)), vec![member(0, Phase::Warm)], 100);
    (facts.hidden, facts.hidden_slots) = (1, [1].into());
    assert!(created(&plan(&facts)).is_empty());
    facts.undecodable = 1;
    assert_eq!(created(&plan(&facts)), [2], "nobody knows what that one is good for");
}

#[test]
fn the_cap_counts_members_in_any_state_s5() {
    let gone = Member { deleting: true, ..member(0, Phase::Terminating) };
    let above = claimed(7, 100);
    let mut facts = observed(pool(target(3), limits(3, 3)), vec![gone, above], 200);
    assert_eq!(created(&plan(&facts)).len(), 1);
    facts.hidden = 1;
    assert_eq!(created(&plan(&facts)).len(), 0);
}

#[test]
fn a_level_pool_does_nothing_s10() {
    let facts = observed(pool(target(2), limits(5, 2)), vec![member(0, Phase::Warm), member(1, Phase::Warm)], 100);
    let level = with_status(&facts, status(&facts));
    for later in [101, 5000, 1_000_000] {
        let plan = plan(&Observed { now: at(later), ..level.clone() });
        assert!(plan.status.is_none() && plan.effects.is_empty(), "{plan:?}");
    }
}

#[test]
fn closed_credentials_make_and_remove_nothing_s3() {
    let mut facts = observed(pool(target(3), limits(5, 2)), vec![member(0, Phase::Warm)], 100);
    facts.provider = ProviderFact::Shut { reason: Reason::CredentialsMissing, message: "no Secret".into() };
    let plan = plan(&facts);
    assert!(created(&plan).is_empty() && deleted(&plan).is_empty());
    let status = plan.status.expect("status");
    assert!(!is_true(&status.conditions, Type::ProviderReachable));
    assert!(is_true(&status.conditions, Type::Degraded), "only a person can help");
    // Nobody tells when the Secret comes.
    assert!(plan.again.is_some_and(|again| again <= Duration::from_secs(15)), "{:?}", plan.again);
}

#[test]
fn another_account_gets_no_members_while_some_are_in_the_first_s3() {
    let mut facts = observed(pool(target(3), limits(5, 2)), vec![member(0, Phase::Warm)], 100);
    facts = with_status(&facts, SandboxPoolStatus { account: Some("team-0".into()), ..SandboxPoolStatus::default() });
    let plan = plan(&facts);
    assert!(created(&plan).is_empty());
    assert_eq!(plan.status.expect("status").account.as_deref(), Some("team-0"));
}

#[test]
fn a_waiting_request_gets_a_member_made_for_it_unless_the_pool_says_wait() {
    let mut facts = observed(pool(target(0), limits(5, 5)), vec![], 10);
    facts.queue = vec![at(1), at(2)];
    assert_eq!(created(&plan(&facts)).len(), 2);
    let mut waits = facts.pool.as_ref().clone();
    waits.spec.on_empty = OnEmpty::Wait;
    facts.pool = Arc::new(waits);
    assert!(created(&plan(&facts)).is_empty());
}

#[test]
fn surplus_goes_one_by_one_and_not_soon_after_a_claim() {
    let members: Vec<Member> = (0..4).map(|slot| member(slot, Phase::Warm)).collect();
    let facts = observed(pool(target(1), limits(5, 2)), members, 1000);
    let first = plan(&facts);
    assert_eq!(deleted(&first).len(), 1);
    let after = with_status(&facts, first.status.expect("the time of the removal is written first"));
    assert!(deleted(&plan(&Observed { now: at(1059), ..after.clone() })).is_empty());
    assert_eq!(deleted(&plan(&Observed { now: at(1060), ..after.clone() })).len(), 1);
    let claim = SandboxPoolStatus { last_claim_time: Some(Time(at(990))), ..SandboxPoolStatus::default() };
    let busy = with_status(&facts, claim);
    assert!(deleted(&plan(&busy)).is_empty());
    assert_eq!(deleted(&plan(&Observed { now: at(1110), ..busy })).len(), 1);
}

#[test]
fn what_is_farthest_from_warm_goes_first() {
    let members = vec![member(0, Phase::Warm), member(1, Phase::Creating)];
    let plan = plan(&observed(pool(target(1), limits(5, 2)), members, 1000));
    assert_eq!(deleted(&plan), ["python-1"]);
}

#[test]
fn a_lowered_limit_drains_the_slots_above_it_but_no_claim_s7() {
    let members = vec![member(0, Phase::Warm), member(3, Phase::Warm), claimed(4, 100)];
    let plan = plan(&observed(pool(target(1), limits(2, 2)), members, 1000));
    assert_eq!(deleted(&plan), ["python-3"]);
}

fn on_first_claim() -> Warm {
    Warm { activation: Activation::OnFirstClaim, ..target(2) }
}

#[test]
fn on_first_claim_holds_nothing_before_and_after_demand_s11() {
    let mut facts = observed(pool(on_first_claim(), limits(5, 5)), vec![], 1000);
    let idle = plan(&facts);
    assert!(created(&idle).is_empty());
    assert!(is_true(&idle.status.expect("status").conditions, Type::Idle));
    facts.queue = vec![at(1000)];
    let active = plan(&facts);
    assert_eq!(created(&active).len(), 3, "the target, and one for the request");
    let members = vec![member(0, Phase::Warm), member(1, Phase::Warm)];
    let mut after = with_status(&facts, active.status.expect("status"));
    (after.queue, after.members, after.now) = (vec![], members, at(1119));
    assert!(deleted(&plan(&after)).is_empty());
    after.now = at(1120);
    assert_eq!(deleted(&plan(&after)).len(), 2, "all at once: nobody wants them");
}

#[test]
fn a_failure_is_recorded_before_its_member_goes_s13() {
    let facts = observed(pool(target(2), limits(5, 2)), vec![failed(0, 100)], 101);
    let plan = plan(&facts);
    let record = plan.status.clone().expect("written first").failures.expect("the record");
    assert_eq!((record.consecutive, record.last_uid.as_str()), (1, "00000000-uid"));
    assert_eq!(deleted(&plan), ["python-0"]);
    assert!(created(&plan).is_empty(), "backing off");
}

#[test]
fn a_failure_counts_once_whatever_restarts() {
    let mut facts = observed(pool(target(2), limits(5, 2)), vec![failed(0, 100)], 101);
    for _ in 0..3 {
        if let Some(status) = plan(&facts).status {
            facts = with_status(&facts, status);
        }
    }
    let failures = facts.pool.status.as_ref().and_then(|status| status.failures.clone());
    assert_eq!(failures.map(|record| record.consecutive), Some(1));
}

#[test]
fn failures_back_off_then_one_tries_and_a_success_ends_it() {
    let facts = observed(pool(target(4), limits(8, 4)), vec![failed(0, 100), failed(1, 100)], 101);
    let mut after = with_status(&facts, status(&facts));
    after.members.clear();
    after.now = at(119);
    assert!(created(&plan(&after)).is_empty(), "20 s after the second failure");
    after.now = at(120);
    assert_eq!(created(&plan(&after)).len(), 1, "one at a time");
    after.members = vec![Member { ready_at: Some(at(180)), ..member(0, Phase::Warm) }];
    after.now = at(181);
    assert_eq!(created(&plan(&after)).len(), 3);
}

#[test]
fn a_spec_that_the_provider_refuses_is_not_tried_again_until_it_is_edited() {
    let mut bad = failed(0, 100);
    bad.failure.as_mut().expect("failed").terminal = true;
    let facts = observed(pool(target(2), limits(5, 2)), vec![bad], 101);
    let mut after = with_status(&facts, status(&facts));
    after.members.clear();
    after.now = at(1_000_000);
    assert!(created(&plan(&after)).is_empty());
    let degraded = after.pool.status.as_ref().expect("status").conditions.iter().any(|condition| {
        condition.type_ == "Degraded"
            && condition.reason == "InvalidSpec"
            && condition.message.contains("edit the pool")
    });
    assert!(degraded);
    let mut edited = after.pool.as_ref().clone();
    edited.metadata.generation = Some(2);
    after.pool = Arc::new(edited);
    assert_eq!(created(&plan(&after)).len(), 1);
}

#[test]
fn an_old_one_is_replaced_after_its_stand_in_is_warm() {
    let warm = Warm { max_age: Some(Span::minutes(30)), ..target(1) };
    let mut facts = observed(pool(warm, limits(3, 2)), vec![member(0, Phase::Warm)], 60 + 1800);
    let make = plan(&facts);
    assert_eq!((created(&make), deleted(&make)), (vec![1], vec![]));
    facts.members.push(Member { ready_at: Some(at(1850)), ..member(1, Phase::Warm) });
    assert_eq!(deleted(&plan(&facts)), ["python-0"]);
}

#[test]
fn an_old_one_goes_first_where_no_slot_is_free() {
    let warm = Warm { max_age: Some(Span::minutes(30)), ..target(1) };
    let facts = observed(pool(warm, limits(1, 2)), vec![member(0, Phase::Warm)], 60 + 1800);
    assert_eq!(deleted(&plan(&facts)), ["python-0"]);
}

#[test]
fn members_of_one_day_do_not_all_age_at_once() {
    let warm = Warm { max_age: Some(Span::hours(10)), ..target(8) };
    let members: Vec<Member> = (0..8).map(|slot| member(slot, Phase::Warm)).collect();
    let facts = observed(pool(warm, limits(16, 16)), members, 60 + 10 * 3600);
    assert_eq!(created(&plan(&facts)).len(), 1, "ceil(8 × 59 s ÷ 2.5 h)");
}

fn ending(members: Vec<Member>) -> Observed {
    let mut pool = pool(target(2), limits(5, 2));
    pool.metadata.deletion_timestamp = Some(Time(at(0)));
    pool.status = Some(SandboxPoolStatus { account: Some("team-1".into()), ..SandboxPoolStatus::default() });
    observed(pool, members, 100)
}

#[test]
fn a_deleted_pool_lets_claims_live_and_says_until_when_s7() {
    let plan = plan(&ending(vec![member(0, Phase::Warm), claimed(1, 50)]));
    assert_eq!(deleted(&plan), ["python-0"]);
    let status = plan.status.expect("status");
    let terminating = status.conditions.iter().find(|condition| condition.type_ == "Terminating").expect("told");
    assert!(terminating.message.contains("1 claimed until"), "{}", terminating.message);
}

#[test]
fn claims_end_with_the_pool_only_when_asked() {
    let mut facts = ending(vec![claimed(1, 50)]);
    let mut asked = facts.pool.as_ref().clone();
    asked.metadata.annotations = Some(BTreeMap::from([(END_CLAIMS_ANNOTATION.into(), "true".into())]));
    facts.pool = Arc::new(asked);
    assert_eq!(deleted(&plan(&facts)), ["python-1"]);
    let mut foreground = ending(vec![claimed(1, 50)]);
    let mut asked = foreground.pool.as_ref().clone();
    asked.metadata.finalizers.as_mut().expect("finalizers").push("foregroundDeletion".into());
    foreground.pool = Arc::new(asked);
    let plan = plan(&foreground);
    assert_eq!(deleted(&plan), ["python-1"]);
    assert_eq!(plan.status.expect("kept, for the finalizer may go").ends_claims, Some(true));
}

#[test]
fn a_pool_goes_only_when_the_provider_shows_nothing_of_it_s4() {
    let mut facts = ending(vec![]);
    assert!(!plan(&facts).effects.contains(&Effect::LiftFinalizer));
    facts.proved_empty = true;
    let other = Observed { provider: ProviderFact::Open { account: Account("team-2".into()) }, ..facts.clone() };
    assert!(!plan(&other).effects.contains(&Effect::LiftFinalizer), "another account's listing proves nothing");
    let hidden = Observed { hidden: 1, ..facts.clone() };
    assert!(!plan(&hidden).effects.contains(&Effect::LiftFinalizer));
    assert_eq!(plan(&facts).effects, [Effect::ReleaseSecret, Effect::LiftFinalizer]);
}

#[test]
fn a_pool_is_abandoned_only_by_its_account_and_without_members_s4() {
    let word = |members: Vec<Member>, word: &str| {
        let mut facts = ending(members);
        let mut pool = facts.pool.as_ref().clone();
        pool.metadata.annotations = Some(BTreeMap::from([(ABANDON_POOL_ANNOTATION.into(), word.into())]));
        facts.pool = Arc::new(pool);
        facts.provider = ProviderFact::Shut { reason: Reason::CredentialsRejected, message: "no".into() };
        plan(&facts)
    };
    let slip = word(vec![], "true");
    assert!(!slip.effects.contains(&Effect::LiftFinalizer));
    let status = slip.status.expect("status");
    let told = status.conditions.iter().find(|condition| condition.type_ == "Terminating").expect("told");
    assert!(told.message.contains("says \"true\", but the account is team-1"), "{}", told.message);
    assert!(!word(vec![member(0, Phase::Warm)], "team-1").effects.contains(&Effect::LiftFinalizer));
    let meant = word(vec![], "team-1").effects;
    assert!(meant.contains(&Effect::LiftFinalizer));
    let audited = |effect: &Effect| matches!(effect, Effect::Event { warning: true, reason: Reason::Abandoned, .. });
    assert!(meant.iter().any(audited), "{meant:?}");
}

#[test]
fn a_pool_that_never_had_an_account_goes_at_once() {
    let mut facts = ending(vec![]);
    facts = with_status(&facts, SandboxPoolStatus::default());
    facts.provider = ProviderFact::Shut { reason: Reason::CredentialsMissing, message: "no Secret".into() };
    assert!(plan(&facts).effects.contains(&Effect::LiftFinalizer));
}

#[test]
fn a_claim_is_counted_once() {
    let facts = observed(pool(target(1), limits(5, 2)), vec![claimed(0, 100), member(1, Phase::Warm)], 101);
    let first = status(&facts);
    assert_eq!((first.claims_warm, first.claimed, first.last_claim_time.clone()), (1, 1, Some(Time(at(100)))));
    let again = plan(&with_status(&facts, first));
    assert!(again.status.is_none(), "counted already");
}

#[test]
fn a_claim_is_counted_in_the_pass_that_writes_so_and_in_no_other() {
    let counts = |ago: Option<Duration>| {
        let mut facts = observed(pool(target(1), limits(5, 2)), vec![claimed(0, 100), member(1, Phase::Warm)], 101);
        facts.status_written_ago = ago;
        // What must be written at once is: the test is about counts alone.
        facts = with_status(&facts, SandboxPoolStatus { account: Some("team-1".into()), ..Default::default() });
        let plan = plan(&facts);
        let counted = plan.effects.iter().filter(|effect| matches!(effect, Effect::CountClaim { .. })).count();
        (plan.status.is_some(), counted)
    };
    assert_eq!(counts(Some(Duration::from_millis(300))), (false, 0));
    assert_eq!(counts(Some(Duration::from_millis(1500))), (true, 1));
    assert_eq!(counts(None), (true, 1));
}

#[test]
fn counts_alone_are_written_once_a_second_but_records_at_once() {
    let mut facts = observed(pool(target(2), limits(5, 2)), vec![member(0, Phase::Warm), member(1, Phase::Warm)], 100);
    facts = with_status(&facts, status(&facts));
    facts.members[1].phase = Phase::Booting;
    facts.status_written_ago = Some(Duration::from_millis(300));
    let waits = plan(&facts);
    assert!(waits.status.is_none());
    assert_eq!(waits.again, Some(Duration::from_millis(710)));
    facts.members[1] = failed(1, 90);
    assert!(plan(&facts).status.is_some());
}

#[test]
fn a_clock_that_is_off_is_told_once_however_it_is_measured_s10() {
    let mut facts = observed(pool(target(0), limits(5, 2)), vec![], 0);
    facts.clock_skew = Duration::from_millis(600_100);
    let mut facts = with_status(&facts, status(&facts));
    for millis in [599_900, 30_100, 29_900, 600_100] {
        facts.clock_skew = Duration::from_millis(millis);
        assert_eq!(plan(&facts).status, None, "{millis} ms");
    }
    facts.clock_skew = Duration::from_secs(10);
    let degraded = status(&facts).conditions.into_iter().find(|condition| condition.type_ == Type::Degraded.as_str());
    assert_eq!(degraded.map(|degraded| degraded.reason), Some(Reason::AsExpected.as_str().to_owned()));
}
