//! One app and its deployments: everything about it at a moment follows from
//! the timestamps it was given when something happened to it.

use super::clock::Clock;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One app, from its create call on; kept after its end for the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct App {
    pub id: String,
    pub name: String,
    pub account: String,
    pub project: String,
    /// As the API gives it back.
    pub spec: Value,
    pub region: String,
    pub size: String,
    pub usd_per_second: f64,
    pub has_service: bool,
    pub http_port: u64,
    /// Plain values the container gets; never on the wire.
    pub environment: BTreeMap<String, String>,
    pub marks: BTreeMap<String, String>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Simulated seconds from ACTIVE to `live_url`.
    pub url_delay: f64,
    /// When it is, or will be, gone.
    pub gone: Option<Timestamp>,
    /// Nobody asked for its end.
    pub vanished: bool,
    /// Oldest first, never empty.
    pub deployments: Vec<Deployment>,
    pub agent: AgentState,
    /// Where the process of the app listens; virtual apps have none.
    pub address: Option<String>,
}

/// What answers at the app's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AgentState {
    /// It works.
    Ok,
    /// Nothing listens.
    Dead,
    /// Connections are taken, nothing is answered.
    Hung,
}

/// One deployment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deployment {
    pub id: String,
    pub cause: String,
    pub created: Timestamp,
    /// When it reaches its outcome.
    pub ends: Timestamp,
    pub outcome: Outcome,
    /// Its process has not said yet that it listens, so it cannot end.
    pub awaits_process: bool,
}

/// How a deployment ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Active,
    Failed { code: String, message: String },
    Stuck,
}

/// The phases a deployment of an image goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    PendingBuild,
    Building,
    PendingDeploy,
    Deploying,
    Active,
    Superseded,
    Error,
}

impl Phase {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingBuild => "PENDING_BUILD",
            Self::Building => "BUILDING",
            Self::PendingDeploy => "PENDING_DEPLOY",
            Self::Deploying => "DEPLOYING",
            Self::Active => "ACTIVE",
            Self::Superseded => "SUPERSEDED",
            Self::Error => "ERROR",
        }
    }
}

/// Until which share of its way a deployment is in a phase. An image needs
/// almost no build.
const SHARES: [(f64, Phase); 3] = [(0.04, Phase::PendingBuild), (0.10, Phase::Building), (0.15, Phase::PendingDeploy)];

impl Deployment {
    pub fn ended(&self, now: Timestamp) -> bool {
        now >= self.ends && !self.awaits_process && self.outcome != Outcome::Stuck
    }

    /// When it became ACTIVE, if it has.
    pub fn active_since(&self, now: Timestamp) -> Option<Timestamp> {
        (self.outcome == Outcome::Active && self.ended(now)).then_some(self.ends)
    }

    /// The phase, but for SUPERSEDED, and since when it lasts.
    fn own_phase(&self, now: Timestamp) -> (Phase, Timestamp) {
        if self.ended(now) {
            let phase = if self.outcome == Outcome::Active { Phase::Active } else { Phase::Error };
            return (phase, self.ends);
        }
        let way = self.ends.duration_since(self.created).as_secs_f64().max(f64::MIN_POSITIVE);
        let share = now.duration_since(self.created).as_secs_f64() / way;
        let mut since = 0.0;
        let mut phase = Phase::Deploying;
        for (until, earlier) in SHARES {
            if share < until {
                phase = earlier;
                break;
            }
            since = until;
        }
        let elapsed = jiff::SignedDuration::try_from_secs_f64(way * since).unwrap_or_default();
        (phase, self.created.saturating_add(elapsed).unwrap_or(self.created))
    }
}

impl App {
    /// Whether the app costs money and GET finds it.
    pub fn exists(&self, now: Timestamp) -> bool {
        self.gone.is_none_or(|gone| now < gone)
    }

    /// Whether the listing shows the app when it is `lag` simulated seconds old.
    pub fn listed(&self, now: Timestamp, clock: Clock, lag: f64) -> bool {
        let seen_from = clock.before(now, lag);
        self.created <= seen_from && self.exists(seen_from)
    }

    /// Phase of the deployment at an index, and since when it lasts.
    pub fn phase(&self, index: usize, now: Timestamp) -> (Phase, Timestamp) {
        let (phase, since) = self.deployments[index].own_phase(now);
        let later = self.deployments[index + 1..].iter().find_map(|later| later.active_since(now));
        match (phase, later) {
            (Phase::Active, Some(superseded)) => (Phase::Superseded, superseded),
            _ => (phase, since),
        }
    }

    /// The newest deployment that is ACTIVE.
    pub fn active(&self, now: Timestamp) -> Option<usize> {
        self.deployments.iter().rposition(|deployment| deployment.active_since(now).is_some())
    }

    /// The newest deployment on its way: pending, or in progress.
    pub fn under_way(&self, now: Timestamp) -> Option<(usize, Phase)> {
        let index = self.deployments.iter().rposition(|deployment| !deployment.ended(now))?;
        Some((index, self.phase(index, now).0))
    }

    /// When the app was first ready, if it has been.
    pub fn first_ready(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.gone.map_or(now, |gone| gone.min(now));
        self.deployments.iter().find_map(|deployment| deployment.active_since(until))
    }

    /// Whether `live_url` is known.
    pub fn has_url(&self, now: Timestamp, clock: Clock) -> bool {
        self.has_service && self.first_ready(now).is_some_and(|ready| now >= clock.after(ready, self.url_delay))
    }

    /// Whether the app answers at its address.
    pub fn serves(&self, now: Timestamp) -> bool {
        self.exists(now) && self.has_service && self.active(now).is_some()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn deployment(from: i64, to: i64, outcome: Outcome) -> Deployment {
        Deployment {
            id: format!("d{from}"),
            cause: "manual".into(),
            created: at(from),
            ends: at(to),
            outcome,
            awaits_process: false,
        }
    }

    pub fn app(deployments: Vec<Deployment>) -> App {
        App {
            id: "a".into(),
            name: "web".into(),
            account: "default".into(),
            project: String::new(),
            spec: Value::Null,
            region: "nyc".into(),
            size: "apps-s-1vcpu-1gb".into(),
            usd_per_second: 0.000_004_960_317,
            has_service: true,
            http_port: 8080,
            environment: BTreeMap::new(),
            marks: BTreeMap::new(),
            created: at(0),
            updated: at(0),
            url_delay: 10.0,
            gone: None,
            vanished: false,
            deployments,
            agent: AgentState::Ok,
            address: None,
        }
    }

    #[test]
    fn a_deployment_walks_through_its_phases() {
        let app = app(vec![deployment(0, 100, Outcome::Active)]);
        let seen: Vec<_> = [0, 5, 12, 50, 100].map(|second| app.phase(0, at(second)).0.as_str()).into();
        assert_eq!(seen, ["PENDING_BUILD", "BUILDING", "PENDING_DEPLOY", "DEPLOYING", "ACTIVE"]);
        assert_eq!(app.phase(0, at(50)).1, at(15));
        assert!(!app.has_url(at(109), Clock::new(1.0)) && app.has_url(at(110), Clock::new(1.0)));
    }

    #[test]
    fn a_failed_first_deployment_leaves_none_active() {
        let app = app(vec![deployment(0, 100, Outcome::Failed { code: "C".into(), message: "m".into() })]);
        assert_eq!(app.phase(0, at(100)).0, Phase::Error);
        assert_eq!((app.active(at(100)), app.under_way(at(100)), app.first_ready(at(100))), (None, None, None));
    }

    #[test]
    fn a_stuck_deployment_never_ends() {
        let app = app(vec![deployment(0, 100, Outcome::Stuck)]);
        assert_eq!(app.under_way(at(1_000_000)), Some((0, Phase::Deploying)));
    }

    #[test]
    fn a_newer_active_deployment_supersedes_the_older_when_it_is_active() {
        let app = app(vec![deployment(0, 100, Outcome::Active), deployment(200, 300, Outcome::Active)]);
        assert_eq!((app.active(at(250)), app.phase(0, at(250)).0), (Some(0), Phase::Active));
        assert_eq!((app.active(at(300)), app.phase(0, at(300)).0), (Some(1), Phase::Superseded));
    }

    #[test]
    fn a_lagging_listing_shows_the_past() {
        let mut app = app(vec![deployment(0, 100, Outcome::Active)]);
        app.gone = Some(at(200));
        let clock = Clock::new(1.0);
        assert!(!app.listed(at(29), clock, 30.0) && app.listed(at(30), clock, 30.0));
        assert!(app.listed(at(229), clock, 30.0) && !app.listed(at(230), clock, 30.0));
    }
}
