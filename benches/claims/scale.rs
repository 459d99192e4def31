//! Levels of 200 and of 1,000: writes on the way, memory and silence there.

use std::time::{Duration, Instant};

use sandbar::cloudsim::admin::{Op, Summary};

use crate::common::Result;
use crate::common::meter::{OBJECTS, Writes, cpu, peak, resident};
use crate::common::table::Table;
use crate::world::Bench;

/// Pools in all, as many as [`crate::claiming`] needs. Each has an account of its own, whose token may make 200 calls
/// in a minute.
const POOLS: usize = 24;
/// How long the silence is listened to.
const SILENCE: Duration = Duration::from_secs(20);

/// The name of a pool.
pub fn name(number: usize) -> String {
    format!("pool-{number}")
}

/// Members of each pool: 100, or `SANDBAR_BENCH_SIZE` for a quick look, the bars then being those of another size.
pub fn size() -> usize {
    std::env::var("SANDBAR_BENCH_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(100)
}

/// Builds the levels up.
pub async fn levels(bench: &Bench, table: &mut Table) -> Result<()> {
    for number in 0..POOLS {
        bench.account(&name(number)).await?;
    }
    let (before, started) = (bench.quiet().await?, Instant::now());
    grow(bench, 0..2).await?;
    let took = started.elapsed().as_secs_f64();
    let after = bench.quiet().await?;
    writes(table, &before, &after, took);
    silence(bench, table, after).await?;
    table.at_most(&memory(2), 25.0, resident(bench.operator()?)?, " MiB");
    grow(bench, 2..10).await?;
    bench.quiet().await?;
    let (now, most) = (resident(bench.operator()?)?, peak(bench.operator()?)?);
    table.figure(&memory(10), format!("{now:.1} MiB, {most:.1} at most until then"));
    grow(bench, 10..POOLS).await?;
    bench.quiet().await?;
    Ok(())
}

fn memory(pools: usize) -> String {
    format!("operator memory at {} warm", pools * size())
}

async fn grow(bench: &Bench, pools: std::ops::Range<usize>) -> Result<()> {
    for number in pools.clone() {
        bench.pool(&name(number), size(), size()).await?;
    }
    bench.warm(pools.end * size()).await
}

/// What the first two pools took to reach their level.
fn writes(table: &mut Table, before: &Writes, after: &Writes, seconds: f64) {
    let members = 2 * size();
    let each = |kinds: &[&str]| after.since(before, kinds) as f64 / members as f64;
    let what = format!("API writes per member, creation to warm, Secret and Events counted ({members} members)");
    table.at_most(&what, 6.0, each(&OBJECTS), "");
    let parts = OBJECTS.map(|kind| format!("{:.2}", each(&[kind])));
    table.figure("of these: Sandbox, Secret, Events", parts.join(", "));
    let statuses = after.since(before, &["sandboxpools "]) as f64 / 2.0 / seconds;
    table.at_most("writes of a pool per second, status and finalizer", 1.0, statuses, "");
}

async fn silence(bench: &Bench, table: &mut Table, before: Writes) -> Result<()> {
    let (calls, time) = (bench.sim.summary().await?, cpu(bench.operator()?)?);
    tokio::time::sleep(SILENCE).await;
    let (after, now) = (Writes::read(&bench.client).await?, bench.sim.summary().await?);
    let changes = |summary: &Summary| -> u64 {
        (0..2).flat_map(|pool| [Op::Create, Op::Delete].map(|op| summary.of(&name(pool), op))).sum()
    };
    let share = (cpu(bench.operator()?)? - time).as_secs_f64() / SILENCE.as_secs_f64() * 100.0;
    let what = format!("level, {} warm, {} s: ", 2 * size(), SILENCE.as_secs());
    table.at_most(&format!("{what}API writes but the Lease"), 0.0, after.all_since(&before) as f64, "");
    table.at_most(&format!("{what}provider writes"), 0.0, (changes(&now) - changes(&calls)) as f64, "");
    table.at_most(&format!("{what}share of a core"), 1.0, share, " %");
    Ok(())
}
