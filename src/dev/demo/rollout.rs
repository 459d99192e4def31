//! A changed template reaches the warm sandboxes one by one; the claimed one is not touched.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::ListParams;

use super::level::{POOL, books, pool};
use super::report::Report;
use super::seconds;
use super::stage::{Stage, until};
use crate::failure::Failure;

/// More than two sandboxes need, on a busy machine too.
const WITHIN: Duration = Duration::from_secs(90);
/// A new image, and how it gets to the warm ones.
const CHANGE: &str = r#"{"spec":{"image":{"tag":"2"},"rollout":{"strategy":"Rolling"}}}"#;

/// Changes the image and waits until every warm sandbox has it.
pub async fn roll_out(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("A new image reaches the warm ones, one by one, and no claimed one");
    let (held, made) = (claimed(stage).await?, books(stage).await?.made);
    stage.kubectl(report, &["patch", "sandboxpool", POOL, "--type=merge", "-p", CHANGE]).await?;
    let started = Instant::now();
    let mut fewest = i32::MAX;
    let updated = until(WITHIN, "every warm sandbox has the new image", async || {
        let pool = pool(stage).await?;
        let status = pool.status.unwrap_or_default();
        fewest = fewest.min(status.warm);
        let current = status.observed_generation == pool.metadata.generation;
        let target = pool.spec.warm.target;
        Ok((current && (status.warm, status.updated) == (target, target) && status.creating == 0).then_some(target))
    })
    .await?;
    stage.kubectl(report, &["get", "sandboxpools,sandboxes"]).await?;
    let (kept, after) = (claimed(stage).await?, books(stage).await?);
    let replaced = i32::try_from(after.made - made).unwrap_or(i32::MAX);
    let held = !held.is_empty() && kept == held && replaced == updated && fewest == updated;
    let shown = format!(
        "{updated} updated in {}, never fewer than {fewest} warm, {replaced} made, the claimed one stays",
        seconds(started.elapsed())
    );
    report.note("a new image: rolled out", held, shown);
    Ok(())
}

/// UIDs of the claimed ones.
async fn claimed(stage: &Stage) -> Result<Vec<String>, Failure> {
    let all = stage.sandboxes.list(&ListParams::default()).await?;
    Ok(all.iter().filter(|sandbox| sandbox.held_by().is_some()).filter_map(|sandbox| sandbox.uid()).collect())
}
