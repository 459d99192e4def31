//! Faults an account can be given: which calls they meet, and what they do.

use super::clock::{Clock, LONGEST_SECONDS};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// The faults of one account; the whole document replaces the one before.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Faults {
    /// Decides every `probability` below 1.
    #[serde(default)]
    pub seed: u64,
    /// Every rule that meets a call applies; of two that answer, the first.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One fault, and how often and how long it applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// Which calls it meets. Empty: those the fault is about, or all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Op>,
    /// It meets so many calls and is spent. Absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// It meets only every n-th call that it could meet, the n-th first. Absent: each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u32>,
    /// Chance per call, 0..=1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Simulated seconds from when the document was set. Absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<f64>,
}

fn always() -> f64 {
    1.0
}

impl Rule {
    /// A fault that meets every call it is about, until it is cleared.
    pub fn new(fault: Fault) -> Self {
        Self { fault, on: Vec::new(), count: None, every: None, probability: 1.0, for_seconds: None }
    }

    /// Only these calls.
    #[must_use]
    pub fn on(mut self, ops: impl Into<Vec<Op>>) -> Self {
        self.on = ops.into();
        self
    }

    /// Only the next `count` calls.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Only every `n`-th call, `n` at least 1.
    #[must_use]
    pub fn every(mut self, n: u32) -> Self {
        self.every = Some(n);
        self
    }

    /// With this chance per call, 0..=1.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Only for so many simulated seconds.
    #[must_use]
    pub fn for_seconds(mut self, seconds: f64) -> Self {
        self.for_seconds = Some(seconds);
        self
    }
}

/// Which operation a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Op {
    /// GET `/v2/account`.
    Account,
    /// GET `/v2/apps`.
    List,
    /// POST `/v2/apps`.
    Create,
    /// GET `/v2/apps/{id}`.
    Get,
    /// DELETE `/v2/apps/{id}`.
    Delete,
    /// POST `/v2/apps/propose`.
    Propose,
    /// GET below `/v2/apps/{id}/deployments`.
    Deployments,
    /// GET `…/components/{component}/exec`.
    Console,
    /// GET below `/v2/apps/tiers/instance_sizes`.
    Sizes,
    /// GET `/v2/apps/regions`.
    Regions,
    /// A route that the simulator does not serve.
    Other,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// The call has no effect and is answered with this.
    ErrorBefore(Shape),
    /// The call has its effect and is answered with this: a lost reply.
    ErrorAfter(Shape),
    /// 429 by the platform's own judgement; `retryAfter` in seconds.
    TooManyRequests { retry_after: Option<u32> },
    /// The deployment of a created app ends in ERROR with this reason.
    FailedDeployment { code: String, message: String },
    /// The deployment of a created app stays in DEPLOYING for ever.
    StuckDeployment {},
    /// A delete answers 200 and does nothing.
    DeleteIgnored {},
    /// The listing is so many simulated seconds old.
    ListingLag { seconds: f64 },
    /// Pages after the first begin one app later, as if one before them had gone.
    ShiftingPages {},
    /// Optional members are `null` instead of absent.
    NullInsteadOfAbsent {},
    /// Timestamps that do not matter are `0001-01-01T00:00:00Z`.
    ZeroTimestamps {},
    /// The console's address is too old before it is told.
    ConsoleExpired {},
    /// The console's connection breaks after so many bytes of its frames, both ways together.
    ConsoleCut { bytes: u64 },
    /// The answer takes so many simulated seconds longer, after the effect.
    Slow { seconds: f64 },
}

/// How an error looks to the client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Shape {
    /// A JSON error body of the API.
    Json { status: u16, id: String, message: String },
    /// An HTML page of the edge in front of the API.
    Html { status: u16 },
    /// The connection ends without a byte of an answer.
    Reset {},
    /// No byte comes for so many simulated seconds, then the connection ends.
    Hang { seconds: f64 },
}

impl Shape {
    /// 500 with a JSON body.
    pub fn server_error() -> Self {
        Self::Json { status: 500, id: "server_error".into(), message: "Unexpected server-side error".into() }
    }
}

impl Fault {
    fn natural_ops(&self) -> &'static [Op] {
        match self {
            Self::FailedDeployment { .. } | Self::StuckDeployment {} => &[Op::Create],
            Self::DeleteIgnored {} => &[Op::Delete],
            Self::ListingLag { .. } | Self::ShiftingPages {} => &[Op::List],
            Self::ConsoleExpired {} | Self::ConsoleCut { .. } => &[Op::Console],
            _ => &[],
        }
    }

    /// The name the fault has in JSON, for the call log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ErrorBefore(_) => "errorBefore",
            Self::ErrorAfter(_) => "errorAfter",
            Self::TooManyRequests { .. } => "tooManyRequests",
            Self::FailedDeployment { .. } => "failedDeployment",
            Self::StuckDeployment {} => "stuckDeployment",
            Self::DeleteIgnored {} => "deleteIgnored",
            Self::ListingLag { .. } => "listingLag",
            Self::ShiftingPages {} => "shiftingPages",
            Self::NullInsteadOfAbsent {} => "nullInsteadOfAbsent",
            Self::ZeroTimestamps {} => "zeroTimestamps",
            Self::ConsoleExpired {} => "consoleExpired",
            Self::ConsoleCut { .. } => "consoleCut",
            Self::Slow { .. } => "slow",
        }
    }

    fn problem(&self) -> Option<String> {
        let status_of = |shape: &Shape| match shape {
            Shape::Json { status, .. } | Shape::Html { status } if !(400..=599).contains(status) => {
                Some(format!("status {status} must lie in 400..=599"))
            }
            Shape::Hang { seconds } if !sound(*seconds) => Some(format!("seconds {seconds} is no duration")),
            _ => None,
        };
        match self {
            Self::ErrorBefore(shape) | Self::ErrorAfter(shape) => status_of(shape),
            Self::ListingLag { seconds } | Self::Slow { seconds } if !sound(*seconds) => {
                Some(format!("seconds {seconds} is no duration"))
            }
            _ => None,
        }
    }
}

fn sound(seconds: f64) -> bool {
    (0.0..=LONGEST_SECONDS).contains(&seconds)
}

impl Faults {
    /// What is wrong with the document, naming rule, field and value.
    pub fn problem(&self) -> Option<String> {
        self.rules.iter().enumerate().find_map(|(index, rule)| {
            let problem = if !(0.0..=1.0).contains(&rule.probability) {
                Some(format!("probability {} must lie in 0..=1", rule.probability))
            } else if rule.every == Some(0) {
                Some("every 0 must be at least 1".to_owned())
            } else if rule.for_seconds.is_some_and(|seconds| !sound(seconds)) {
                Some("forSeconds is no duration".to_owned())
            } else {
                rule.fault.problem()
            };
            problem.map(|problem| format!("rules[{index}]: {problem}"))
        })
    }
}

/// A document of faults at work: what is spent, and since when it applies.
#[derive(Debug)]
pub struct ActiveFaults {
    document: Faults,
    left: Vec<Option<u32>>,
    /// Calls that each rule could have met.
    chances: Vec<u32>,
    since: Timestamp,
    rng: StdRng,
}

impl ActiveFaults {
    /// A document that applies from `now` on.
    pub fn new(document: Faults, now: Timestamp) -> Self {
        let left = document.rules.iter().map(|rule| rule.count).collect();
        let chances = vec![0; document.rules.len()];
        let rng = StdRng::seed_from_u64(document.seed);
        Self { document, left, chances, since: now, rng }
    }

    /// The document as it stands, with what is left of each count.
    pub fn document(&self) -> Faults {
        let mut document = self.document.clone();
        for (rule, left) in document.rules.iter_mut().zip(&self.left) {
            rule.count = *left;
        }
        document
    }

    /// The faults that meet this call, in order; counts go down.
    pub fn meet(&mut self, op: Op, clock: Clock, now: Timestamp) -> Vec<Fault> {
        let mut met = Vec::new();
        for ((rule, left), chances) in self.document.rules.iter().zip(&mut self.left).zip(&mut self.chances) {
            let about = if rule.on.is_empty() { rule.fault.natural_ops() } else { &rule.on };
            let over = rule.for_seconds.is_some_and(|seconds| now >= clock.after(self.since, seconds));
            if over || *left == Some(0) || !(about.is_empty() || about.contains(&op)) {
                continue;
            }
            *chances = chances.wrapping_add(1);
            if rule.every.is_some_and(|every| *chances % every != 0) {
                continue;
            }
            if rule.probability < 1.0 && !self.rng.random_bool(rule.probability) {
                continue;
            }
            if let Some(left) = left {
                *left -= 1;
            }
            met.push(rule.fault.clone());
        }
        met
    }
}
