//! What one side did, from the cloud's books and its users.

use crate::clock::Clock;
use crate::users::Users;
use crate::world::Account;
use sandbar::cloudsim::admin::{Ledger, Op, Summary};
use sandbar::cloudsim::catalog;
use sandbar::cloudsim::ledger::LEAST_BILLED_SECONDS;

/// Seconds of a billed month.
const MONTH: f64 = 28.0 * 86_400.0;

/// Calls that belong to no app: the listing, the check of the account that goes with each, and the catalogue.
const SHARED: [Op; 4] = [Op::List, Op::Account, Op::Sizes, Op::Regions];

/// Kinds of calls that are shown apart.
const KINDS: [(&str, &[Op]); 4] = [
    ("create", &[Op::Create]),
    ("get", &[Op::Get, Op::Deployments]),
    ("delete", &[Op::Delete]),
    ("propose", &[Op::Propose]),
];

/// The figures of one side.
pub struct Figures {
    /// Apps ever made.
    pub made: usize,
    /// Most apps at one moment.
    pub peak: usize,
    /// Apps that exist when everything is shut down.
    pub left: usize,
    /// Calls that are made for an app.
    pub calls: u64,
    /// Those of them that were answered 429 or 503 and had no effect.
    pub refused: u64,
    /// Calls that are made for all apps together.
    pub shared: u64,
    /// Calls of single kinds, for orientation.
    pub kinds: [(&'static str, u64); 4],
    /// Cost until the end, in USD, by the cloud's prices and simulated time.
    pub usd: f64,
    /// What those that are left go on costing, in USD per month of 28 days.
    pub usd_per_month: f64,
    pub users: Users,
    /// Moments in simulated seconds, and how many apps existed from then on.
    pub timeline: Vec<(f64, i32)>,
}

impl Figures {
    /// Adds up one account until now.
    pub fn of(account: Account, ledger: &Ledger, summary: &Summary, users: Users, clock: Clock, now: f64) -> Self {
        let name = account.name();
        let apps: Vec<_> = ledger.apps.iter().filter(|app| app.account == name).collect();
        let calls = summary.counts.iter().filter(|count| count.account.as_deref() == Some(name));
        let (shared, calls): (Vec<_>, Vec<_>) = calls.partition(|count| SHARED.contains(&count.op));
        let refused = calls.iter().filter(|count| matches!(count.status, Some(429 | 503)) && !count.effect);
        let mut figures = Self {
            made: apps.len(),
            peak: ledger.accounts.get(name).map_or(0, |totals| totals.peak as usize),
            left: apps.iter().filter(|app| app.gone.is_none()).count(),
            calls: calls.iter().map(|count| count.calls).sum(),
            refused: refused.map(|count| count.calls).sum(),
            shared: shared.iter().map(|count| count.calls).sum(),
            kinds: KINDS.map(|(name, ops)| (name, ops.iter().map(|op| summary.of(account.name(), *op)).sum())),
            usd: 0.0,
            usd_per_month: 0.0,
            users,
            timeline: Vec::new(),
        };
        let mut changes = Vec::new();
        for app in apps {
            let price = catalog::size(&app.size).map_or(0.0, catalog::Size::per_second);
            let (created, gone) = (clock.at(app.created), app.gone.map(|gone| clock.at(gone)));
            figures.usd += (gone.unwrap_or(now) - created).max(LEAST_BILLED_SECONDS) * price;
            figures.usd_per_month += if gone.is_none() { price * MONTH } else { 0.0 };
            changes.push((created, 1));
            changes.extend(gone.map(|gone| (gone, -1)));
        }
        figures.timeline = timeline(changes);
        figures
    }

    /// Calls per app that was made.
    pub fn per_app(&self, calls: u64) -> f64 {
        calls as f64 / self.made.max(1) as f64
    }
}

/// Adds changes up; at one moment ends come before begins.
pub fn timeline(mut changes: Vec<(f64, i32)>) -> Vec<(f64, i32)> {
    changes.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    let mut existing = 0;
    let sums = changes.into_iter().map(|(at, change)| {
        existing += change;
        (at, existing)
    });
    sums.collect()
}
