//! One run of one script: begin, act, let everything heal, then look at what is left, and at the silence.

use crate::mutation::Mutation;
use crate::operator::{self, Setup};
use crate::panics;
use crate::script::Script;
use crate::settle::{self, Cost};
use crate::users::{Users, collect_garbage, mend_credentials};
use crate::world::{ACCOUNT, World};
use sandbar::cloudsim::admin::Faults;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Steps of a failed run that are printed.
const TAIL: usize = 60;
/// Everything heals within this, the longest back-offs and claims included.
const PATIENCE: Duration = Duration::from_secs(5 * 3600);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_secs(120);
/// Silence lasts at least so long.
const SILENCE: Duration = Duration::from_secs(3600);

/// What a run was, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub virtual_time: Duration,
    pub steps: u64,
    pub faults: u64,
    pub crashes: u64,
    pub creates: u64,
    pub deletes: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub figures: Figures,
    /// Empty: all was well.
    pub violations: Vec<String>,
    /// Two runs of a script have the same.
    pub hash: u64,
    /// What is left at the end: pools with the number of their members.
    pub end: Vec<String>,
    /// What the pools that are left cost.
    pub costs: Vec<Cost>,
    /// Every step.
    pub steps: Vec<String>,
}

impl Outcome {
    /// The last steps, to be printed.
    pub fn tail(&self) -> String {
        self.steps[self.steps.len().saturating_sub(TAIL)..].join("\n")
    }
}

/// Runs a script to its end, or to the first violation.
pub fn run(script: &Script, mutation: Option<Mutation>) -> Outcome {
    panics::watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async {
        let world = World::new(script.seed, mutation);
        let mut tasks = JoinSet::new();
        let end = play(&world, script, &mut tasks).await;
        tasks.abort_all();
        outcome(&world, end)
    })
}

async fn play(world: &Arc<World>, script: &Script, tasks: &mut JoinSet<()>) -> Vec<String> {
    let mut users = Users::new(world);
    users.begin(&script.pools).await;
    tasks.spawn(collect_garbage(world.clone()));
    for index in 0..script.operators {
        tasks.spawn(operator::live(world.clone(), Setup { index, skew: script.skew[index] }));
    }
    let start = Instant::now();
    for (at, act) in &script.acts {
        if !quiet_until(world, start + Duration::from_secs((*at).into())).await {
            return Vec::new();
        }
        users.act(act).await;
    }
    if !quiet_until(world, start + Duration::from_secs(u64::from(script.minutes) * 60)).await {
        return Vec::new();
    }
    heal(world);
    match settled(world, script).await {
        Some(end) => {
            silence(world).await;
            end
        }
        None => Vec::new(),
    }
}

/// Lets time pass; false as soon as something was wrong.
async fn quiet_until(world: &World, until: Instant) -> bool {
    while Instant::now() < until {
        tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
        if has_violation(world) {
            return false;
        }
    }
    !has_violation(world)
}

fn has_violation(world: &World) -> bool {
    world.judge().strays_are_swept(world);
    !world.judge().violations.is_empty()
}

/// Faults end here. Pauses and crashes that are due end by themselves.
fn heal(world: &World) {
    world.note("FAULTS END");
    let _ = world.cloud.set_faults(ACCOUNT, Faults::default());
    mend_credentials(world);
    world.files().down_until = None;
    let mut net = world.net();
    (net.trouble, net.slow_cloud) = (None, None);
    for standing in &mut net.operators {
        standing.crash = None;
    }
}

/// Waits until the end state is reached; gives it.
async fn settled(world: &Arc<World>, script: &Script) -> Option<Vec<String>> {
    let limit = Instant::now() + PATIENCE;
    loop {
        tokio::time::sleep(LOOK).await;
        if has_violation(world) {
            return None;
        }
        match settle::end_state(world, script) {
            Ok(end) => return Some(end),
            Err(why) if Instant::now() >= limit => {
                world.judge().accuse(world, "S8/S13", format!("not healed after {PATIENCE:?}: {why}"));
                return None;
            }
            Err(_) => {}
        }
    }
}

/// Level and no demand: nothing is written, at most what replaces the members of a pool by their age (S10).
async fn silence(world: &Arc<World>) {
    // What follows the last change at once, such as a status that was held back.
    tokio::time::sleep(Duration::from_secs(10 * 60)).await;
    let ageing = settle::ageing(world);
    world.judge().said.clear();
    tokio::time::sleep(SILENCE).await;
    let mut judge = world.judge();
    let explained = |line: &String| ageing.iter().any(|pool| line.contains(pool.as_str()));
    let said: Vec<String> = judge.said.iter().filter(|line| !explained(line)).cloned().collect();
    if let Some(first) = said.first() {
        let what = format!("{} writes while level, the first: {first}", said.len());
        judge.accuse(world, "S10", what);
    }
}

fn outcome(world: &World, end: Vec<String>) -> Outcome {
    let refused = settle::refused_calls(world);
    let (judge, net, trace) = (world.judge(), world.net(), world.trace());
    let mut violations = judge.violations.clone();
    violations.extend(refused);
    violations.extend(panics::seen().iter().map(|panic| format!("panic: {panic}")));
    Outcome {
        figures: Figures {
            virtual_time: world.age(),
            steps: trace.lines().len() as u64,
            faults: net.faults + world.cloud.faults(),
            crashes: net.crashes,
            creates: judge.creates,
            deletes: judge.deletes,
        },
        violations,
        hash: trace.hash(),
        end,
        costs: settle::costs(world),
        steps: trace.lines().to_vec(),
    }
}
