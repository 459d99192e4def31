//! How far runs are.

use super::caller::{Caller, Right};
use super::refused::Refused;
use super::run::{Run, State};
use super::{Desk, Dialect, Query, RunId, Shared};
use crate::api::{StartKind, Timings};
use axum::Json;
use axum::extract::State as Given;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Runs that are listed when nobody says how many.
const RUNS: usize = 100;
/// The most that are listed.
const MOST_RUNS: usize = 1000;

/// A run, as callers get it. Times are RFC 3339.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Run")]
pub struct Shown {
    run_id: String,
    status: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    game: Option<String>,
    app: Option<String>,
    pool: String,
    holder: String,
    /// Where its app can be opened in a browser; for its holder, and for those who may `create` `sandboxes/proxy`.
    ingress_url: Option<String>,
    created_at: Timestamp,
    claimed_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    reason: Option<String>,
    message: Option<String>,
    /// From 1, while it waits for a sandbox.
    queue_position: Option<usize>,
    /// `Warm` or `Cold`.
    start: Option<StartKind>,
    timings: Took,
    stream_url: String,
    status_url: String,
}

/// How long the steps took, in milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RunTimings")]
struct Took {
    acquire_ms: Option<i64>,
    files_ms: Option<i64>,
    install_ms: Option<i64>,
    start_ms: Option<i64>,
    answer_ms: Option<i64>,
    total_ms: Option<i64>,
}

impl From<&Timings> for Took {
    fn from(timings: &Timings) -> Self {
        let Timings { acquire_ms, files_ms, install_ms, start_ms, answer_ms, total_ms } = timings.clone();
        Self { acquire_ms, files_ms, install_ms, start_ms, answer_ms, total_ms }
    }
}

/// Several runs, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RunList")]
pub struct List {
    runs: Vec<Shown>,
    /// How many there are in all.
    total: usize,
}

/// How many are wanted.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Limit {
    /// At most so many.
    pub limit: Option<usize>,
}

fn show(desk: &Desk, run: &Run, link: Option<String>, dialect: Dialect) -> Shown {
    Shown {
        run_id: run.id.clone(),
        status: run.state,
        game: run.app.clone().filter(|_| dialect == Dialect::Games),
        app: run.app.clone(),
        pool: run.pool.clone(),
        holder: run.holder.clone(),
        ingress_url: link,
        created_at: run.created,
        claimed_at: run.claimed,
        expires_at: run.expires,
        ended_at: run.ended,
        reason: run.reason.clone(),
        message: run.message.clone(),
        queue_position: desk.runs.place(run),
        start: run.start,
        timings: Took::from(&run.timings),
        stream_url: dialect.stream_url(&run.id),
        status_url: dialect.status_url(&run.id),
    }
}

async fn one(desk: &Desk, caller: &Caller, id: &str, dialect: Dialect) -> Result<Json<Shown>, Refused> {
    let run = desk.run_for(caller, id, Right::See).await?;
    let opens = holds(caller, &run) || desk.access.allow(caller, Right::Proxy, Some(&run.name)).await.is_ok();
    let link = if opens { desk.links.of(&run).await } else { None };
    Ok(Json(show(desk, &run, link, dialect)))
}

/// A link opens an app to whoever has it: it is for the run's holder, and for those who may use its apps anyway.
fn holds(caller: &Caller, run: &Run) -> bool {
    run.holder == caller.holder()
}

/// `GET /api/status/{run_id}`.
pub async fn game(Given(desk): Given<Shared>, caller: Caller, RunId(id): RunId) -> Result<Json<Shown>, Refused> {
    one(&desk, &caller, &id, Dialect::Games).await
}

/// `GET /v1/runs/{run_id}`.
pub async fn run(Given(desk): Given<Shared>, caller: Caller, RunId(id): RunId) -> Result<Json<Shown>, Refused> {
    one(&desk, &caller, &id, Dialect::V1).await
}

/// `GET /v1/runs?limit=`.
pub async fn runs(
    Given(desk): Given<Shared>,
    caller: Caller,
    Query(Limit { limit }): Query<Limit>,
) -> Result<Json<List>, Refused> {
    desk.access.allow(&caller, Right::ListRuns, None).await?;
    let limit = within(limit, RUNS, MOST_RUNS)?;
    let mut runs = desk.runs.all();
    runs.retain(|run| caller.shares(run));
    runs.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
    let total = runs.len();
    runs.truncate(limit);
    // One question for all of them; a right to some by their names shows in their own status.
    let opens_all = desk.access.allow(&caller, Right::Proxy, None).await.is_ok();
    let opened: Vec<_> = runs.iter().filter(|run| opens_all || holds(&caller, run)).cloned().collect();
    let links = desk.links.of_all(&opened).await;
    let mut links: HashMap<&str, String> =
        opened.iter().zip(links).filter_map(|(run, link)| Some((run.uid.as_str(), link?))).collect();
    let shown = runs.iter().map(|run| show(&desk, run, links.remove(run.uid.as_str()), Dialect::V1)).collect();
    Ok(Json(List { runs: shown, total }))
}

/// The number that is asked for, if it is one that is answered.
///
/// # Errors
/// When it is 0 or too many.
pub fn within(limit: Option<usize>, usual: usize, most: usize) -> Result<usize, Refused> {
    match limit {
        None => Ok(usual),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) => Err(Refused::field("limit", format!("{limit} is not between 1 and {most}"))),
    }
}
