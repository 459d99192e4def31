//! What happens in one run: generated, so that a failing one shrinks.

use proptest::prelude::*;
use sandbar::cloudsim::admin::{Fault, Op, Rule, Shape};
use std::time::Duration;

/// Generated scripts last so long, in minutes.
const MINUTES: u32 = 100;

/// One run.
#[derive(Clone, Debug)]
pub struct Script {
    /// Decides delays, ids and chances.
    pub seed: u64,
    pub operators: usize,
    /// Seconds by which the operators' wall clocks are off.
    pub skew: [i64; 2],
    pub pools: Vec<PoolPlan>,
    /// Everything after this is quiet.
    pub minutes: u32,
    /// Seconds from the start, and what happens then.
    pub acts: Vec<(u32, Act)>,
}

/// A pool to begin with.
#[derive(Clone, Debug)]
pub struct PoolPlan {
    pub target: i64,
    pub most: i64,
    pub concurrent: i64,
    pub on_empty: &'static str,
    pub activation: &'static str,
    pub rollout: &'static str,
    /// Minutes; 0 = none.
    pub max_age: u32,
    /// Minutes.
    pub deadline: u32,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A program takes a warm sandbox, or gives up.
    Claim {
        pool: usize,
        minutes: u32,
    },
    /// A request object is made.
    Request {
        pool: usize,
        minutes: u32,
    },
    /// One of the runs so far is given back.
    Release {
        run: usize,
    },
    /// One of the runs so far is made longer.
    Extend {
        run: usize,
        minutes: u32,
    },
    /// The holder of one of the runs so far writes a file.
    Write {
        run: usize,
    },
    /// One of the runs so far is put to sleep.
    Hibernate {
        run: usize,
    },
    /// One of the runs so far is to run again.
    Wake {
        run: usize,
    },
    Target {
        pool: usize,
        target: i64,
    },
    Limit {
        pool: usize,
        most: i64,
    },
    /// The pool's image changes.
    Retag {
        pool: usize,
    },
    DeletePool {
        pool: usize,
        end_claims: bool,
    },
    /// The cloud misbehaves.
    Cloud {
        trouble: Trouble,
        seconds: u32,
    },
    /// Calls to the API server go wrong.
    Api {
        percent: u32,
        seconds: u32,
    },
    /// Calls to the cloud arrive late.
    SlowCloud {
        percent: u32,
        seconds: u32,
    },
    /// An operator's process stands still.
    Pause {
        operator: usize,
        seconds: u32,
    },
    /// An operator's process dies at its so-manyth call from now.
    Crash {
        operator: usize,
        calls: u32,
        after: bool,
    },
    /// An operator's process dies at once, wherever it is.
    Kill {
        operator: usize,
    },
    /// Somebody replaces a member by force: it goes without its finalizer and is made again under its name.
    Replace {
        member: usize,
    },
    /// An operator's cache of Sandboxes stops.
    Stall {
        operator: usize,
        seconds: u32,
    },
    /// The token stops working for a while.
    Revoke {
        seconds: u32,
    },
    /// The token opens another account for a while.
    Swap {
        seconds: u32,
    },
    /// Nothing gets into the store of files or out of it.
    Store {
        seconds: u32,
    },
    /// The platform redeploys one of the apps.
    Maintenance {
        app: usize,
    },
    /// The platform loses one of the apps.
    Vanish {
        app: usize,
    },
    /// The agent in one of the apps dies.
    Silence {
        app: usize,
    },
    /// Somebody else's app with a name like ours.
    LookAlike {
        marked: bool,
    },
}

impl Act {
    /// For so long it explains what goes wrong.
    pub fn lasts(&self) -> Duration {
        let seconds = match self {
            Self::Cloud { seconds, .. }
            | Self::Api { seconds, .. }
            | Self::SlowCloud { seconds, .. }
            | Self::Pause { seconds, .. }
            | Self::Stall { seconds, .. }
            | Self::Revoke { seconds }
            | Self::Swap { seconds } => *seconds,
            _ => 0,
        };
        Duration::from_secs(seconds.into())
    }
}

/// How the cloud misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    ReadOutage,
    LostReplies,
    CreatesFail,
    Deployments,
    Stuck,
    DeletesLie,
    DeletesFail,
    ListingLag,
    TooMany,
    Hangs,
    /// Listings lag, and one app cannot be read.
    BlindReads,
    /// Listings lag by more than the grace, and creates lose their replies.
    DeepLag,
    Everything,
}

impl Trouble {
    pub const ALL: [Self; 13] = [
        Self::ReadOutage,
        Self::LostReplies,
        Self::CreatesFail,
        Self::Deployments,
        Self::Stuck,
        Self::DeletesLie,
        Self::DeletesFail,
        Self::ListingLag,
        Self::TooMany,
        Self::Hangs,
        Self::BlindReads,
        Self::DeepLag,
        Self::Everything,
    ];

    /// The cloud's own faults for it.
    pub fn rules(self) -> Vec<Rule> {
        let before = |ops: &[Op], chance| Rule::new(Fault::ErrorBefore(Shape::server_error())).on(ops).chance(chance);
        let after =
            |ops: &[Op], chance| Rule::new(Fault::ErrorAfter(Shape::Html { status: 504 })).on(ops).chance(chance);
        match self {
            Self::ReadOutage => vec![before(&[Op::List, Op::Get, Op::Account, Op::Propose, Op::Deployments], 1.0)],
            Self::LostReplies => vec![after(&[Op::Create, Op::Delete], 0.8)],
            Self::CreatesFail => vec![before(&[Op::Create], 0.5)],
            Self::Deployments => {
                let (code, message) = ("DeployContainerExitNonZero".to_owned(), "it ended".to_owned());
                vec![Rule::new(Fault::FailedDeployment { code, message }).chance(0.5)]
            }
            Self::Stuck => vec![Rule::new(Fault::StuckDeployment {}).chance(0.5)],
            Self::DeletesLie => vec![Rule::new(Fault::DeleteIgnored {}).chance(0.7)],
            Self::DeletesFail => vec![before(&[Op::Delete], 0.7)],
            Self::ListingLag => vec![Rule::new(Fault::ListingLag { seconds: 55.0 })],
            Self::TooMany => vec![Rule::new(Fault::TooManyRequests { retry_after: Some(20) }).chance(0.5)],
            Self::Hangs => {
                let hang = Fault::ErrorAfter(Shape::Hang { seconds: 45.0 });
                vec![Rule::new(hang).on([Op::Create, Op::Delete, Op::Get, Op::List]).chance(0.4)]
            }
            Self::BlindReads => {
                vec![Rule::new(Fault::ListingLag { seconds: 55.0 }), before(&[Op::Get], 1.0)]
            }
            Self::DeepLag => {
                vec![Rule::new(Fault::ListingLag { seconds: 500.0 }), after(&[Op::Create], 1.0)]
            }
            Self::Everything => vec![
                before(&[Op::List, Op::Get, Op::Account, Op::Propose, Op::Create, Op::Delete], 0.2),
                after(&[Op::List, Op::Get, Op::Create, Op::Delete], 0.2),
                Rule::new(Fault::ListingLag { seconds: 40.0 }).chance(0.5),
                Rule::new(Fault::DeleteIgnored {}).chance(0.3),
                Rule::new(Fault::NullInsteadOfAbsent {}).chance(0.3),
                Rule::new(Fault::ZeroTimestamps {}).chance(0.3),
            ],
        }
    }
}

fn pool() -> impl Strategy<Value = PoolPlan> {
    let on_empty = prop_oneof![4 => Just("Create"), 2 => Just("Wait"), 1 => Just("Fail")];
    let max_age = prop_oneof![4 => Just(0_u32), 1 => 20..60_u32];
    let rollout = prop_oneof![1 => Just("OnReplenish"), 1 => Just("Recreate"), 2 => Just("Rolling")];
    (0..4_i64, 1..4_i64, 1..4_i64, on_empty, any::<bool>(), max_age, 3..12_u32, rollout).prop_map(
        |(target, room, concurrent, on_empty, eager, max_age, deadline, rollout)| {
            let lazy = !eager && on_empty != "Fail" && target > 0;
            let activation = if lazy && room == 3 { "OnFirstClaim" } else { "Always" };
            PoolPlan { target, most: target + room, concurrent, on_empty, activation, rollout, max_age, deadline }
        },
    )
}

fn demand() -> impl Strategy<Value = Act> {
    let pool = 0..2_usize;
    prop_oneof![
        4 => (pool.clone(), 1..20_u32).prop_map(|(pool, minutes)| Act::Claim { pool, minutes }),
        4 => (pool.clone(), 1..20_u32).prop_map(|(pool, minutes)| Act::Request { pool, minutes }),
        3 => (0..8_usize).prop_map(|run| Act::Release { run }),
        2 => (0..8_usize, 5..20_u32).prop_map(|(run, minutes)| Act::Extend { run, minutes }),
        3 => (0..4_usize).prop_map(|run| Act::Write { run }),
        3 => (0..4_usize).prop_map(|run| Act::Hibernate { run }),
        3 => (0..4_usize).prop_map(|run| Act::Wake { run }),
        2 => (pool.clone(), 0..4_i64).prop_map(|(pool, target)| Act::Target { pool, target }),
        1 => (pool.clone(), 1..6_i64).prop_map(|(pool, most)| Act::Limit { pool, most }),
        1 => pool.clone().prop_map(|pool| Act::Retag { pool }),
        1 => (pool, any::<bool>()).prop_map(|(pool, end_claims)| Act::DeletePool { pool, end_claims }),
    ]
}

fn fault() -> impl Strategy<Value = Act> {
    let (one, app, while_) = (0..2_usize, 0..8_usize, 10..900_u32);
    let trouble = prop::sample::select(Trouble::ALL.to_vec());
    prop_oneof![
        6 => (trouble, while_.clone()).prop_map(|(trouble, seconds)| Act::Cloud { trouble, seconds }),
        3 => (5..60_u32, 10..300_u32).prop_map(|(percent, seconds)| Act::Api { percent, seconds }),
        2 => (10..90_u32, 10..300_u32).prop_map(|(percent, seconds)| Act::SlowCloud { percent, seconds }),
        3 => (one.clone(), 5..400_u32).prop_map(|(operator, seconds)| Act::Pause { operator, seconds }),
        5 => (one.clone(), 1..40_u32, any::<bool>())
            .prop_map(|(operator, calls, after)| Act::Crash { operator, calls, after }),
        4 => one.clone().prop_map(|operator| Act::Kill { operator }),
        2 => (one, 5..200_u32).prop_map(|(operator, seconds)| Act::Stall { operator, seconds }),
        2 => while_.clone().prop_map(|seconds| Act::Store { seconds }),
        1 => while_.clone().prop_map(|seconds| Act::Revoke { seconds }),
        1 => while_.prop_map(|seconds| Act::Swap { seconds }),
        1 => app.clone().prop_map(|app| Act::Maintenance { app }),
        1 => app.clone().prop_map(|app| Act::Vanish { app }),
        1 => app.prop_map(|app| Act::Silence { app }),
        1 => any::<bool>().prop_map(|marked| Act::LookAlike { marked }),
    ]
}

/// Any script.
pub fn any_script() -> impl Strategy<Value = Script> {
    let act = prop_oneof![demand(), fault()];
    let acts = prop::collection::vec((0..6_000_u32, act), 0..24);
    let skew = prop_oneof![3 => Just(0_i64), 1 => Just(600), 1 => Just(-600)];
    (any::<u64>().no_shrink(), 1..3_usize, [skew.clone(), skew], prop::collection::vec(pool(), 1..3), acts).prop_map(
        |(seed, operators, skew, pools, mut acts)| {
            acts.sort_by_key(|(at, _)| *at);
            Script { seed, operators, skew, pools, minutes: MINUTES, acts }
        },
    )
}
