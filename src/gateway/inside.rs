//! What is in a run's sandbox: commands, files, terminals, logs, ports. The agent's own routes ([`crate::agent::server`]),
//! below `/v1/runs/{run_id}`, each for those who have the right; so whatever speaks to an agent can speak to a run.
//!
//! A right is asked for when a request begins. What was begun goes on until it or its sandbox ends.

use super::caller::{Caller, Right};
use super::forward::{ANSWER, Errand, Of, forward, is_plain};
use super::refused::Refused;
use super::routes::Routes;
use super::run::Run;
use super::{Query, RunId, Shared};
use crate::agent::hop;
use axum::extract::{Request, State as Given};
use axum::response::Response;
use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Where a run's routes begin.
const RUN: &str = "/v1/runs/{run_id}";
/// Parts of the path that name the run.
const PARTS: usize = 3;

/// A route of the agent.
pub struct Route {
    /// Its method.
    pub method: http::Method,
    /// As the agent has it.
    pub path: &'static str,
    /// What its caller must be allowed to.
    pub right: Right,
    /// Whether its answer may take as long as it takes.
    pub slow: bool,
}

const fn route(method: http::Method, path: &'static str, right: Right) -> Route {
    Route { method, path, right, slow: false }
}

const fn slow(method: http::Method, path: &'static str, right: Right) -> Route {
    Route { method, path, right, slow: true }
}

/// Every route of the agent that is reached through the gateway, but its apps.
pub static ROUTES: [Route; 21] = {
    use http::Method as M;
    [
        slow(M::POST, "/api/exec", Right::Exec),
        slow(M::POST, "/api/exec/stream", Right::Exec),
        route(M::POST, "/api/exec/background", Right::Exec),
        route(M::GET, "/api/processes", Right::ReadLog),
        route(M::GET, "/api/processes/{pid}", Right::ReadLog),
        route(M::POST, "/api/processes/{pid}/kill", Right::Exec),
        route(M::GET, "/api/processes/{pid}/logs", Right::ReadLog),
        route(M::GET, "/api/processes/{pid}/logs/stream", Right::ReadLog),
        route(M::GET, "/api/sessions", Right::Exec),
        route(M::POST, "/api/sessions", Right::Exec),
        route(M::GET, "/api/sessions/{session_id}", Right::Exec),
        route(M::DELETE, "/api/sessions/{session_id}", Right::Exec),
        slow(M::POST, "/api/sessions/{session_id}/exec", Right::Exec),
        route(M::GET, "/api/files", Right::ReadFiles),
        route(M::GET, "/api/files/content", Right::ReadFiles),
        route(M::POST, "/api/files/content", Right::WriteFiles),
        route(M::GET, "/api/files/download", Right::ReadFiles),
        slow(M::PUT, "/api/files/raw", Right::WriteFiles),
        route(M::GET, "/api/terminal", Right::Shell),
        route(M::GET, "/api/ports/{port}", Right::Forward),
        route(M::GET, "/health", Right::See),
    ]
};

/// The routes.
pub fn routes() -> Routes {
    let routes = ROUTES.iter().fold(Routes::default(), |routes, route| {
        let handler = move |desk, caller, id, request| agent(desk, caller, id, request, route);
        routes.on(&route.method, &format!("{RUN}{}", route.path), handler)
    });
    routes
        .get(&format!("{RUN}/log"), log)
        .any(&format!("{RUN}/proxy/{{port}}"), proxy)
        .any(&format!("{RUN}/proxy/{{port}}/"), proxy)
        .any(&format!("{RUN}/proxy/{{port}}/{{*path}}"), proxy)
}

async fn agent(
    Given(desk): Given<Shared>,
    caller: Caller,
    RunId(id): RunId,
    request: Request,
    route: &Route,
) -> Result<Response, Refused> {
    if caller.is_anonymous() {
        return Err(Refused::NotAnonymous("what is in a sandbox"));
    }
    let run = desk.run_for(&caller, &id, route.right).await?;
    let path = rest(&request)?;
    let way = desk.ways.to(&run).await?;
    if matches!(route.right, Right::Exec | Right::WriteFiles | Right::Shell | Right::Forward) {
        tracing::info!(run = id, by = ?caller.holder(), route = route.path, "entered");
    }
    let within: Option<Duration> = (!route.slow).then_some(ANSWER);
    let errand = Errand { run: &id, way: &way, path, of: Of::Agent, within };
    pass(&desk, &run, errand, request).await
}

/// Passes a request on. A way that led nowhere is not believed again.
async fn pass(desk: &Shared, run: &Run, errand: Errand<'_>, request: Request) -> Result<Response, Refused> {
    let answer = forward(&desk.agents, errand, request, &desk.stop).await;
    if let Err(Refused::Gateway(_) | Refused::GatewayTimeout(_)) = &answer {
        desk.ways.forget(run);
    }
    answer
}

/// What a run's agent is asked for.
fn rest(request: &Request) -> Result<PathAndQuery, Refused> {
    let rest = hop::beyond(request.uri(), hop::prefix(request.uri(), PARTS)).ok_or(Refused::NoRoute)?;
    if is_plain(rest.path()) {
        return Ok(rest);
    }
    let why =
        "it has a part that is . or .., a control character, or is encoded over and over; give the path that is meant";
    Err(Refused::field("path", why))
}

/// `ANY /v1/runs/{run_id}/proxy/{port}/…`: an app in the sandbox, over HTTP, WebSockets included.
pub async fn proxy(
    Given(desk): Given<Shared>,
    caller: Caller,
    RunId(id): RunId,
    request: Request,
) -> Result<Response, Refused> {
    let run = desk.run_for(&caller, &id, Right::Proxy).await?;
    let path = rest(&request)?;
    let port = port_of(&path)?;
    let way = desk.ways.to(&run).await?;
    if caller.is_anonymous() && way.app.is_none_or(|app| app.port != port) {
        return Err(Refused::NotAnonymous("any other port than that of the run's app"));
    }
    pass(&desk, &run, Errand { run: &id, way: &way, path, of: Of::App, within: Some(ANSWER) }, request).await
}

/// The port in `/proxy/{port}/…`. A port has one spelling, so that two who read it read the same.
fn port_of(path: &PathAndQuery) -> Result<u16, Refused> {
    let text = path.path().split('/').nth(2).unwrap_or_default();
    let port = text.parse::<u16>().ok().filter(|port| *port > 0 && port.to_string() == text);
    let shown: String = text.chars().take(20).collect();
    port.ok_or_else(|| Refused::field("port", format!("{shown:?} is not a port; use 1 to 65535")))
}

/// The query of a log.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Wanted {
    /// Go on until the app ends.
    follow: Option<bool>,
    /// Only so many lines from the end; 0 for all, and with `follow` for none of those before.
    tail: Option<u32>,
}

/// `GET /v1/runs/{run_id}/log`: what the run's app has written; with `?follow=true` as server-sent events until it ends.
pub async fn log(
    Given(desk): Given<Shared>,
    caller: Caller,
    RunId(id): RunId,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, Refused> {
    let run = desk.run_for(&caller, &id, Right::ReadLog).await?;
    let way = desk.ways.to(&run).await?;
    let none = || format!("run {id} has launched no app; GET /v1/runs/{id}/api/processes lists what else runs in it");
    let app = way.app.ok_or_else(|| Refused::Conflict(none()))?;
    let late = || format!("the app of run {id} has not been started yet; GET /v1/runs/{id}/events tells when it is");
    let pid = app.pid.ok_or_else(|| Refused::Conflict(late()))?;
    let follow = if wanted.follow == Some(true) { "/stream" } else { "" };
    let tail = wanted.tail.map(|lines| format!("?tail={lines}")).unwrap_or_default();
    let path = format!("/api/processes/{pid}/logs{follow}{tail}");
    let path = path.parse().map_err(|_| Refused::NoRoute)?;
    pass(&desk, &run, Errand { run: &id, way: &way, path, of: Of::Agent, within: Some(ANSWER) }, request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_plain_number() {
        let port = |path: &'static str| port_of(&PathAndQuery::from_static(path));
        assert_eq!(port("/proxy/5000/x").ok(), Some(5000));
        assert_eq!(port("/proxy/80").ok(), Some(80));
        for bad in
            ["/proxy/0/", "/proxy/080/", "/proxy/+80/", "/proxy/80%30/", "/proxy//", "/proxy/65536", "/proxy/http"]
        {
            assert!(matches!(port(bad), Err(Refused::Field { .. })), "{bad}");
        }
    }
}
