//! What happens to both: who wants a sandbox when, and what goes wrong when.
//!
//! Times are simulated seconds since the begin.

use crate::Result;
use crate::clock::Clock;
use crate::world::Account;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbar::cloudsim::admin::{Fault, Faults, Op, Rule, Shape, SimAdmin};
use serde::Serialize;

/// Decides the demand and the faults.
pub const SEED: u64 = 1;
/// Warm sandboxes that are wanted.
pub const TARGET: usize = 4;
/// Sandboxes that may exist.
pub const CAP: usize = 20;
/// Size and region of every app.
pub const SIZE: &str = "apps-s-1vcpu-1gb";
pub const REGION: &str = "nyc";
/// A warm sandbox is not handed out, or not kept, when older.
pub const MAX_WARM_AGE: f64 = 1800.0;
/// A user who has got nothing for so long goes away.
pub const PATIENCE: f64 = 600.0;
/// A user who was refused asks again after this.
pub const ASK_AGAIN: f64 = 5.0;

const FIRST_USER: f64 = 150.0;
const LAST_USER: f64 = 1560.0;
const BETWEEN_USERS: f64 = 30.0;
/// Six come at once.
const CROWD: (f64, usize) = (1080.0, 6);
/// Everybody goes and everything is shut down.
const ENDS: f64 = 1740.0;

/// Somebody who wants a sandbox.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct User {
    /// When.
    pub at: f64,
    /// For how long, from when it is there.
    pub hold: f64,
}

/// A time in which something is wrong.
pub struct Trouble {
    pub from: f64,
    pub until: f64,
    /// In a few words, for the plot.
    pub name: &'static str,
    rules: Vec<Rule>,
}

/// The whole day.
pub struct Script {
    pub speed: f64,
    /// By the time they come.
    pub users: Vec<User>,
    /// In order; none overlaps another.
    pub troubles: Vec<Trouble>,
    pub ends: f64,
}

impl Script {
    /// The same users and troubles at any speed.
    pub fn new(speed: f64) -> Self {
        Self { speed, users: users(), troubles: troubles(speed), ends: ENDS }
    }

    /// Brings the troubles to both accounts, each at its time.
    pub async fn faults(&self, sim: &SimAdmin, clock: Clock) -> Result<()> {
        for trouble in &self.troubles {
            clock.until(trouble.from).await;
            eprintln!("minute {:2.0}: {}", trouble.from / 60.0, trouble.name);
            let faults = Faults { seed: SEED, rules: trouble.rules.clone() };
            for account in Account::BOTH {
                sim.set_faults(account.name(), &faults).await?;
            }
            clock.until(trouble.until).await;
            for account in Account::BOTH {
                sim.clear_faults(account.name()).await?;
            }
        }
        Ok(())
    }
}

fn users() -> Vec<User> {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut moments = vec![CROWD.0; CROWD.1];
    let mut at = FIRST_USER;
    while at < LAST_USER {
        moments.push(at);
        at -= BETWEEN_USERS * (1.0 - rng.random::<f64>()).ln();
    }
    moments.sort_unstable_by(f64::total_cmp);
    moments.into_iter().map(|at| User { at, hold: rng.random_range(40.0..110.0) }).collect()
}

fn troubles(speed: f64) -> Vec<Trouble> {
    let lost_reply = Rule::new(Fault::ErrorAfter(Shape::Html { status: 504 })).on([Op::Create]).chance(0.5);
    let reads = [Op::Account, Op::List, Op::Get, Op::Propose, Op::Deployments, Op::Sizes, Op::Regions];
    let outage = Rule::new(Fault::ErrorBefore(Shape::Html { status: 503 })).on(reads);
    // The header has whole seconds of the wall; no client waits less than one.
    let retry_after = Some((6.0 / speed).ceil() as u32);
    let limited = Rule::new(Fault::TooManyRequests { retry_after });
    vec![
        Trouble {
            from: 300.0,
            until: 480.0,
            name: "half of the creates answer 504 and took effect",
            rules: vec![lost_reply],
        },
        Trouble { from: 600.0, until: 840.0, name: "every read answers 503", rules: vec![outage] },
        Trouble { from: 1260.0, until: 1350.0, name: "every call answers 429", rules: vec![limited] },
    ]
}
