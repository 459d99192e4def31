//! `sandbar ls`.

use super::listing::ListArgs;
use super::output::{Format, from_now, print, show, table};
use crate::api::conditions::Type;
use crate::api::{Sandbox, SandboxPool};
use crate::claims::fault::patiently;
use crate::failure::Failure;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::ListParams;
use serde::Serialize;
use std::process::ExitCode;

/// Show the pools' levels and the runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    list: ListArgs,
}

/// One pool's level.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolRow {
    namespace: String,
    name: String,
    target: i32,
    warm: i32,
    creating: i32,
    claimed: i32,
    failed: i32,
    queued: i32,
    max: i32,
    available: String,
    why: String,
}

/// One run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RunRow {
    namespace: String,
    id: String,
    pool: String,
    holder: String,
    /// The member; absent while the run waits.
    sandbox: Option<String>,
    phase: String,
    reason: Option<String>,
    expires_at: Option<Time>,
    url: Option<String>,
}

#[derive(Debug, Serialize)]
struct Listing {
    pools: Vec<PoolRow>,
    runs: Vec<RunRow>,
}

/// Lists.
pub async fn run(Args { list }: Args) -> Result<ExitCode, Failure> {
    let cluster = list.cluster.connect().await?;
    let (pools, sandboxes) = cluster.kinds(list.all_namespaces);
    let all = ListParams::default();
    let (pools, sandboxes) = tokio::try_join!(patiently(|| pools.list(&all)), patiently(|| sandboxes.list(&all)))?;
    let listing = Listing { pools: pools.iter().map(pool_row).collect(), runs: run_rows(&sandboxes.items) };
    match list.output.output {
        Format::Json => print(&listing, false)?,
        Format::Yaml => print(&listing, true)?,
        Format::Name => listing.runs.iter().for_each(|run| println!("{}", run.id)),
        Format::Table => tables(&listing, &list, &cluster.namespace)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn pool_row(pool: &SandboxPool) -> PoolRow {
    let status = pool.status.clone().unwrap_or_default();
    let available = status.conditions.iter().find(|condition| condition.type_ == Type::Available.as_str());
    PoolRow {
        namespace: pool.namespace().unwrap_or_default(),
        name: pool.name_any(),
        target: pool.spec.warm.target,
        warm: status.warm,
        creating: status.creating,
        claimed: status.claimed,
        failed: status.failed,
        queued: status.queued,
        max: pool.spec.limits.max_sandboxes,
        available: available.map_or("Unknown".to_owned(), |condition| condition.status.clone()),
        why: available.map(|condition| condition.reason.clone()).unwrap_or_default(),
    }
}

/// One row per run: the member where there is one, with the request's reason for the waiting ones.
fn run_rows(sandboxes: &[Sandbox]) -> Vec<RunRow> {
    let held = |id: &str, of: &Sandbox| {
        let same = |each: &&Sandbox| each.namespace() == of.namespace() && each.held_by().is_some_and(|c| c.id == id);
        sandboxes.iter().any(|each| same(&each))
    };
    let mut rows: Vec<RunRow> = sandboxes
        .iter()
        .filter_map(|sandbox| {
            let claim = sandbox.spec.claim.as_ref()?;
            if !sandbox.is_member() && held(&claim.id, sandbox) {
                return None;
            }
            let status = sandbox.status.clone().unwrap_or_default();
            let phase = if sandbox.is_deleting() { "Terminating".to_owned() } else { format!("{:?}", sandbox.phase()) };
            Some(RunRow {
                namespace: sandbox.namespace().unwrap_or_default(),
                id: claim.id.clone(),
                pool: sandbox.spec.pool_ref.name.clone(),
                holder: claim.holder.clone(),
                sandbox: sandbox.is_member().then(|| sandbox.name_any()),
                phase,
                reason: status.reason,
                expires_at: status.expires_at,
                url: status.url,
            })
        })
        .collect();
    rows.sort_by(|a, b| (&a.namespace, &a.pool, &a.id).cmp(&(&b.namespace, &b.pool, &b.id)));
    rows
}

fn tables(listing: &Listing, list: &ListArgs, namespace: &str) -> Result<(), Failure> {
    if listing.pools.is_empty() && listing.runs.is_empty() {
        println!("no pools and no runs in {}", list.place(namespace));
        return Ok(());
    }
    let mut pools = table(&["POOL", "WARM", "TARGET", "CREATING", "CLAIMED", "QUEUED", "MAX", "AVAILABLE", "WHY"]);
    for pool in &listing.pools {
        let name = list.full(&pool.namespace, &pool.name);
        let numbers = [pool.warm, pool.target, pool.creating, pool.claimed, pool.queued, pool.max];
        let mut cells = vec![name];
        cells.extend(numbers.map(|number| number.to_string()));
        cells.extend([pool.available.clone(), pool.why.clone()]);
        pools.add_row(cells);
    }
    show(&pools)?;
    if listing.runs.is_empty() {
        println!("\nno runs");
        return Ok(());
    }
    println!();
    let now = Timestamp::now();
    let mut runs = table(&["RUN", "POOL", "SANDBOX", "PHASE", "HOLDER", "EXPIRES", "REASON", "URL"]);
    for run in &listing.runs {
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        runs.add_row([
            run.id.clone(),
            list.full(&run.namespace, &run.pool),
            dash(&run.sandbox),
            run.phase.clone(),
            run.holder.clone(),
            from_now(run.expires_at.as_ref(), now),
            dash(&run.reason),
            dash(&run.url),
        ]);
    }
    show(&runs)
}
