//! Whole lives: claimed, replaced, deleted. What they cost the operator and the provider.

use kube::api::{DeleteParams, Patch, PatchParams};
use sandbar::api::{END_CLAIMS_ANNOTATION, SandboxPool};
use sandbar::claims::{ClaimError, ClaimWish};
use sandbar::cloudsim::admin::Op;
use serde_json::json;

use crate::common::Result;
use crate::common::meter::cpu;
use crate::common::table::Table;
use crate::world::Bench;

/// Pools, each with an account: a token may make 200 calls in a minute.
const POOLS: [&str; 2] = ["refill-0", "refill-1"];
/// Warm members of each.
const TARGET: usize = 25;
/// Claims on each.
const CLAIMS: usize = 50;

/// Claims with refill, then the end of everything.
pub async fn refill(bench: &Bench, table: &mut Table) -> Result<()> {
    for pool in POOLS {
        bench.account(pool).await?;
        bench.pool(pool, TARGET, TARGET + CLAIMS).await?;
    }
    let level = POOLS.len() * TARGET;
    bench.warm(level).await?;
    bench.quiet().await?;
    let before = cpu(bench.operator()?)?;
    let all = POOLS.map(|pool| claim_all(bench, pool));
    futures::future::try_join_all(all).await?;
    bench.warm(level).await?;
    bench.quiet().await?;
    let claims = (POOLS.len() * CLAIMS) as f64;
    let took = (cpu(bench.operator()?)? - before).as_secs_f64() * 1000.0;
    table.at_most(&format!("operator CPU per claim with refill ({claims} claims)"), 2.0, took / claims, " ms");
    end(bench, table).await
}

async fn claim_all(bench: &Bench, pool: &str) -> Result<()> {
    let claims = bench.claims();
    for _ in 0..CLAIMS {
        let wish = ClaimWish { holder: "bench".to_owned(), ttl: None, id: None };
        bench
            .until("a warm sandbox", async || match claims.claim_warm(pool, &wish).await {
                Ok(_) => Ok(Some(())),
                Err(ClaimError::NoneWarm { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            })
            .await?;
    }
    Ok(())
}

async fn end(bench: &Bench, table: &mut Table) -> Result<()> {
    let pools = bench.api::<SandboxPool>();
    let end = json!({"metadata": {"annotations": {END_CLAIMS_ANNOTATION: "true"}}});
    for pool in POOLS {
        pools.patch(pool, &PatchParams::default(), &Patch::Merge(&end)).await?;
        pools.delete(pool, &DeleteParams::default()).await?;
    }
    let gone = async || Ok(pools.list(&Default::default()).await?.items.is_empty().then_some(()));
    bench.until("the end of the pools", gone).await?;
    let (summary, ledger) = (bench.sim.summary().await?, bench.sim.ledger().await?);
    let lives = ledger.apps.iter().filter(|app| POOLS.contains(&app.account.as_str())).count();
    let ops = [Op::Create, Op::Get, Op::Delete, Op::Propose, Op::Deployments];
    let calls: u64 = POOLS.iter().flat_map(|pool| ops.map(|op| summary.of(pool, op))).sum();
    let what = format!("provider calls per life, the shared listing apart ({lives} lives)");
    table.at_most(&what, 3.0, calls as f64 / lives as f64, "");
    let listings: u64 = POOLS.iter().map(|pool| summary.of(pool, Op::List)).sum();
    table.figure("calls of the shared listing per life", format!("{:.2}", listings as f64 / lives as f64));
    Ok(())
}
