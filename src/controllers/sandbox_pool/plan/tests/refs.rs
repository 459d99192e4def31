//! What a spec names and is not there holds members back, and nothing else does.

use super::fixture::*;
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{Phase, SandboxPoolStatus, Span, Warm};
use crate::controllers::inputs::Unresolved;
use crate::controllers::sandbox_pool::facts::{Member, Observed, RefsFact};
use crate::controllers::sandbox_pool::plan::plan;
use std::time::Duration;

fn lacking(reason: Reason) -> RefsFact {
    RefsFact::Unresolved(Unresolved { reason, message: "field: value; way out".into() })
}

fn pool_of(target_: i32, members: Vec<Member>, refs: RefsFact) -> Observed {
    Observed { refs, ..observed(pool(target(target_), limits(5, 5)), members, 100) }
}

fn said(status: &SandboxPoolStatus, kind: Type) -> (&str, &str, &str) {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind.as_str()).expect("is told");
    (found.status.as_str(), found.reason.as_str(), found.message.as_str())
}

#[test]
fn no_member_is_made_for_what_is_not_there_and_a_person_is_told() {
    for reason in [Reason::SecretMissing, Reason::SizeUnknown, Reason::RegionUnavailable] {
        let plan = plan(&pool_of(2, vec![], lacking(reason)));
        assert!(created(&plan).is_empty());
        let status = plan.status.expect("something to write");
        let message = "field: value; way out";
        assert_eq!(said(&status, Type::ResolvedRefs), ("False", reason.as_str(), message));
        assert_eq!(said(&status, Type::Available), ("False", reason.as_str(), message));
        assert_eq!(said(&status, Type::Degraded), ("True", reason.as_str(), message));
        assert!(plan.again.is_some_and(|again| again <= Duration::from_secs(15)), "{:?}", plan.again);
    }
}

#[test]
fn it_goes_on_by_itself_once_all_is_there() {
    let facts = pool_of(2, vec![], lacking(Reason::SecretMissing));
    let waiting = with_status(&facts, plan(&facts).status.expect("something to write"));
    let healed = plan(&Observed { refs: RefsFact::Resolved { leaving: None }, ..waiting });
    assert_eq!(created(&healed), [0, 1]);
    let status = healed.status.expect("something to write");
    assert!(is_true(&status.conditions, Type::ResolvedRefs) && !is_true(&status.conditions, Type::Degraded));
}

#[test]
fn a_secret_that_cannot_be_read_makes_nothing_and_calls_nobody_s3() {
    let plan = plan(&pool_of(2, vec![], lacking(Reason::SecretUnreadable)));
    assert!(created(&plan).is_empty());
    let status = plan.status.expect("something to write");
    assert_eq!(said(&status, Type::ResolvedRefs).0, "Unknown");
    assert_eq!(said(&status, Type::Degraded).0, "False");
}

#[test]
fn a_list_that_cannot_be_read_blocks_nothing_and_takes_nothing_back_s3() {
    let facts = pool_of(2, vec![], lacking(Reason::SizeUnknown));
    let told = with_status(&facts, plan(&facts).status.expect("something to write"));
    let blind = plan(&Observed { refs: RefsFact::Unknown, ..told });
    assert_eq!(created(&blind), [0, 1]);
    let status = blind.status.expect("something to write");
    assert_eq!(said(&status, Type::ResolvedRefs).1, "SizeUnknown");
}

#[test]
fn a_size_that_will_go_is_told_and_holds_nothing_back() {
    let plan = plan(&pool_of(1, vec![], RefsFact::Resolved { leaving: Some("soon".into()) }));
    assert_eq!(created(&plan), [0]);
    let status = plan.status.expect("something to write");
    assert_eq!(said(&status, Type::ResolvedRefs), ("True", "SizeDeprecated", "soon"));
    assert!(!is_true(&status.conditions, Type::Degraded));
}

#[test]
fn nothing_warm_is_given_up_for_what_cannot_be_made() {
    let warm = Warm { max_age: Some(Span::minutes(10)), ..target(1) };
    let old = observed(pool(warm, limits(1, 1)), vec![member(0, Phase::Warm)], 100_000);
    assert_eq!(deleted(&plan(&old)), ["python-0"], "with all there, the aged one makes room");
    assert!(deleted(&plan(&Observed { refs: lacking(Reason::SecretMissing), ..old })).is_empty());
}

#[test]
fn a_member_that_waits_for_what_only_an_older_spec_names_is_removed() {
    let waits = |generation| Member { lacks_refs: true, generation, ..member(0, Phase::Pending) };
    let all_there = RefsFact::Resolved { leaving: None };
    let mut facts = pool_of(1, vec![waits(1)], all_there);
    assert!(deleted(&plan(&facts)).is_empty(), "what it waits for may still come");
    let mut edited = facts.pool.as_ref().clone();
    edited.metadata.generation = Some(2);
    facts.pool = edited.into();
    assert_eq!(deleted(&plan(&facts)), ["python-0"]);
    facts.members = vec![Member { claimed: true, ..waits(1) }];
    assert!(deleted(&plan(&facts)).is_empty(), "a claimed one is its holder's (S7)");
}
