//! What can be launched, how the pools are, and what happened last.

use super::caller::{Caller, Right};
use super::events::Entry;
use super::pools::Pool;
use super::refused::Refused;
use super::status::{Limit, within};
use super::{Desk, Query, Shared};
use crate::api::conditions::{Type, is_true};
use crate::api::{PoolCost, Usd};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Entries that are told when nobody says how many.
const ENTRIES: usize = 100;
/// The most that are told.
const MOST_ENTRIES: usize = 1000;

/// Something that can be launched.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LaunchableApp")]
struct AppShown {
    name: String,
    title: String,
    /// The pools that launch it, by name.
    pools: Vec<String>,
    /// Warm sandboxes in them.
    warm: i32,
}

/// `GET /v1/apps`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AppList")]
pub struct Apps {
    apps: Vec<AppShown>,
}

/// How a pool is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Pool")]
struct PoolShown {
    name: String,
    apps: Vec<String>,
    /// The level to hold.
    target: i32,
    /// The level that is held now.
    desired: i32,
    ready: i32,
    creating: i32,
    claimed: i32,
    failed: i32,
    total: i32,
    queued: i32,
    max: i32,
    claims_warm: i64,
    claims_cold: i64,
    /// Share of the claims that got a warm sandbox; absent before the first.
    hit_rate: Option<f64>,
    /// From a sandbox's creation until it can be used; absent before one was claimed.
    lead_time_seconds: Option<f64>,
    available: bool,
    /// What it costs; absent until something did.
    cost: Option<CostShown>,
    /// For users only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<Condition>,
}

/// What a pool costs, in US dollars.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PoolCost")]
struct CostShown {
    /// All its sandboxes together, now.
    usd_per_hour: Usd,
    /// The part of it that is paid for sandboxes which nobody holds.
    unused_usd_per_hour: Usd,
    /// Until now; for users only.
    #[serde(skip_serializing_if = "Option::is_none")]
    spent_usd: Option<Usd>,
}

impl CostShown {
    fn of(cost: &PoolCost, held: Usd, private: bool) -> Self {
        Self {
            usd_per_hour: cost.usd_per_hour,
            unused_usd_per_hour: cost.usd_per_hour - held,
            spent_usd: private.then(|| cost.to_date(Timestamp::now())),
        }
    }
}

/// `GET /v1/pools`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PoolList")]
pub struct List {
    pools: Vec<PoolShown>,
}

/// `GET /api/orchestrator/logs`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewestEvents")]
pub struct Logs<'run> {
    logs: Vec<Entry<'run>>,
}

/// `GET /api/pool/status`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PoolsByName")]
pub struct ByName {
    pools: BTreeMap<String, PoolShown>,
}

fn show(desk: &Desk, pool: &Pool, caller: &Caller) -> PoolShown {
    let status = pool.status.clone().unwrap_or_default();
    let claims = status.claims_warm + status.claims_cold;
    let private = !caller.is_anonymous();
    let name = pool.metadata.name.clone().unwrap_or_default();
    let counted = status.demand.as_ref().and_then(|demand| demand.lead_time_seconds);
    let held = desk.members.usd_per_hour(&name);
    PoolShown {
        lead_time_seconds: counted.or_else(|| desk.members.lead_time_seconds(&name)),
        apps: pool.spec.apps.iter().map(|app| app.name.clone()).collect(),
        target: pool.spec.warm.target,
        desired: status.desired_warm,
        ready: status.warm,
        creating: status.creating,
        claimed: status.claimed,
        failed: status.failed,
        total: status.total,
        queued: status.queued,
        max: pool.spec.limits.max_sandboxes,
        claims_warm: status.claims_warm,
        claims_cold: status.claims_cold,
        hit_rate: (claims > 0).then(|| status.claims_warm as f64 / claims as f64),
        available: is_true(&status.conditions, Type::Available),
        cost: status.cost.map(|cost| CostShown::of(&cost, held, private)),
        conditions: if private { status.conditions } else { Vec::new() },
        name,
    }
}

/// `GET /v1/pools`.
pub async fn pools(State(desk): State<Shared>, caller: Caller) -> Result<Json<List>, Refused> {
    desk.access.allow(&caller, Right::ListPools, None).await?;
    Ok(Json(List { pools: desk.pools.all().iter().map(|pool| show(&desk, pool, &caller)).collect() }))
}

/// `GET /api/pool/status`.
pub async fn pool_status(State(desk): State<Shared>, caller: Caller) -> Result<Json<ByName>, Refused> {
    desk.access.allow(&caller, Right::ListPools, None).await?;
    let shown = desk.pools.all();
    let pools = shown.iter().map(|pool| show(&desk, pool, &caller)).map(|pool| (pool.name.clone(), pool)).collect();
    Ok(Json(ByName { pools }))
}

/// `GET /v1/apps`.
pub async fn apps(State(desk): State<Shared>, caller: Caller) -> Result<Json<Apps>, Refused> {
    desk.access.allow(&caller, Right::ListPools, None).await?;
    let mut apps: BTreeMap<String, AppShown> = BTreeMap::new();
    for pool in desk.pools.all() {
        let warm = pool.status.as_ref().map_or(0, |status| status.warm);
        for app in &pool.spec.apps {
            let shown = apps.entry(app.name.clone()).or_insert_with(|| AppShown {
                name: app.name.clone(),
                title: app.title().to_owned(),
                pools: Vec::new(),
                warm: 0,
            });
            shown.pools.extend(pool.metadata.name.clone());
            shown.warm += warm;
        }
    }
    Ok(Json(Apps { apps: apps.into_values().collect() }))
}

/// `GET /api/orchestrator/logs?limit=`: the newest entries of all runs' timelines, the newest last.
pub async fn logs(
    State(desk): State<Shared>,
    caller: Caller,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Response, Refused> {
    desk.access.allow(&caller, Right::ListRuns, None).await?;
    let limit = within(limit, ENTRIES, MOST_ENTRIES)?;
    let mut runs = desk.runs.all();
    runs.retain(|run| caller.shares(run));
    let mut entries: Vec<_> = runs
        .iter()
        .flat_map(|run| run.timeline.iter().map(move |entry| (entry.time.0, &run.id, entry.number, run, entry)))
        .collect();
    entries.sort_unstable_by_key(|(time, id, number, ..)| (*time, *id, *number));
    let newest = entries.split_off(entries.len().saturating_sub(limit));
    let logs = newest.into_iter().map(|(.., run, entry)| Entry::of(run, entry)).collect();
    Ok(Json(Logs { logs }).into_response())
}
