//! `sandbar cost`: computed here from what objects say, as anybody can (S14).

use super::listing::ListArgs;
use super::output::{Format, print, show, table};
use crate::api::{Sandbox, SandboxCost, SandboxPool, Usd};
use crate::claims::fault::patiently;
use crate::failure::Failure;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::ListParams;
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Show what pools, sandboxes and holders cost: per hour now, and until now.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    list: ListArgs,
}

/// What one pool costs: the Sandboxes that it has now, and all that it ever had.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct PoolRow {
    namespace: String,
    name: String,
    sandboxes: usize,
    usd_per_hour: Usd,
    to_date_usd: Usd,
    hourly_budget_usd: Option<Usd>,
    monthly_budget_usd: Option<Usd>,
}

/// What one Sandbox costs.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct SandboxRow {
    namespace: String,
    name: String,
    pool: String,
    holder: Option<String>,
    usd_per_hour: Usd,
    since: Option<Time>,
    to_date_usd: Usd,
}

/// What the runs of one holder cost since each was claimed; of runs that still go on.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct HolderRow {
    holder: String,
    sandboxes: usize,
    usd_per_hour: Usd,
    to_date_usd: Usd,
}

#[derive(Debug, Serialize)]
struct Costs {
    pools: Vec<PoolRow>,
    sandboxes: Vec<SandboxRow>,
    holders: Vec<HolderRow>,
}

/// Lists.
pub async fn run(Args { list }: Args) -> Result<ExitCode, Failure> {
    let cluster = list.cluster.connect().await?;
    let (pools, sandboxes) = cluster.kinds(list.all_namespaces);
    let all = ListParams::default();
    // Members first: one that goes between the two reads is in its pool then, and counted once.
    let sandboxes = patiently(|| sandboxes.list(&all)).await?.items;
    let pools = patiently(|| pools.list(&all)).await?.items;
    let costs = costs(&pools, &sandboxes, Timestamp::now());
    match list.output.output {
        Format::Json => print(&costs, false)?,
        Format::Yaml => print(&costs, true)?,
        Format::Name => costs.pools.iter().for_each(|pool| println!("{}", pool.name)),
        Format::Table => tables(&costs, &list, &cluster.namespace)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn costs(pools: &[SandboxPool], sandboxes: &[Sandbox], now: Timestamp) -> Costs {
    let members: Vec<&Sandbox> = sandboxes.iter().filter(|sandbox| sandbox.is_member()).collect();
    Costs {
        pools: pools.iter().map(|pool| pool_row(pool, &members, now)).collect(),
        sandboxes: members.iter().map(|member| sandbox_row(member, now)).collect(),
        holders: holders(&members, now),
    }
}

fn cost(sandbox: &Sandbox) -> SandboxCost {
    sandbox.status.as_ref().and_then(|status| status.cost.clone()).unwrap_or_default()
}

/// The rate of an instance that is there; one that is only asked for costs nothing yet.
fn rate(cost: &SandboxCost) -> Usd {
    cost.since.as_ref().and(cost.usd_per_hour).unwrap_or_default()
}

fn pool_row(pool: &SandboxPool, members: &[&Sandbox], now: Timestamp) -> PoolRow {
    let status = pool.status.as_ref().and_then(|status| status.cost.clone()).unwrap_or_default();
    let (namespace, name) = (pool.namespace(), pool.name_any());
    let own: Vec<&Sandbox> = members
        .iter()
        .copied()
        .filter(|member| member.namespace() == namespace && member.spec.pool_ref.name == name)
        .collect();
    // The cost of one that has ended may be the pool's already.
    let open = own.iter().filter(|member| !status.settling.contains(&member.uid().unwrap_or_default()));
    let budget = pool.spec.budget.clone().unwrap_or_default();
    PoolRow {
        namespace: namespace.unwrap_or_default(),
        name,
        sandboxes: own.len(),
        usd_per_hour: own.iter().map(|member| rate(&cost(member))).sum(),
        to_date_usd: status.settled_usd + open.map(|member| cost(member).to_date(now)).sum(),
        hourly_budget_usd: budget.hourly_usd,
        monthly_budget_usd: budget.monthly_usd,
    }
}

fn sandbox_row(member: &Sandbox, now: Timestamp) -> SandboxRow {
    let cost = cost(member);
    SandboxRow {
        namespace: member.namespace().unwrap_or_default(),
        name: member.name_any(),
        pool: member.spec.pool_ref.name.clone(),
        holder: member.held_by().map(|claim| claim.holder.clone()),
        usd_per_hour: rate(&cost),
        to_date_usd: cost.to_date(now),
        since: cost.since,
    }
}

fn holders(members: &[&Sandbox], now: Timestamp) -> Vec<HolderRow> {
    let mut rows: BTreeMap<String, HolderRow> = BTreeMap::new();
    for member in members {
        let Some(claim) = member.held_by() else { continue };
        let (cost, claimed) = (cost(member), member.status.as_ref().and_then(|status| status.claimed_at.clone()));
        let row = rows.entry(claim.holder.clone()).or_default();
        row.holder = claim.holder.clone();
        row.sandboxes += 1;
        row.usd_per_hour += rate(&cost);
        if let Some(claimed) = claimed {
            row.to_date_usd += cost.held_to_date(Some(claimed.0), now);
        }
    }
    rows.into_values().collect()
}

fn tables(costs: &Costs, list: &ListArgs, namespace: &str) -> Result<(), Failure> {
    if costs.pools.is_empty() && costs.sandboxes.is_empty() {
        println!("no pools and no sandboxes in {}", list.place(namespace));
        return Ok(());
    }
    let dash = |usd: Option<Usd>| usd.map_or_else(|| "-".to_owned(), |usd| usd.to_string());
    let mut pools = table(&["POOL", "SANDBOXES", "USD/HOUR", "USD TO DATE", "BUDGET/HOUR", "BUDGET/MONTH"]);
    for pool in &costs.pools {
        pools.add_row([
            list.full(&pool.namespace, &pool.name),
            pool.sandboxes.to_string(),
            pool.usd_per_hour.rough(),
            pool.to_date_usd.rough(),
            dash(pool.hourly_budget_usd),
            dash(pool.monthly_budget_usd),
        ]);
    }
    show(&pools)?;
    if costs.sandboxes.is_empty() {
        return Ok(());
    }
    println!();
    let mut sandboxes = table(&["SANDBOX", "POOL", "USD/HOUR", "USD TO DATE", "HOLDER"]);
    for sandbox in &costs.sandboxes {
        sandboxes.add_row([
            list.full(&sandbox.namespace, &sandbox.name),
            sandbox.pool.clone(),
            sandbox.usd_per_hour.rough(),
            sandbox.to_date_usd.rough(),
            sandbox.holder.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    show(&sandboxes)?;
    if costs.holders.is_empty() {
        return Ok(());
    }
    println!();
    let mut holders = table(&["HOLDER", "SANDBOXES", "USD/HOUR", "USD SINCE CLAIMED"]);
    for holder in &costs.holders {
        holders.add_row([
            holder.holder.clone(),
            holder.sandboxes.to_string(),
            holder.usd_per_hour.rough(),
            holder.to_date_usd.rough(),
        ]);
    }
    show(&holders)
}

#[cfg(test)]
#[path = "cost_tests.rs"]
mod tests;
