//! One restart: until the caches are read, every account is listed once and every plan is empty.

use std::time::{Duration, Instant};

use sandbar::cloudsim::admin::{Op, Summary};

use crate::common::Result;
use crate::common::meter::{Writes, cpu, peak, resident};
use crate::world::World;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// No pass for so long: every plan was empty.
const STILL: Duration = Duration::from_secs(2);
/// For so long the idle operator is watched.
const IDLE: Duration = Duration::from_secs(30);
/// Apps per page of the listing.
const PAGE: usize = 100;

/// What a restart took.
pub struct Restart {
    /// Until `/readyz` says that the caches are read, in s.
    pub synced: f64,
    /// Until the last account was listed completely, in s.
    pub listed: f64,
    /// Until the last pass ended, in s.
    pub level: f64,
    /// Passes until then.
    pub passes: u64,
    /// Processor time until then, in s.
    pub cpu: f64,
    /// Resident memory then, in MiB.
    pub memory: f64,
    /// The most until then, in MiB.
    pub peak: f64,
    /// Calls of the cloud until then.
    pub calls: u64,
    /// API writes from the start to the end of the idle time, the Lease apart.
    pub writes: u64,
    /// Creates and deletes at the cloud in the same time.
    pub changes: u64,
    /// Share of a core while idle, in %.
    pub idle: f64,
}

/// Starts the operator over `members` members in each account, and leaves it running.
pub async fn restart(world: &mut World, members: usize) -> Result<Restart> {
    let (before, calls) = (world.quiet().await?, world.sim.summary().await?);
    let began = Instant::now();
    world.start_operator().await?;
    let (pid, url) = (world.operator()?, world.base_url()?);
    let http = reqwest::Client::new();
    let all = members * world.accounts.len();
    // A complete listing reads every page but the last twice.
    let pages = 2 * members.div_ceil(PAGE).max(1) - 1;
    let (mut synced, mut listed, mut passes, mut moved) = (None, None, 0, began);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = Instant::now();
        if synced.is_none() && ready(&http, &url).await {
            synced = Some(now);
        }
        let summary = world.sim.summary().await?;
        let lists = |name: &str| summary.of(name, Op::List) - calls.of(name, Op::List);
        if listed.is_none() && world.accounts.iter().all(|account| lists(&account.name) >= pages as u64) {
            listed = Some(now);
        }
        let seen = if synced.is_some() { completed(&http, &url).await? } else { 0 };
        if seen != passes {
            (passes, moved) = (seen, now);
        }
        let done = synced.is_some() && listed.is_some() && passes >= all as u64;
        if done && moved.elapsed() >= STILL {
            break;
        }
        if began.elapsed() > Duration::from_secs(300) {
            return Err(format!("not level after 300 s: {passes} passes over {all} members").into());
        }
    }
    let since = |at: Instant| at.duration_since(began).as_secs_f64();
    let (synced, listed) = (synced.map_or(f64::NAN, since), listed.map_or(f64::NAN, since));
    let level = since(moved).max(listed);
    let (used, memory, most) = (cpu(pid)?, resident(pid)?, peak(pid)?);
    let after = world.sim.summary().await?;
    tokio::time::sleep(IDLE).await;
    let idle = (cpu(pid)? - used).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let (writes, end) = (Writes::read(&world.client).await?.all_since(&before), world.sim.summary().await?);
    Ok(Restart {
        synced,
        listed,
        level,
        passes,
        cpu: used.as_secs_f64(),
        memory,
        peak: most,
        calls: after.total - calls.total,
        writes,
        changes: changes(world, &end) - changes(world, &calls),
        idle,
    })
}

fn changes(world: &World, summary: &Summary) -> u64 {
    let of = |name: &str| summary.of(name, Op::Create) + summary.of(name, Op::Delete);
    world.accounts.iter().map(|account| of(&account.name)).sum()
}

async fn ready(http: &reqwest::Client, url: &str) -> bool {
    let answer = http.get(format!("{url}/readyz")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Passes of the Sandbox and pool controllers that ended well.
async fn completed(http: &reqwest::Client, url: &str) -> Result<u64> {
    let text = http.get(format!("{url}/metrics")).send().await?.text().await?;
    let passes = text.lines().filter(|line| line.starts_with("sandbar_reconciles_total{"));
    let count = |line: &str| line.rsplit_once(' ').and_then(|(_, count)| count.parse::<u64>().ok()).unwrap_or_default();
    Ok(passes.filter(|line| !line.contains("orphans")).map(count).sum())
}
