//! The admin API under `/_sim`: what tests and people steer and read.
//!
//! ```text
//! GET    /_sim/health
//! GET    /_sim/accounts
//! PUT    /_sim/accounts/{name}          {"tokens": ["t"], "timings": {"readySeconds": 5}, "limits": {"enabled": false}}
//!                                       also "offer": {"deprecatedSizes": ["apps-d-1vcpu-1gb"], "closedRegions": {"nyc": "full"}},
//!                                       "privateRegistries": [{"registryType": "GHCR", "registry": "acme", "credentials": "bot:t"}]
//! PUT    /_sim/accounts/{name}/faults   {"seed": 1, "rules": [{"fault": {"errorAfter": {"html": {"status": 504}}},
//!                                        "on": ["create"], "count": 1, "probability": 0.5, "forSeconds": 30}]}
//! DELETE /_sim/accounts/{name}/faults
//! POST   /_sim/tokens/{token}/move      {"account": "other"}
//! POST   /_sim/tokens/{token}/revoke
//! POST   /_sim/apps/{id}/maintenance
//! POST   /_sim/apps/{id}/vanish
//! POST   /_sim/apps/{id}/agent          {"state": "dead"}, "hung" or "ok"
//! GET    /_sim/ledger?account=
//! GET    /_sim/calls?account=&since=    after the call of that number
//! GET    /_sim/calls/summary
//! ```

use super::answer::{ApiError, json_response};
use super::app::AgentState;
use super::fixture::Sim;
use super::life;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{Router, get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

type Answer = Result<Response, ApiError>;

/// The routes.
pub fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/_sim/health", get(health))
        .route("/_sim/accounts", get(accounts))
        .route("/_sim/accounts/{name}", put(put_account).get(account))
        .route("/_sim/accounts/{name}/faults", put(put_faults).get(faults).delete(clear_faults))
        .route("/_sim/tokens/{token}/move", post(move_token))
        .route("/_sim/tokens/{token}/revoke", post(revoke_token))
        .route("/_sim/apps/{id}/maintenance", post(maintenance))
        .route("/_sim/apps/{id}/vanish", post(vanish))
        .route("/_sim/apps/{id}/agent", post(agent))
        .route("/_sim/ledger", get(ledger))
        .route("/_sim/calls", get(calls))
        .route("/_sim/calls/summary", get(summary))
}

fn parsed<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(format!("the body does not fit: {error}")))
}

fn done() -> Answer {
    Ok(json_response(StatusCode::OK, &json!({})))
}

fn written(value: &impl serde::Serialize) -> Answer {
    let value = serde_json::to_value(value).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(json_response(StatusCode::OK, &value))
}

async fn health() -> Answer {
    Ok(json_response(StatusCode::OK, &json!({ "status": "healthy" })))
}

async fn accounts(State(sim): State<Arc<Sim>>) -> Answer {
    let world = sim.world();
    let accounts: serde_json::Map<String, Value> =
        world.accounts().map(|account| (account.name.clone(), json!(account.settings))).collect();
    written(&accounts)
}

async fn account(State(sim): State<Arc<Sim>>, Path(name): Path<String>) -> Answer {
    written(&sim.world().account(&name)?.settings)
}

async fn put_account(State(sim): State<Arc<Sim>>, Path(name): Path<String>, body: Bytes) -> Answer {
    sim.world().put_account(&name, parsed(&body)?)?;
    done()
}

async fn faults(State(sim): State<Arc<Sim>>, Path(name): Path<String>) -> Answer {
    written(&sim.world().account(&name)?.faults.document())
}

async fn put_faults(State(sim): State<Arc<Sim>>, Path(name): Path<String>, body: Bytes) -> Answer {
    sim.world().set_faults(&name, parsed(&body)?)?;
    done()
}

async fn clear_faults(State(sim): State<Arc<Sim>>, Path(name): Path<String>) -> Answer {
    sim.world().set_faults(&name, super::faults::Faults::default())?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    account: String,
}

async fn move_token(State(sim): State<Arc<Sim>>, Path(token): Path<String>, body: Bytes) -> Answer {
    let to: Move = parsed(&body)?;
    sim.world().move_token(&token, Some(&to.account))?;
    done()
}

async fn revoke_token(State(sim): State<Arc<Sim>>, Path(token): Path<String>) -> Answer {
    sim.world().move_token(&token, None)?;
    done()
}

async fn maintenance(State(sim): State<Arc<Sim>>, Path(id): Path<String>) -> Answer {
    let mut world = sim.world();
    let app = world.maintenance(&id)?;
    life::redeployed(&sim, app);
    let newest = &app.deployments[app.deployments.len() - 1];
    Ok(json_response(StatusCode::OK, &json!({ "deployment": newest.id })))
}

async fn vanish(State(sim): State<Arc<Sim>>, Path(id): Path<String>) -> Answer {
    let mut world = sim.world();
    world.vanish(&id)?;
    life::ending(&sim, world.app(&id)?);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    state: AgentState,
}

async fn agent(State(sim): State<Arc<Sim>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let wanted: Agent = parsed(&body)?;
    let app = {
        let mut world = sim.world();
        world.set_agent(&id, wanted.state)?;
        world.app(&id)?.clone()
    };
    life::steered(&sim, &app).await;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    account: Option<String>,
}

async fn ledger(State(sim): State<Arc<Sim>>, Query(of): Query<Of>) -> Answer {
    let ledger = sim.world().ledger(of.account.as_deref());
    written(&ledger)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    account: Option<String>,
    #[serde(default)]
    since: u64,
}

async fn calls(State(sim): State<Arc<Sim>>, Query(since): Query<Since>) -> Answer {
    let calls = sim.world().calls.after(since.since, since.account.as_deref());
    written(&calls)
}

async fn summary(State(sim): State<Arc<Sim>>) -> Answer {
    let summary = sim.world().summary();
    written(&summary)
}
