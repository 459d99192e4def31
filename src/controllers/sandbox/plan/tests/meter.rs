//! What a member cost is its pool's before the member goes.

use super::fixture::*;
use crate::api::{Phase, Sandbox, SandboxCost, SandboxStatus, Usd};
use crate::controllers::sandbox::facts::{BooksFact, Evidence, MemberFacts, Observed};
use crate::controllers::sandbox::plan::{Effect, Plan, plan};

const LET_GO: [Effect; 2] = [Effect::DeleteToken, Effect::LiftFinalizer];

fn run(facts: MemberFacts) -> Plan {
    plan(&Observed::Member(Box::new(facts)))
}

fn usd(text: &str) -> Usd {
    text.parse().expect(text)
}

/// On its way out, with this cost.
fn ending(cost: SandboxCost) -> Sandbox {
    let mut sandbox = warm();
    sandbox.metadata.deletion_timestamp = Some(time(90));
    let status = sandbox.status.take().unwrap_or_default();
    sandbox.status = Some(SandboxStatus { cost: Some(cost), ..status });
    sandbox
}

fn running() -> SandboxCost {
    SandboxCost { usd_per_hour: Some(usd("3.6")), since: Some(time(0)), ..SandboxCost::default() }
}

fn gone(sandbox: Sandbox, now: i64) -> MemberFacts {
    let mut facts = facts(sandbox, now);
    facts.evidence = Evidence { proved_gone: true, ..Evidence::default() };
    facts
}

#[test]
fn the_price_stands_before_the_create_and_the_begin_with_the_instance() {
    let asked = run(facts(member(), 0)).status.cost.expect("a cost");
    assert_eq!((asked.usd_per_hour, asked.since), (Some(usd("3.6")), None));
}

#[test]
fn the_finalizer_waits_for_the_pool_to_take_the_cost_over_s14() {
    let first = run(gone(ending(running()), 200));
    let cost = first.status.cost.clone().expect("a cost");
    assert_eq!((cost.settled_usd, &cost.ended_at, &cost.since), (usd("0.2"), &Some(time(200)), &None));
    assert!(first.effects.is_empty(), "{:?}", first.effects);
    let mut next = gone(Sandbox { status: Some(first.status), ..ending(running()) }, 900);
    // What was proved once needs no second proof after a restart.
    next.evidence = Evidence::default();
    for waiting in [BooksFact::Open, BooksFact::Taken] {
        next.books = waiting;
        let plan = run(next.clone());
        assert_eq!(plan.status.cost.as_ref(), Some(&cost), "it costs no more");
        let expected: &[Effect] = if waiting == BooksFact::Taken { &LET_GO } else { &[] };
        assert_eq!(plan.effects, expected);
    }
}

#[test]
fn no_pool_keeps_no_member_s14() {
    let cost = SandboxCost { settled_usd: usd("0.2"), ended_at: Some(time(200)), ..SandboxCost::default() };
    let mut facts = facts(ending(cost), 300);
    facts.books = BooksFact::NoPool;
    assert_eq!(run(facts.clone()).effects, LET_GO);
    facts.books = BooksFact::Unreadable;
    assert!(run(facts.clone()).effects.is_empty(), "it may be readable soon");
    facts.now = at(800);
    let plan = run(facts);
    assert!(matches!(&plan.effects[0], Effect::Event { warning: true, note, .. } if note.contains("0.2 USD")));
    assert_eq!(plan.effects[1..], LET_GO);
}

#[test]
fn a_member_of_an_older_version_gets_its_cost_from_its_first_second_on_s14() {
    let mut facts = facts(warm(), 600);
    let instance = seen(crate::providers::InstancePhase::Running);
    facts.evidence = Evidence { listed: Some(instance), listing_is_newer: true, ..Evidence::default() };
    let cost = run(facts).status.cost.expect("a cost");
    assert_eq!((cost.since, cost.usd_per_hour), (Some(time(1)), Some(usd("3.6"))));
}

#[test]
fn a_member_without_cost_goes_at_once() {
    let mut sandbox = ending(SandboxCost { usd_per_hour: Some(usd("3.6")), ..SandboxCost::default() });
    let status = sandbox.status.as_mut().expect("a status");
    (status.instance, status.phase) = (None, Some(Phase::Pending));
    assert_eq!(run(facts(sandbox, 100)).effects, LET_GO);
}
