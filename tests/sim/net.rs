//! The network between processes: seeded delays and losses, processes that stand still, processes that die.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;
use tokio::time::Instant;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// One life of one of the operators.
    Operator { index: usize, life: u32 },
    /// Somebody who uses Sandbar.
    User,
    /// What the control plane does by itself.
    Cluster,
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Operator { index, life } => write!(f, "op{index}.{life}"),
            Self::User => f.write_str("user"),
            Self::Cluster => f.write_str("cluster"),
        }
    }
}

/// What happens to one call on its way.
#[derive(Clone, Copy, Debug)]
pub struct Fate {
    pub out: Duration,
    pub back: Duration,
    /// It never arrives.
    pub lost_before: bool,
    /// It takes effect and its answer does not come.
    pub lost_after: bool,
    /// The server is too busy.
    pub refused: bool,
}

/// A crash that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// At the so-manyth call that changes something, from now.
    pub calls: u32,
    /// After its effect, before its answer is taken in.
    pub after: bool,
}

/// How one operator stands.
#[derive(Default)]
pub struct Standing {
    /// The newest life; older ones are dead.
    pub life: u32,
    /// The newest life is dead as well.
    pub dead: bool,
    pub paused_until: Option<Instant>,
    /// Its watches tell nothing before this.
    pub stalled_until: Option<Instant>,
    pub crash: Option<Crash>,
}

/// What chance has for one call.
pub struct Chance(StdRng);

impl Chance {
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.0.random_range(from..=to))
    }

    pub fn hits(&mut self, share: f64) -> bool {
        self.0.random_bool(share.clamp(0.0, 1.0))
    }
}

/// The network.
pub struct Net {
    seed: u64,
    /// How often chance was asked about the same.
    asked: HashMap<String, u64>,
    pub operators: [Standing; 2],
    /// Chance that a call to the API server goes wrong, and until when.
    pub trouble: Option<(f64, Instant)>,
    /// Chance that a call to the cloud arrives late, and until when.
    pub slow_cloud: Option<(f64, Instant)>,
    /// Calls that went wrong.
    pub faults: u64,
    /// Lives that ended by a crash.
    pub crashes: u64,
}

impl Net {
    pub fn new(seed: u64) -> Self {
        let (operators, asked) = (Default::default(), HashMap::new());
        Self { seed, asked, operators, trouble: None, slow_cloud: None, faults: 0, crashes: 0 }
    }

    /// Chance for this, the so-manyth time: not for one after the other, since what begins at one moment begins in any
    /// order (kube polls its reconciles in that of a hash map), and a seed must run the same twice.
    pub fn chance(&mut self, what: &str) -> Chance {
        let times = self.asked.entry(what.to_owned()).or_default();
        *times += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, what, *times).hash(&mut hasher);
        Chance(StdRng::seed_from_u64(hasher.finish()))
    }

    /// What happens to a call to the API server.
    pub fn api_fate(&mut self, caller: Caller, what: &str, now: Instant) -> Fate {
        let mut chance = self.chance(what);
        let (out, back) = (chance.millis(1, 40), chance.millis(1, 12));
        let mut fate = Fate { out, back, lost_before: false, lost_after: false, refused: false };
        let share = self.trouble.filter(|(_, until)| now < *until).map_or(0.0, |(share, _)| share);
        if caller == Caller::Cluster || share == 0.0 || !chance.hits(share) {
            return fate;
        }
        self.faults += 1;
        match chance.0.random_range(0..5) {
            0 => fate.lost_before = true,
            1 => fate.lost_after = true,
            2 => fate.refused = true,
            3 => fate.out = chance.millis(1_000, 25_000),
            _ => fate.back = chance.millis(1_000, 25_000),
        }
        fate
    }

    /// What happens to a call to the cloud: its errors are the cloud's own, the network may be slow.
    pub fn cloud_fate(&mut self, what: &str, now: Instant) -> Fate {
        let mut chance = self.chance(what);
        let (mut out, back) = (chance.millis(5, 120), chance.millis(5, 120));
        let share = self.slow_cloud.filter(|(_, until)| now < *until).map_or(0.0, |(share, _)| share);
        if share > 0.0 && chance.hits(share) {
            self.faults += 1;
            out = chance.millis(1_000, 40_000);
        }
        Fate { out, back, lost_before: false, lost_after: false, refused: false }
    }

    pub fn is_dead(&self, caller: Caller) -> bool {
        let Caller::Operator { index, life } = caller else { return false };
        self.operators[index].dead || self.operators[index].life != life
    }

    pub fn paused_until(&self, caller: Caller, now: Instant) -> Option<Instant> {
        let Caller::Operator { index, .. } = caller else { return None };
        self.operators[index].paused_until.filter(|until| now < *until)
    }

    /// Until when this operator's watches tell nothing.
    pub fn stalled(&self, caller: Caller) -> Option<Instant> {
        let Caller::Operator { index, .. } = caller else { return None };
        self.operators[index].stalled_until.filter(|until| Instant::now() < *until)
    }

    /// Counts a call of this operator; true if it dies here.
    pub fn crashes_here(&mut self, caller: Caller, after: bool) -> bool {
        let Caller::Operator { index, .. } = caller else { return false };
        let standing = &mut self.operators[index];
        let Some(crash) = &mut standing.crash else { return false };
        if crash.after != after {
            return false;
        }
        crash.calls = crash.calls.saturating_sub(1);
        if crash.calls > 0 {
            return false;
        }
        standing.crash = None;
        standing.dead = true;
        self.crashes += 1;
        true
    }
}
