//! What makes the simulation worth believing: a seed does the same twice, and a disturbance that costs no instance
//! changes neither the end nor the counts.

use crate::run::{Outcome, run};
use crate::script::{Act, PoolPlan, Script, Trouble};
use crate::seeds::tree;
use proptest::strategy::ValueTree;

#[test]
fn a_seed_runs_the_same_twice() {
    for seed in 1..=4 {
        let script = tree(seed).current();
        let (one, two) = (run(&script, None), run(&script, None));
        let apart = one.steps.iter().zip(&two.steps).position(|(one, two)| one != two);
        let around = |outcome: &Outcome| {
            let at = apart.unwrap_or_default();
            outcome.steps.iter().skip(at.saturating_sub(12)).take(18).cloned().collect::<Vec<_>>().join("\n")
        };
        let same = (one.hash, &one.figures) == (two.hash, &two.figures);
        assert!(same, "seed {seed} went two ways:\n{}\n\n{}", around(&one), around(&two));
    }
}

/// Fill, claim warm ones, extend, give back, let expire, scale down.
fn day(disturbance: Option<Act>, at: u32) -> Script {
    let mut acts = vec![
        (400, Act::Claim { pool: 0, minutes: 5 }),
        (430, Act::Claim { pool: 0, minutes: 10 }),
        (900, Act::Extend { run: 0, minutes: 5 }),
        (1_500, Act::Request { pool: 0, minutes: 20 }),
        (1_900, Act::Release { run: 0 }),
        (2_400, Act::Target { pool: 0, target: 1 }),
    ];
    acts.extend(disturbance.map(|act| (at, act)));
    acts.sort_by_key(|(at, _)| *at);
    let pool = PoolPlan {
        target: 3,
        most: 6,
        concurrent: 2,
        on_empty: "Create",
        activation: "Always",
        rollout: "OnReplenish",
        max_age: 0,
        deadline: 10,
    };
    Script { seed: 11, operators: 2, skew: [0, 0], pools: vec![pool], minutes: 60, acts }
}

/// What the pool tells is what the cloud bills, but for the time in which nobody could see that an app was gone.
fn costs_what_it_is_billed(outcome: &Outcome, what: &str) {
    for cost in &outcome.costs {
        assert!(cost.billed_usd > 0.0, "{what}: {cost:?}");
        assert!((cost.told_usd - cost.billed_usd).abs() <= cost.minutes_usd, "{what}: {cost:?}");
    }
}

#[test]
fn a_disturbance_that_costs_no_instance_changes_neither_end_nor_counts_nor_cost_s8_s14() {
    let quiet = run(&day(None, 0), None);
    assert!(quiet.violations.is_empty(), "{:?}\n{}", quiet.violations, quiet.tail());
    assert_eq!((quiet.figures.creates, quiet.figures.deletes), (6, 5), "three, and one for each claim; one stays");
    costs_what_it_is_billed(&quiet, "undisturbed");
    let crash = |calls, after| Act::Crash { operator: 0, calls, after };
    let cloud = |trouble| Act::Cloud { trouble, seconds: 240 };
    let disturbances = [
        (5, crash(4, false)),
        (5, crash(12, true)),
        (5, crash(17, true)),
        (440, crash(2, true)),
        (440, crash(9, false)),
        (1_900, crash(3, true)),
        (14, Act::Kill { operator: 0 }),
        (1_901, Act::Kill { operator: 0 }),
        (5, cloud(Trouble::LostReplies)),
        (2_380, cloud(Trouble::LostReplies)),
        (100, cloud(Trouble::ReadOutage)),
        (1_000, cloud(Trouble::DeletesLie)),
        (420, Act::Pause { operator: 0, seconds: 60 }),
        (420, Act::Pause { operator: 1, seconds: 300 }),
        (10, Act::Api { percent: 20, seconds: 200 }),
    ];
    for (at, act) in disturbances {
        let outcome = run(&day(Some(act.clone()), at), None);
        assert!(outcome.violations.is_empty(), "{act:?}: {:?}\n{}", outcome.violations, outcome.tail());
        if matches!(act, Act::Crash { .. } | Act::Kill { .. } | Act::Api { .. }) {
            costs_what_it_is_billed(&outcome, &format!("{act:?}"));
        }
        assert_eq!(outcome.end, quiet.end, "{act:?}");
        let counts = |outcome: &crate::run::Outcome| (outcome.figures.creates, outcome.figures.deletes);
        assert_eq!(counts(&outcome), counts(&quiet), "{act:?}");
    }
}
