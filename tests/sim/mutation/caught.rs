//! Every mutation is caught, in a script in which the operator as it is does well.

use super::Mutation;
use crate::run::run;
use crate::script::{Act, PoolPlan, Script, Trouble};

fn pool(target: i64, most: i64) -> PoolPlan {
    let (concurrent, deadline) = (2, 10);
    let (on_empty, activation, rollout) = ("Create", "Always", "OnReplenish");
    PoolPlan { target, most, concurrent, on_empty, activation, rollout, max_age: 0, deadline }
}

fn script(pool: PoolPlan, acts: impl Into<Vec<(u32, Act)>>) -> Script {
    Script { seed: 7, operators: 1, skew: [0, 0], pools: vec![pool], minutes: 30, acts: acts.into() }
}

/// Whether a violation is of this very invariant: S10 is not S1.
fn names(line: &str, invariant: &str) -> bool {
    line.split_once(':').is_some_and(|(named, _)| named == invariant)
}

/// The script is kept without the mutations, and each of them breaks this invariant in it.
fn catches(script: &Script, mutations: &[(Mutation, &str)]) {
    let well = run(script, None);
    assert!(well.violations.is_empty(), "without a mutation: {:?}\n{}", well.violations, well.tail());
    for (mutation, invariant) in mutations {
        let bad = run(script, Some(*mutation));
        let caught = bad.violations.iter().any(|line| names(line, invariant));
        let seen = (&bad.violations, bad.tail());
        assert!(caught, "{mutation:?} is not caught as {invariant}: {:?}\n{}", seen.0, seen.1);
    }
}

#[test]
fn filling_a_pool_catches_what_is_sent_read_or_believed_wrongly_s2_s3_s9_s10() {
    let script = script(pool(2, 4), [(30, Act::LookAlike { marked: false })]);
    catches(
        &script,
        &[
            (Mutation::AttemptNotWritten, "S2"),
            (Mutation::SweepFromCache, "S3"),
            (Mutation::NamesAlone, "S9"),
            (Mutation::NoisyStatus, "S10"),
            (Mutation::NoMarks, "S2"),
        ],
    );
}

#[test]
fn a_leader_that_stood_still_catches_writes_without_the_lease_s15() {
    let mut acts = Vec::new();
    for turn in 0..6_u32 {
        let (at, operator) = (120 + turn * 240, (turn % 2) as usize);
        acts.push((at, Act::Pause { operator, seconds: 150 }));
        acts.extend((1..8).map(|n| (at + n * 25, Act::Target { pool: 0, target: i64::from(n % 4) })));
    }
    let script = Script { operators: 2, ..script(pool(2, 6), acts) };
    catches(&script, &[(Mutation::NoFence, "S15"), (Mutation::LeaseWithoutVersion, "S15")]);
}

#[test]
fn a_claim_catches_what_ends_it_early_s7() {
    let acts = [
        (200, Act::Claim { pool: 0, minutes: 15 }),
        (260, Act::Extend { run: 0, minutes: 10 }),
        (300, Act::Target { pool: 0, target: 0 }),
    ];
    let script = Script { skew: [600, 600], ..script(pool(1, 4), acts) };
    catches(&script, &[(Mutation::ExtensionUnseen, "S7"), (Mutation::ClaimUnseen, "S7")]);
}

#[test]
fn a_leader_with_another_clock_catches_time_told_by_its_own_s7() {
    // The first tells the claim's time, the second ends it: one clock that is off would be off both times.
    let acts = [
        (0, Act::Pause { operator: 1, seconds: 250 }),
        (200, Act::Claim { pool: 0, minutes: 25 }),
        (300, Act::Pause { operator: 0, seconds: 600 }),
    ];
    let script = Script { operators: 2, skew: [-600, 600], ..script(pool(1, 4), acts) };
    catches(&script, &[(Mutation::LocalClock, "S7")]);
}

#[test]
fn an_old_view_catches_a_delete_of_any_version_s7() {
    let acts = [
        (300, Act::Stall { operator: 0, seconds: 100 }),
        (305, Act::Claim { pool: 0, minutes: 10 }),
        (310, Act::Target { pool: 0, target: 0 }),
    ];
    catches(&script(pool(1, 2), acts), &[(Mutation::DeleteWithoutVersion, "S7")]);
}

#[test]
fn an_old_view_catches_the_next_slot_after_our_own_member() {
    let acts = [(0, Act::Stall { operator: 0, seconds: 60 }), (20, Act::Target { pool: 0, target: 2 })];
    catches(&script(pool(1, 5), acts), &[(Mutation::NextSlotAfterOurOwn, "overshoot")]);
}

#[test]
fn a_slot_used_again_catches_a_binding_by_name_alone_s6() {
    // It dies between binding a request and claiming for it; until the Lease is over somebody makes the member anew.
    let crash = Act::Crash { operator: 0, calls: 1, after: true };
    let acts = [(300, crash), (301, Act::Request { pool: 0, minutes: 5 }), (310, Act::Replace { member: 0 })];
    catches(&script(pool(1, 4), acts), &[(Mutation::BoundToWithoutUid, "S6")]);
}

#[test]
fn demand_catches_an_unseen_cap_s5() {
    let acts: Vec<_> = (0..5).map(|n| (200 + n, Act::Request { pool: 0, minutes: 5 })).collect();
    catches(&script(pool(1, 2), acts), &[(Mutation::CapUnseen, "S5")]);
}

#[test]
fn lost_replies_catch_a_second_name_s1() {
    let acts = [(0, Act::Cloud { trouble: Trouble::DeepLag, seconds: 200 })];
    catches(&script(pool(2, 3), acts), &[(Mutation::NewNameAfterUnclear, "S1")]);
}

#[test]
fn failing_reads_catch_a_create_on_unknown_s1() {
    let acts = [(0, Act::Cloud { trouble: Trouble::BlindReads, seconds: 400 })];
    catches(&script(pool(1, 2), acts), &[(Mutation::FailedReadMeansGone, "S1")]);
}

#[test]
fn failing_deletes_catch_a_slot_freed_too_early_s4() {
    let acts =
        [(300, Act::Cloud { trouble: Trouble::DeletesFail, seconds: 200 }), (310, Act::Target { pool: 0, target: 0 })];
    catches(
        &script(pool(2, 3), acts),
        &[(Mutation::FailedDeleteMeansGone, "S4"), (Mutation::AcceptedDeleteMeansGone, "S4")],
    );
}

#[test]
fn a_deep_lag_catches_a_finalizer_lifted_on_listings_alone_s4() {
    let acts = [(0, Act::Cloud { trouble: Trouble::DeepLag, seconds: 600 }), (100, Act::Target { pool: 0, target: 0 })];
    catches(&script(pool(1, 2), acts), &[(Mutation::ListingAloneProves, "S4")]);
}

#[test]
fn a_swapped_token_catches_another_accounts_answer_s4() {
    let acts = [(300, Act::Swap { seconds: 300 }), (330, Act::Target { pool: 0, target: 0 })];
    catches(&script(pool(1, 2), acts), &[(Mutation::AnotherAccountsAnswer, "S4")]);
}

#[test]
fn a_sleep_catches_files_that_are_neither_kept_nor_back() {
    let acts = [
        (200, Act::Claim { pool: 0, minutes: 25 }),
        (260, Act::Write { run: 0 }),
        (300, Act::Hibernate { run: 0 }),
        (600, Act::Wake { run: 0 }),
    ];
    let mutations = [(Mutation::SaveOnlySaid, "files"), (Mutation::RestoreOnlySaid, "files")];
    catches(&script(pool(1, 2), acts), &mutations);
}

/// The same for what needs an accident: one of the first seeds has it.
fn catches_soon(script: &Script, mutation: Mutation, invariant: &str) {
    let seeded = (1..=60).map(|seed| Script { seed, ..script.clone() });
    let accident = |script: &Script| run(script, Some(mutation)).violations.iter().any(|line| names(line, invariant));
    let found = seeded.into_iter().find(accident);
    let found = found.unwrap_or_else(|| panic!("{mutation:?} is not caught as {invariant} by any of sixty seeds"));
    catches(&found, &[(mutation, invariant)]);
}

#[test]
fn a_bad_line_to_the_api_server_catches_a_claimer_who_does_not_ask_s6() {
    let mut acts = vec![(300, Act::Api { percent: 60, seconds: 60 })];
    acts.extend((0..7).map(|n| (301 + n * 3, Act::Claim { pool: 0, minutes: 5 })));
    catches_soon(&script(pool(8, 16), acts), Mutation::UnclearClaimForgotten, "S6");
}

#[test]
fn a_claim_that_comes_late_catches_one_of_any_version_s6() {
    let mut acts = vec![(298, Act::Stall { operator: 0, seconds: 60 }), (299, Act::Api { percent: 70, seconds: 60 })];
    acts.extend((0..5).map(|_| (300, Act::Claim { pool: 0, minutes: 5 })));
    acts.push((301, Act::DeletePool { pool: 0, end_claims: false }));
    catches_soon(&script(pool(8, 12), acts), Mutation::ClaimWithoutVersion, "S6");
}
