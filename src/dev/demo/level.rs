//! The pool reaches its level and holds it; one sandbox is claimed and used.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::ListParams;

use super::books::Books;
use super::report::Report;
use super::seconds;
use super::stage::{ACCOUNT, MANIFEST, PROGRAM, Stage, failed, until};
use crate::api::SandboxPool;
use crate::failure::Failure;

/// The pool of the manifest.
pub const POOL: &str = "python";
/// More than any step takes, on a busy machine too.
const WITHIN: Duration = Duration::from_secs(90);
/// How long the level is watched.
const WATCHED: Duration = Duration::from_secs(5);
/// Primes below a million (OEIS A006880).
const PRIMES: &str = "78498 primes below 1000000";

/// Applies the manifest and waits for its level.
pub async fn reach(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("Two warm sandboxes, never more than five");
    stage.kubectl(report, &["apply", "-f", MANIFEST]).await?;
    let (started, target) = (Instant::now(), pool(stage).await?.spec.warm.target);
    wait(stage, target, 0).await?;
    let took = started.elapsed();
    stage.kubectl(report, &["get", "sandboxpools,sandboxes"]).await?;
    let books = books(stage).await?;
    let level = usize::try_from(target).unwrap_or_default();
    let shown = format!(
        "{} apps after {} ({:.0} s of the cloud), {} made for it",
        books.left,
        seconds(took),
        stage.cloud_seconds(took),
        books.made
    );
    report.note("the level is reached, with no app too many", (books.left, books.made) == (level, level), shown);
    Ok(())
}

/// Watches the level for a while.
pub async fn hold(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("It holds, in silence");
    let (versions, call) = settled(stage).await?;
    tokio::time::sleep(WATCHED).await;
    let (changes, after) = (stage.changes_since(call).await?.len(), self::versions(stage).await?);
    stage.kubectl(report, &["get", "sandboxpools"]).await?;
    let written = after.iter().filter(|version| !versions.contains(version)).count();
    let held = changes == 0 && written == 0 && after.len() == versions.len();
    let shown = format!("{} s: {changes} creates or deletes, {written} objects written", WATCHED.as_secs());
    report.note("level and no demand: nothing is changed", held, shown);
    Ok(())
}

/// Takes a sandbox. Gives the id of the run.
pub async fn claim(stage: &Stage, report: &mut Report) -> Result<String, Failure> {
    report.step("One is claimed, in one write, and replaced");
    let printed = stage.sandbar(report, &["claim", POOL, "--holder", "ada", "--verbose"]).await?;
    let run = printed.out.lines().find_map(|line| line.strip_prefix("run ")).map(str::trim).map(str::to_owned);
    let run = run.ok_or_else(|| Failure::new("sandbar claim printed no run"))?;
    let told = printed.err.trim().to_owned();
    report.note("a claim is one write", told.starts_with("1 write "), told);
    let (started, target) = (Instant::now(), pool(stage).await?.spec.warm.target);
    wait(stage, target, 1).await?;
    stage.kubectl(report, &["get", "sandboxpools,sandboxes"]).await?;
    let shown = format!("{target} warm and 1 claimed {} later", seconds(started.elapsed()));
    report.note("the claimed one is replaced", true, shown);
    stage.sandbar(report, &["cost"]).await?;
    Ok(run)
}

/// Runs a program in the claimed sandbox.
pub async fn program(stage: &Stage, report: &mut Report, run: &str) -> Result<(), Failure> {
    report.step("A Python program goes in and runs there");
    stage.sandbar(report, &["cp", PROGRAM, &format!("{run}:{PROGRAM}")]).await?;
    let started = Instant::now();
    let printed = stage.sandbar(report, &["exec", run, "--", "python3", PROGRAM, "1000000"]).await?;
    let took = seconds(started.elapsed());
    let last = printed.out.lines().last().unwrap_or_default().to_owned();
    report.note("a real program runs in it", last == PRIMES, format!("{last}, {took}"));
    Ok(())
}

/// Waits until so many are warm and so many claimed, at the API server and at the cloud.
pub async fn wait(stage: &Stage, warm: i32, claimed: i32) -> Result<(), Failure> {
    let what = format!("{warm} warm and {claimed} claimed");
    until(WITHIN, &what, async || {
        let pool = pool(stage).await?;
        let status = pool.status.unwrap_or_default();
        let there = status.warm == warm && status.claimed == claimed && status.total == warm + claimed;
        if !there {
            return Ok(None);
        }
        let apps = books(stage).await?.left;
        Ok((i32::try_from(apps).ok() == Some(warm + claimed)).then_some(()))
    })
    .await
}

/// The pool as it is now.
pub async fn pool(stage: &Stage) -> Result<SandboxPool, Failure> {
    Ok(stage.pools.get(POOL).await?)
}

/// What the ledger says now.
pub async fn books(stage: &Stage) -> Result<Books, Failure> {
    Ok(Books::of(&stage.sim.ledger_of(ACCOUNT).await.map_err(failed)?))
}

/// Waits until nothing was written for a second; gives the objects' versions and the cloud's newest call.
async fn settled(stage: &Stage) -> Result<(Vec<String>, u64), Failure> {
    until(WITHIN, "the last writes about the level", async || {
        let before = versions(stage).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let call = stage.newest_call().await?;
        Ok((versions(stage).await? == before).then_some((before, call)))
    })
    .await
}

/// UID and version of the pool and of every Sandbox.
async fn versions(stage: &Stage) -> Result<Vec<String>, Failure> {
    let pools = stage.pools.list(&ListParams::default()).await?;
    let sandboxes = stage.sandboxes.list(&ListParams::default()).await?;
    let version = |uid: Option<String>, version: Option<String>| format!("{uid:?} {version:?}");
    let pools = pools.iter().map(|pool| version(pool.uid(), pool.resource_version()));
    Ok(pools.chain(sandboxes.iter().map(|sandbox| version(sandbox.uid(), sandbox.resource_version()))).collect())
}
