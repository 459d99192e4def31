//! Levels of 200 and of 1,000: writes on the way, memory and silence there.

use std::time::{Duration, Instant};

use sandbar::cloudsim::admin::Op;

use crate::meter::{OBJECTS, Writes, cpu, resident};
use crate::table::Table;
use crate::world::{Bench, Result};

/// Members of each pool; each has an account of its own, whose token may make 200 calls in a minute.
pub const SIZE: usize = 100;
/// Pools in all: those of [`crate::claiming`].
pub const POOLS: usize = 23;
/// How long the silence is listened to.
const SILENCE: Duration = Duration::from_secs(20);

/// The name of a pool.
pub fn name(number: usize) -> String {
    format!("pool-{number}")
}

/// Builds the levels up.
pub async fn levels(bench: &Bench, table: &mut Table) -> Result<()> {
    grow(bench, 0..2).await?;
    let before = bench.quiet().await?;
    silence(bench, table, before.clone()).await?;
    table.at_most("operator memory at 200 warm", 25.0, resident(bench.operator())?, " MiB");
    let started = Instant::now();
    grow(bench, 2..10).await?;
    let took = started.elapsed().as_secs_f64();
    let after = bench.quiet().await?;
    let members = 8.0 * SIZE as f64;
    let writes = after.since(&before, &OBJECTS) as f64 / members;
    table.at_most("API writes per member, creation to warm, Secret and Events counted", 6.0, writes, "");
    let of = |resource| after.since(&before, &[resource]) as f64 / members;
    table.figure(
        "of these: Sandbox, Secret, Event",
        format!("{:.2}, {:.2}, {:.2}", of("sandboxes"), of("secrets"), of("events")),
    );
    let statuses = after.since(&before, &["sandboxpools"]) as f64 / 8.0 / took;
    table.at_most("pool status, writes per second and pool", 1.0, statuses, "");
    table.figure("operator memory at 1,000 warm", format!("{:.1} MiB", resident(bench.operator())?));
    grow(bench, 10..POOLS).await?;
    bench.quiet().await?;
    Ok(())
}

async fn grow(bench: &Bench, pools: std::ops::Range<usize>) -> Result<()> {
    for number in pools.clone() {
        bench.pool(&name(number), SIZE as u32, SIZE as u32).await?;
    }
    bench.warm(pools.end * SIZE).await
}

async fn silence(bench: &Bench, table: &mut Table, before: Writes) -> Result<()> {
    let (calls, time) = (bench.sim.summary().await?, cpu(bench.operator())?);
    tokio::time::sleep(SILENCE).await;
    let (after, now) = (Writes::read(&bench.client).await?, bench.sim.summary().await?);
    let changed = |summary: &sandbar::cloudsim::admin::Summary| -> u64 {
        (0..2).flat_map(|pool| [Op::Create, Op::Delete].map(|op| summary.of(&name(pool), op))).sum()
    };
    let share = (cpu(bench.operator())? - time).as_secs_f64() / SILENCE.as_secs_f64() * 100.0;
    let what = format!("level, 200 warm, {} s: ", SILENCE.as_secs());
    table.at_most(&format!("{what}API writes but the Lease"), 0.0, after.all_since(&before) as f64, "");
    table.at_most(&format!("{what}provider writes"), 0.0, (changed(&now) - changed(&calls)) as f64, "");
    table.at_most(&format!("{what}share of a core"), 1.0, share, " %");
    Ok(())
}
