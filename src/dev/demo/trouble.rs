//! What goes wrong, and that nothing comes of it; then the end of the pool.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::ListParams;

use super::level::{POOL, books, pool, wait};
use super::report::Report;
use super::seconds;
use super::stage::{ACCOUNT, Stage, failed, until};
use crate::api::{Phase, Sandbox};
use crate::cloudsim::admin::{Fault, Op, Rule, Shape};
use crate::failure::Failure;

/// Between the effect of a create and its answer, while the operator is killed.
const ANSWER_DELAY: Duration = Duration::from_millis(1500);
/// How long the cloud cannot be read.
const OUTAGE: Duration = Duration::from_secs(6);
/// How many creates lose their answer after it.
const LOST: u32 = 2;
/// The target that fills the pool to its cap while one is claimed.
const FULL: i32 = 4;

/// Kills the operator while creates are on their way, and starts it again.
pub async fn kill(stage: &mut Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("The operator is killed (SIGKILL) in the middle of creates");
    report.tell("the cloud now makes an app at once and answers 1.5 s later: the kill falls in between");
    stage.delay_create_answers(ANSWER_DELAY).await?;
    let before = books(stage).await?.made;
    stage.kubectl(report, &["scale", "sandboxpool", POOL, &format!("--replicas={FULL}")]).await?;
    let made = async || Ok(Some(books(stage).await?.made).filter(|made| *made > before));
    until(Duration::from_secs(30), "a create", made).await?;
    stage.kill_operator().await;
    let unknown = members(stage).await?.iter().filter(|member| is_unanswered(member)).count();
    stage.delay_create_answers(Duration::ZERO).await?;
    stage.kubectl(report, &["get", "sandboxes"]).await?;
    let shown = format!("{} made, {unknown} members without an answer", books(stage).await?.made - before);
    report.note("killed in the middle of creates", unknown > 0, shown);
    let started = Instant::now();
    stage.start_operator().await?;
    report.tell("a new operator runs; it waits until the dead one's lease is over, then looks before it acts");
    wait(stage, FULL, 1).await?;
    stage.kubectl(report, &["get", "sandboxpools,sandboxes"]).await?;
    let after = books(stage).await?;
    let exact = after.twice == 0 && after.made - before == 2 && after.left == 5;
    let shown = format!(
        "level after {}: {} apps, {} made for 2 slots, {} twice",
        seconds(started.elapsed()),
        after.left,
        after.made - before,
        after.twice
    );
    report.note("after the kill: exact", exact, shown);
    Ok(())
}

/// The attempt is written and the create's answer is not.
fn is_unanswered(member: &Sandbox) -> bool {
    member.instance().is_some_and(|instance| instance.id.is_none())
}

/// Two apps are lost while the cloud cannot be read; then creates lose their answers.
pub async fn outage(stage: &Stage, report: &mut Report) -> Result<(), Failure> {
    report.step("The cloud fails: two apps are lost, reads answer 503, then creates lose their answers");
    let unreadable = Rule::new(Fault::ErrorBefore(Shape::Html { status: 503 })).on([Op::List, Op::Get]);
    stage.sim.set_rules(ACCOUNT, [unreadable]).await.map_err(failed)?;
    let warm = members(stage).await?.into_iter().filter(|member| member.phase() == Phase::Warm);
    let lost: Vec<Sandbox> = warm.take(2).collect();
    for member in &lost {
        let id = member.instance().and_then(|instance| instance.id.as_deref()).unwrap_or_default();
        stage.sim.vanish(id).await.map_err(failed)?;
        report.tell(&format!("the app of {} is gone", member.name_any()));
    }
    let (call, made) = (stage.newest_call().await?, books(stage).await?.made);
    tokio::time::sleep(OUTAGE).await;
    let changes = stage.changes_since(call).await?.len();
    stage.kubectl(report, &["get", "sandboxpools"]).await?;
    let shown = format!("{changes} creates or deletes in {} s without a readable cloud", OUTAGE.as_secs());
    report.note("unreadable: no create, no delete", changes == 0 && lost.len() == 2, shown);
    let lost_answers = Rule::new(Fault::ErrorAfter(Shape::Html { status: 502 })).on([Op::Create]).times(LOST);
    stage.sim.set_rules(ACCOUNT, [lost_answers]).await.map_err(failed)?;
    report.tell(&format!("reads are back; the next {LOST} creates take effect and answer 502"));
    let started = Instant::now();
    let replaced = async || {
        let there = members(stage).await?;
        Ok((!there.iter().any(|member| lost.iter().any(|gone| gone.uid() == member.uid()))).then_some(()))
    };
    until(Duration::from_secs(90), "the lost ones go", replaced).await?;
    wait(stage, FULL, 1).await?;
    stage.kubectl(report, &["get", "sandboxpools,sandboxes"]).await?;
    let met =
        stage.changes_since(call).await?.iter().filter(|call| call.op == Op::Create && !call.faults.is_empty()).count();
    stage.sim.clear_faults(ACCOUNT).await.map_err(failed)?;
    let after = books(stage).await?;
    let shown = format!(
        "level again in {}: {} made for 2 lost, {met} answers lost, {} twice",
        seconds(started.elapsed()),
        after.made - made,
        after.twice
    );
    let exact = met == LOST as usize && after.made - made == 2 && after.twice == 0 && after.left == 5;
    report.note("after the outage: exact", exact, shown);
    Ok(())
}

/// Gives the run back, deletes the pool, and reads the ledger.
pub async fn leave(stage: &Stage, report: &mut Report, run: &str) -> Result<(), Failure> {
    report.step("The run is released, the pool deleted, and nothing is left that costs money");
    let cap = usize::try_from(pool(stage).await?.spec.limits.max_sandboxes).unwrap_or_default();
    let started = Instant::now();
    stage.sandbar(report, &["release", run]).await?;
    stage.kubectl(report, &["delete", "sandboxpool", POOL, "--timeout=90s"]).await?;
    let took = started.elapsed();
    stage.kubectl(report, &["get", "sandboxpools,sandboxes"]).await?;
    let (books, objects) = (books(stage).await?, members(stage).await?.len());
    let made = books.made;
    report.tell(&format!("the cloud's ledger knows {made} apps"));
    report.note("never more than the cap", books.most <= cap, format!("{} at most, cap {cap}", books.most));
    report.note("none twice", books.twice == 0, format!("{made} apps, {} twice for one Sandbox", books.twice));
    let shown = format!("{} apps, {objects} Sandboxes, {} after the release", books.left, seconds(took));
    report.note("none left", books.left == 0 && objects == 0, shown);
    Ok(())
}

async fn members(stage: &Stage) -> Result<Vec<Sandbox>, Failure> {
    Ok(stage.sandboxes.list(&ListParams::default()).await?.items)
}
