//! Ending a run, and keeping it longer.

use super::body::{Body, Fields};
use super::caller::{Caller, Right};
use super::refused::Refused;
use super::run::State;
use super::{RunId, Shared};
use crate::api::Span;
use crate::claims::Extension;
use axum::Json;
use axum::extract::State as Given;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A run that is being ended, or has ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stopped {
    run_id: String,
    status: State,
}

/// `POST /v1/runs/{run_id}/extend`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct More {
    /// How much longer.
    #[schemars(required)]
    by: Option<Span>,
}

impl Fields for More {
    const NAMES: &'static [&'static str] = &["by"];
}

/// A run that lives longer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Extended {
    run_id: String,
    /// How long it lives in all, counted from its start.
    ttl: Span,
}

/// `POST /api/runs/{run_id}/stop` and `POST /v1/runs/{run_id}/stop`. May be repeated.
pub async fn stop(Given(desk): Given<Shared>, caller: Caller, RunId(id): RunId) -> Result<Json<Stopped>, Refused> {
    let run = desk.run_for(&caller, &id, Right::Stop).await?;
    if run.is_over() {
        return Ok(Json(Stopped { run_id: id, status: run.state }));
    }
    desk.quota.ends(&id);
    desk.claims.end(&id).await?;
    tracing::info!(run = id, by = ?caller.holder(), "stopped");
    Ok(Json(Stopped { run_id: id, status: State::Stopping }))
}

/// `POST /v1/runs/{run_id}/extend`.
pub async fn extend(
    Given(desk): Given<Shared>,
    caller: Caller,
    RunId(id): RunId,
    Body(more): Body<More>,
) -> Result<Json<Extended>, Refused> {
    if caller.is_anonymous() {
        return Err(Refused::NotAnonymous("keeping a run longer"));
    }
    desk.run_for(&caller, &id, Right::Extend).await?;
    let missing = || Refused::field("by", "is missing; say how much longer, such as 10m");
    let by = more.by.ok_or_else(missing)?;
    let extended = desk.claims.extend(&id, Extension::By(by)).await?;
    tracing::info!(run = id, by = ?caller.holder(), ttl = %extended.ttl, "extended");
    Ok(Json(Extended { run_id: id, ttl: extended.ttl }))
}
