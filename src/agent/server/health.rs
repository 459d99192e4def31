//! `GET /health`: the one route without a token.

use super::{Shared, clock};
use crate::agent::wire::Health;
use axum::Json;
use axum::extract::State;

/// Always healthy: that it answers is the news.
pub async fn health(State(agent): State<Shared>) -> Json<Health> {
    Json(Health { status: "healthy".to_owned(), mode: agent.mode.clone(), timestamp: clock::now() })
}
