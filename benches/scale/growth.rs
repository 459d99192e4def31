//! From 100 to 10,000 members: what a restart takes at each size.

use kube::api::ListParams;
use sandbar::api::{Sandbox, SandboxPool};

use crate::common::Result;
use crate::common::meter::{OBJECTS, Writes};
use crate::common::table::Table;
use crate::restart::{Restart, restart};
use crate::seed::{MOST, account, make_pool, members, pattern, pool_name, set_level};
use crate::world::{ACCOUNTS, World};

/// Pools of the first kind, which have members at every size.
const FIRST: usize = 10;
/// Pools of the second kind.
const OTHERS: usize = 40;
/// Members of each pool of the first kind, and of the second where there is one. The second and
/// the third step differ in pools alone.
const STEPS: [(usize, Option<usize>); 6] =
    [(10, None), (100, None), (100, Some(0)), (100, Some(50)), (100, Some(125)), (200, Some(200))];

/// What was measured at one size.
pub struct Grown {
    /// Pools.
    pub pools: usize,
    /// Members in all.
    pub members: usize,
    /// What the restart took.
    pub restart: Restart,
}

/// Members at most: 10,000, or `SANDBAR_SCALE_SIZE` for a quick look.
fn size() -> usize {
    std::env::var("SANDBAR_SCALE_SIZE").ok().and_then(|size| size.parse().ok()).unwrap_or(10_000)
}

/// Grows and restarts; leaves the operator running over the largest size.
pub async fn grow(world: &mut World, table: &mut Table) -> Result<Vec<Grown>> {
    let like = pattern(world).await?;
    let (mut grown, mut laid) = (Vec::new(), Vec::new());
    let mut touched = 0;
    for (first, others) in STEPS {
        let levels: Vec<usize> =
            [first; FIRST].into_iter().chain(others.map_or(Vec::new(), |each| vec![each; OTHERS])).collect();
        let members = levels.iter().sum();
        if members > size() {
            break;
        }
        world.stop_operator().await;
        world.limit(false).await?;
        lay_down(world, &like, &levels, &mut laid).await?;
        world.limit(true).await?;
        touched += settle(world, members).await?;
        world.stop_operator().await;
        let restart = restart(world, members / ACCOUNTS).await?;
        eprintln!("{members} members in {} pools: level after {:.1} s", levels.len(), restart.level);
        grown.push(Grown { pools: levels.len(), members, restart });
    }
    let last = grown.last().ok_or("SANDBAR_SCALE_SIZE: must be at least 100")?;
    table.at_most("writes on what was laid down, by the first operator that sees it", 0.0, touched as f64, "");
    report(table, last);
    Ok(grown)
}

/// Brings every pool to its level; `laid` says what each has.
async fn lay_down(world: &World, like: &Sandbox, levels: &[usize], laid: &mut Vec<usize>) -> Result<()> {
    for (pool, level) in levels.iter().enumerate() {
        let (name, account) = (pool_name(pool), account(world, pool));
        let object = if pool < laid.len() {
            set_level(world, &name, *level).await?
        } else {
            laid.push(0);
            make_pool(world, &name, &account.name, *level, MOST).await?
        };
        members(world, &object, account, like, laid[pool]..*level).await?;
        laid[pool] = *level;
    }
    Ok(())
}

/// Lets an operator see what was laid down, until it has nothing to write; gives its writes on members.
async fn settle(world: &mut World, members: usize) -> Result<u64> {
    let before = Writes::read(&world.client).await?;
    world.start_operator().await?;
    let pools = world.api::<SandboxPool>();
    world
        .until(&format!("{members} warm"), async || {
            let pools = pools.list(&ListParams::default()).await?;
            let warm: i32 = pools.iter().filter_map(|pool| pool.status.as_ref()).map(|status| status.warm).sum();
            Ok((usize::try_from(warm)? == members).then_some(()))
        })
        .await?;
    let after = world.quiet().await?;
    Ok(after.since(&before, &OBJECTS))
}

/// The figures at the largest size.
fn report(table: &mut Table, grown: &Grown) {
    let Grown { pools, members, restart } = grown;
    let what = format!("restart over {members} members, {pools} pools, {ACCOUNTS} accounts: ");
    table.figure(&format!("{what}caches read after"), format!("{:.1} s", restart.synced));
    table.figure(&format!("{what}every account listed after"), format!("{:.1} s", restart.listed));
    table.at_most(&format!("{what}every plan empty after"), 10.0, restart.level, " s");
    table.at_most(&format!("{what}memory, at most"), 200.0, restart.peak, " MiB");
    table.figure(&format!("{what}memory then, processor time, passes"), {
        format!("{:.1} MiB, {:.1} s, {}", restart.memory, restart.cpu, restart.passes)
    });
    table.at_most(&format!("{what}API writes but the Lease, 30 s of silence included"), 0.0, restart.writes as f64, "");
    table.at_most(&format!("{what}provider writes in the same time"), 0.0, restart.changes as f64, "");
    table.figure(&format!("{what}share of a core in silence, each agent asked every 30 s"), {
        format!("{:.1} %", restart.idle)
    });
}

/// Prints every size.
pub fn print(grown: &[Grown]) {
    println!("\n| members | pools | level after | memory, at most | processor time | provider calls | silence |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for Grown { pools, members, restart } in grown {
        let Restart { level, memory, peak, cpu, calls, idle, .. } = restart;
        println!(
            "| {members} | {pools} | {level:.1} s | {memory:.0} MiB, {peak:.0} | {cpu:.2} s | {calls} | {idle:.1} % of a core |"
        );
    }
}
