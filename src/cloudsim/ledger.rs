//! What every app ever made was, and what it cost.

use super::app::App;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The least an app is billed for, in wall seconds.
pub const LEAST_BILLED_SECONDS: f64 = 60.0;

/// The books of the simulated cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// Every app ever made, oldest first.
    pub apps: Vec<Entry>,
    /// Per account.
    pub accounts: BTreeMap<String, Totals>,
}

/// One app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Id at the platform.
    pub id: String,
    /// Name in the account.
    pub name: String,
    /// Whose it is.
    pub account: String,
    /// Environment variables of type GENERAL.
    pub marks: BTreeMap<String, String>,
    /// Slug of its region.
    pub region: String,
    /// Slug of its first component's instance size.
    pub size: String,
    /// Where in its life it is.
    pub state: State,
    /// When the create call took effect.
    pub created: Timestamp,
    /// When it was first ACTIVE.
    pub ready: Option<Timestamp>,
    /// When it was gone; absent while it exists.
    pub gone: Option<Timestamp>,
    /// It went without being asked.
    pub vanished: bool,
    /// Deployments so far: 1, and one for each maintenance.
    pub deployments: u32,
    /// From created to gone, or to now. Billed on wall time, at least one minute.
    pub usd: f64,
}

/// Where in its life an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Its first deployment is on its way, or stuck.
    Creating,
    /// A deployment is ACTIVE.
    Active,
    /// Its only deployment ended in ERROR; it costs all the same.
    Failed,
    /// A DELETE was accepted; GET still finds it.
    Deleting,
    /// GET answers 404.
    Gone,
}

/// One account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Apps ever made.
    pub made: u32,
    /// Apps that exist now.
    pub existing: u32,
    /// The most apps that ever existed at one moment.
    pub peak: u32,
    /// Cost of all its apps so far.
    pub usd: f64,
}

impl Ledger {
    /// The apps that exist.
    pub fn existing(&self) -> impl Iterator<Item = &Entry> {
        self.apps.iter().filter(|entry| entry.state != State::Gone)
    }

    /// Writes the books of these apps, as of now.
    pub fn of<'a>(apps: impl Iterator<Item = &'a App>, now: Timestamp) -> Self {
        let mut ledger = Self { apps: apps.map(|app| entry(app, now)).collect(), ..Self::default() };
        let mut changes: BTreeMap<&str, Vec<(Timestamp, i32)>> = BTreeMap::new();
        for entry in &ledger.apps {
            let account = changes.entry(&entry.account).or_default();
            account.push((entry.created, 1));
            account.extend(entry.gone.map(|gone| (gone, -1)));
        }
        let peaks: Vec<(String, u32)> =
            changes.into_iter().map(|(account, changes)| (account.to_owned(), peak(changes))).collect();
        for (account, peak) in peaks {
            ledger.accounts.entry(account).or_default().peak = peak;
        }
        for entry in &ledger.apps {
            let totals = ledger.accounts.entry(entry.account.clone()).or_default();
            totals.made += 1;
            totals.existing += u32::from(entry.state != State::Gone);
            totals.usd += entry.usd;
        }
        ledger
    }
}

/// The most that exist at once; at one moment, ends come before begins.
fn peak(mut changes: Vec<(Timestamp, i32)>) -> u32 {
    changes.sort_unstable();
    let (mut existing, mut most) = (0i32, 0i32);
    for (_, change) in changes {
        existing += change;
        most = most.max(existing);
    }
    most.unsigned_abs()
}

fn entry(app: &App, now: Timestamp) -> Entry {
    let gone = app.gone.filter(|gone| *gone <= now);
    let seconds = gone.unwrap_or(now).duration_since(app.created).as_secs_f64();
    let state = match (gone, app.gone) {
        (Some(_), _) => State::Gone,
        (None, Some(_)) => State::Deleting,
        _ if app.active(now).is_some() => State::Active,
        _ if app.under_way(now).is_some() => State::Creating,
        _ => State::Failed,
    };
    Entry {
        id: app.id.clone(),
        name: app.name.clone(),
        account: app.account.clone(),
        marks: app.marks.clone(),
        region: app.region.clone(),
        size: app.size.clone(),
        state,
        created: app.created,
        ready: app.first_ready(now),
        gone,
        vanished: app.vanished && gone.is_some(),
        deployments: app.deployments.len() as u32,
        usd: seconds.max(LEAST_BILLED_SECONDS) * app.usd_per_second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudsim::app::{Deployment, Outcome, tests::app};
    use jiff::SignedDuration;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    fn living(created: i64, gone: Option<i64>) -> App {
        let deployment = Deployment {
            id: "d".into(),
            cause: "initial".into(),
            created: at(created),
            ends: at(created + 10),
            outcome: Outcome::Active,
            awaits_process: false,
        };
        App { created: at(created), gone: gone.map(at), ..app(vec![deployment]) }
    }

    #[test]
    fn cost_is_seconds_times_price_and_at_least_a_minute() {
        let ledger = Ledger::of([living(0, Some(5)), living(0, None)].iter(), at(1000));
        assert!((ledger.apps[0].usd - 60.0 * 0.000_004_960_317).abs() < 1e-12);
        assert!((ledger.apps[1].usd - 1000.0 * 0.000_004_960_317).abs() < 1e-12);
        assert_eq!(ledger.apps[0].ready, None, "gone before it was ready");
        assert_eq!((ledger.apps[0].state, ledger.apps[1].state), (State::Gone, State::Active));
    }

    #[test]
    fn the_peak_counts_apps_that_exist_at_one_moment() {
        let apps = [living(0, Some(10)), living(10, Some(30)), living(20, None)];
        let ledger = Ledger::of(apps.iter(), at(40));
        assert_eq!(
            ledger.accounts["default"],
            Totals { made: 3, existing: 1, peak: 2, usd: ledger.accounts["default"].usd }
        );
    }
}
