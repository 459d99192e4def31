//! What answers at the address of an app that has no process.
//!
//! It is honest and small: health as of the app's phase, and commands that
//! are echoed, not run. Everything else says that the app is virtual.

use super::answer::{cut_connection, html_page, json_response};
use super::app::{AgentState, App};
use super::fixture::Sim;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{Router, any};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The variable with the token that an app's agent asks for.
const TOKEN_VARIABLE: &str = "SANDBOX_API_TOKEN";

/// `/_app/{id}/...` for every virtual app.
pub fn router() -> Router<Arc<Sim>> {
    Router::new().route("/_app/{id}/{*path}", any(answer))
}

async fn answer(
    State(sim): State<Arc<Sim>>,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let now = sim.clock.now();
    let (serves, state, token) = match sim.world().app(&id) {
        Ok(app) if app.exists(now) => (app.serves(now), app.agent, expected_token(app)),
        _ => return html_page(StatusCode::NOT_FOUND),
    };
    if !serves {
        return html_page(StatusCode::SERVICE_UNAVAILABLE);
    }
    match state {
        AgentState::Ok => {}
        AgentState::Dead => return cut_connection(),
        AgentState::Hung => return std::future::pending().await,
    }
    let method = request.method().clone();
    if method == Method::GET && path == "health" {
        let seconds = now.as_millisecond() as f64 / 1000.0;
        return json_response(StatusCode::OK, &json!({ "status": "healthy", "mode": "service", "timestamp": seconds }));
    }
    if let Err((status, detail)) = authorized(&headers, token.as_deref()) {
        return json_response(status, &json!({ "detail": detail }));
    }
    let Ok(body) = axum::body::to_bytes(request.into_body(), 1 << 20).await else {
        return json_response(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "detail": "the body is above 1 MiB" }));
    };
    if method == Method::POST && path == "api/exec" {
        return exec(&body, echoed);
    }
    if method == Method::POST && path == "api/exec/stream" {
        return exec(&body, |command| streamed(command, now));
    }
    let detail = format!("this app is virtual: {method} /{path} needs a simulator that runs apps as processes");
    json_response(StatusCode::NOT_IMPLEMENTED, &json!({ "detail": detail }))
}

fn expected_token(app: &App) -> Option<String> {
    app.environment.get(TOKEN_VARIABLE).filter(|token| !token.is_empty()).cloned()
}

fn authorized(headers: &HeaderMap, expected: Option<&str>) -> Result<(), (StatusCode, &'static str)> {
    let Some(expected) = expected else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "SANDBOX_API_TOKEN is not configured"));
    };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        None => Err((StatusCode::UNAUTHORIZED, "a bearer token is required")),
        Some(token) if token == expected => Ok(()),
        Some(_) => Err((StatusCode::FORBIDDEN, "the bearer token is wrong")),
    }
}

/// Answers with the command: nothing runs in a virtual app.
fn exec(body: &Bytes, answer: impl FnOnce(&str) -> Response) -> Response {
    let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    match body["command"].as_str() {
        Some(command) => answer(command),
        None => json_response(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({ "detail": [{ "loc": ["body", "command"], "msg": "a string is required", "type": "missing" }] }),
        ),
    }
}

fn echoed(command: &str) -> Response {
    json_response(StatusCode::OK, &json!({ "stdout": format!("{command}\n"), "stderr": "", "exit_code": 0 }))
}

fn streamed(command: &str, now: Timestamp) -> Response {
    let seconds = now.as_millisecond() as f64 / 1000.0;
    let mut text = String::new();
    for line in command.lines() {
        text.push_str(&format!("event: stdout\ndata: {}\n\n", json!({ "line": line, "timestamp": seconds })));
    }
    let exit = json!({ "code": 0, "duration_ms": 0, "timestamp": seconds });
    text.push_str(&format!("event: exit\ndata: {exit}\n\n"));
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
