//! A pool whose warm level follows the claims that it sees.

use std::time::Duration;

use crate::api::{Counts, SandboxPool};
use crate::failure::Failure;

use super::level::books;
use super::report::Report;
use super::stage::{Stage, until};

/// The example that ships.
const MANIFEST: &str = "pool-hit-rate.yaml";
const POOL: &str = "python-hit-rate";
/// Everybody who wants one at once.
const RUSH: u32 = 8;
const REQUESTS: &str = "rush.yaml";
/// More than a rush needs on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);
const WHY: &str = "jsonpath={.status.sizing.message}{\"\\n\"}";

/// Lets many ask at once, shows the level that follows, and takes everything away again.
pub async fn follow(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("A second pool: its level follows demand");
    stage.write(MANIFEST, include_str!("../../../deploy/examples/pool-hit-rate.yaml"))?;
    stage.write(REQUESTS, &(1..=RUSH).map(request).collect::<Vec<_>>().join("---\n"))?;
    stage.kubectl(report, &["apply", "-f", MANIFEST]).await?;
    until(WITHIN, "the lowest level", async || Ok((pool(stage).await?.warm >= 1).then_some(()))).await?;
    report.tell(&format!("{RUSH} people ask at the same moment"));
    stage.kubectl(report, &["apply", "-f", REQUESTS]).await?;
    let status = until(WITHIN, "every claim served and counted, and the level warm", async || {
        let status = pool(stage).await?;
        let counted = status.demand.as_ref().map_or(0, |demand| sum(&demand.claims));
        let level = status.sizing.as_ref().map_or(0, |sizing| sizing.level);
        Ok((counted == RUSH && level > 1 && status.warm >= level).then_some(status))
    })
    .await?;
    let sizing = status.sizing.ok_or_else(|| Failure::new("the pool tells no sizing"))?;
    stage.kubectl(report, &["get", "sandboxpool", POOL, "-o", WHY]).await?;
    let hits = format!("{:.0} % of {RUSH} claims found a warm one", sizing.hit_rate.unwrap_or_default() * 100.0);
    report.note("the level follows demand", sizing.level > 1, format!("1 before, {} after: {hits}", sizing.level));
    stage.kubectl(report, &["delete", "-f", REQUESTS, "--timeout=90s"]).await?;
    stage.kubectl(report, &["delete", "-f", MANIFEST, "--timeout=90s"]).await?;
    let books = books(stage).await?;
    report.note("the second pool: none left", (books.left, books.twice) == (0, 0), format!("{} apps", books.left));
    Ok(())
}

fn request(number: u32) -> String {
    format!(
        "apiVersion: sandbar.dev/v1alpha1\nkind: Sandbox\nmetadata: {{name: rush-{number}}}\n\
         spec: {{poolRef: {{name: {POOL}}}, claim: {{id: rush-{number}, holder: rush, ttl: 30m}}}}\n"
    )
}

fn sum(counts: &Counts) -> u32 {
    counts.0.iter().sum()
}

async fn pool(stage: &Stage) -> Result<crate::api::SandboxPoolStatus, Failure> {
    let pool: SandboxPool = stage.pools.get(POOL).await?;
    Ok(pool.status.unwrap_or_default())
}
