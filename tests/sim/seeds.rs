//! Scripts by seed: each is generated, run, and shrunk if it fails. A failure prints one line that runs it again.

use crate::run::{Figures, Outcome, run};
use crate::script::{Script, any_script};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Scripts that `make test` runs.
const FEW: u64 = 40;
/// Runs that shrinking may take.
const SHRINKS: u32 = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

pub fn tree(seed: u64) -> impl ValueTree<Value = Script> {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    any_script().new_tree(&mut runner).unwrap_or_else(|reason| panic!("seed {seed} gives no script: {reason}"))
}

/// A panic in the code under test is a finding like any other.
fn guarded(script: &Script) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(script, None)))
        .unwrap_or_else(|_| Outcome { violations: vec!["panic: see above".to_owned()], ..Outcome::default() })
}

/// Runs one seed; gives the smallest failing script and what came of it.
fn failing(seed: u64, sum: &Mutex<Figures>) -> Option<(Script, Outcome)> {
    let mut tree = tree(seed);
    let mut worst = (tree.current(), guarded(&tree.current()));
    add(&mut sum.lock().unwrap_or_else(PoisonError::into_inner), &worst.1.figures);
    if worst.1.violations.is_empty() {
        return None;
    }
    eprintln!("seed {seed} fails, and is made smaller: {}", worst.1.violations.join("; "));
    let mut more = tree.simplify();
    for _ in 0..SHRINKS {
        if !more {
            break;
        }
        let outcome = guarded(&tree.current());
        if outcome.violations.is_empty() {
            more = tree.complicate();
        } else {
            worst = (tree.current(), outcome);
            more = tree.simplify();
        }
    }
    Some(worst)
}

fn add(sum: &mut Figures, more: &Figures) {
    sum.virtual_time += more.virtual_time;
    sum.steps += more.steps;
    sum.faults += more.faults;
    sum.crashes += more.crashes;
    sum.creates += more.creates;
    sum.deletes += more.deletes;
}

fn report(seed: u64, script: &Script, outcome: &Outcome) {
    eprintln!("\nseed {seed} fails: {}\nsmallest script: {script:#?}", outcome.violations.join("; "));
    eprintln!("its last steps:\n{}", outcome.tail());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sim-{seed}.txt"));
    match std::fs::write(&file, outcome.steps.join("\n")) {
        Ok(()) => eprintln!("all of them: {}", file.display()),
        Err(error) => eprintln!("{}: {error}", file.display()),
    }
    eprintln!("again with: SANDBAR_SIM_SEED={seed} make sim");
}

#[test]
fn every_script_keeps_the_invariants_s1_s2_s3_s4_s5_s6_s7_s8_s9_s10_s11_s12_s13_s15() {
    let one = number("SANDBAR_SIM_SEED");
    let (first, count) = one
        .map_or((number("SANDBAR_SIM_FIRST").unwrap_or(1), number("SANDBAR_SIM_SEEDS").unwrap_or(FEW)), |seed| {
            (seed, 1)
        });
    let (next, failed, sum) = (AtomicU64::new(first), AtomicBool::new(false), Mutex::new(Figures::default()));
    let (began, threads) = (Instant::now(), std::thread::available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + count || failed.load(Ordering::SeqCst) {
                        return;
                    }
                    if let Some((script, outcome)) = failing(seed, &sum) {
                        failed.store(true, Ordering::SeqCst);
                        report(seed, &script, &outcome);
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{count} scripts, {} virtual hours, {} faults, {} crashes, {} steps, {} apps made and {} ended, in {} s",
        sum.virtual_time.as_secs() / 3600,
        sum.faults,
        sum.crashes,
        sum.steps,
        sum.creates,
        sum.deletes,
        began.elapsed().as_secs(),
    );
    assert!(!failed.load(Ordering::SeqCst), "a script fails; see above");
}
