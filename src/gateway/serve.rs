//! The server: its routes, what stands in front of them, and the two watches behind them.

use super::listener::{self, Bounds};
use super::refused::Refused;
use super::routes::Routes;
use super::{Desk, Settings, Shared, change, events, inside, launch, openapi, overview, page, status};
use crate::api::{Lean, Sandbox, SandboxPool};
use crate::controllers::runtime::preflight::{self, Needs};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Names and values of all headers of a request, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// Everything that somebody has claimed, or wants to.
const CLAIMED: &str = "spec.claim.id!=";
/// How long a request waits until the watches have shown everything.
const FILLED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at that.
const LOOK: Duration = Duration::from_millis(20);

/// A gateway, before anything is served.
pub struct Gateway {
    client: Client,
    settings: Settings,
}

impl Gateway {
    /// A gateway that acts with this client's rights: `create` of tokenreviews and subjectaccessreviews; in its
    /// namespace `get`, `list`, `watch`, `create`, `patch` and `delete` of sandboxes, `get`, `list` and `watch` of
    /// sandboxpools, and `get` of secrets for the tokens of agents.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings }
    }

    /// Serves until `stop`; open streams end then, and requests that are being done are done.
    ///
    /// # Errors
    /// When TLS to agents cannot be set up.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let desk = Desk::new(&self.client, self.settings, stop.clone()).map_err(io::Error::other)?;
        let desk = Arc::new(desk);
        let namespace = &desk.settings.namespace;
        let sandboxes: Api<Lean<Sandbox>> = Api::namespaced(self.client.clone(), namespace);
        let pools: Api<Lean<SandboxPool>> = Api::namespaced(self.client.clone(), namespace);
        let claimed = watcher::Config::default().fields(CLAIMED);
        let everything = watcher(sandboxes, claimed).default_backoff().inspect_ok(|event| desk.members.note(event));
        let needs = Needs::of_gateway(namespace);
        let watches = async {
            tokio::join!(
                preflight::wait(&self.client, &desk.readiness, &needs),
                desk.runs.fill(everything, &desk.readiness),
                desk.pools.fill(watcher(pools, watcher::Config::default()).default_backoff(), &desk.readiness),
            )
        };
        let bounds =
            Bounds { connections: desk.settings.connections.unwrap_or(listener::CONNECTIONS), ..Bounds::default() };
        tokio::select! {
            () = listener::serve(listener, router(Arc::clone(&desk)), full(Arc::clone(&desk)), bounds, stop) => {}
            // They begin again for ever.
            _ = watches => {}
        }
        Ok(())
    }
}

fn router(desk: Shared) -> Router {
    let cors = cors(&desk.settings.cors);
    let api = api().into_router().route_layer(middleware::from_fn_with_state(Arc::clone(&desk), filled));
    let router = Router::new()
        .merge(api)
        .merge(open().into_router())
        .merge(page::router())
        .fallback(async || Refused::NoRoute)
        .method_not_allowed_fallback(async || Refused::NoMethod)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(short_headers));
    let router = if let Some(cors) = cors { router.layer(cors) } else { router };
    router.with_state(desk)
}

/// What those are answered for whom there is no place: how the gateway is, and to come again.
fn full(desk: Shared) -> Router {
    let told = || Refused::Unavailable("the gateway has as many connections as it may; try again".to_owned());
    let close = SetResponseHeaderLayer::overriding(header::CONNECTION, HeaderValue::from_static("close"));
    open().into_router().fallback(async move || told()).layer(close).with_state(desk)
}

/// What needs to have read what there is.
fn api() -> Routes {
    Routes::default()
        .post("/api/launch/warm", launch::warm)
        .post("/api/launch/cold", launch::cold)
        .post("/v1/launches", launch::app)
        .get("/api/status/{run_id}", status::game)
        .get("/v1/runs/{run_id}", status::run)
        .get("/v1/runs", status::runs)
        .get("/api/stream/{run_id}", events::events)
        .get("/v1/runs/{run_id}/events", events::events)
        .post("/api/runs/{run_id}/stop", change::stop)
        .post("/v1/runs/{run_id}/stop", change::stop)
        .post("/v1/runs/{run_id}/extend", change::extend)
        .get("/v1/apps", overview::apps)
        .get("/v1/pools", overview::pools)
        .get("/api/pool/status", overview::pool_status)
        .get("/api/orchestrator/logs", overview::logs)
        .and(inside::routes())
}

/// What is answered to everybody, at once.
fn open() -> Routes {
    Routes::default().get("/healthz", async || "ok\n").get("/readyz", ready).get("/openapi.json", openapi::openapi)
}

/// Every route.
#[cfg(test)]
pub(super) fn routes() -> Routes {
    api().and(open())
}

/// Pages of these origins may use the gateway; without any, only its own.
fn cors(origins: &[HeaderValue]) -> Option<CorsLayer> {
    let (key, seen) = (HeaderName::from_static(launch::IDEMPOTENCY_KEY), HeaderName::from_static("last-event-id"));
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, key, seen])
        .expose_headers([header::RETRY_AFTER, header::LOCATION])
        .max_age(Duration::from_secs(3600));
    (!origins.is_empty()).then_some(layer)
}

async fn short_headers(request: Request, next: Next) -> Response {
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MAX_HEADERS {
        return Refused::LongHeaders(MAX_HEADERS).into_response();
    }
    next.run(request).await
}

/// Nothing is counted, shown or refused before everything that is there was read.
async fn filled(State(desk): State<Shared>, request: Request, next: Next) -> Response {
    let filled = async {
        while !desk.readiness.is_ready() {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(FILLED_WITHIN, filled).await.is_err() {
        let what = desk.readiness.report();
        tracing::warn!(what, "not ready");
        return Refused::Unavailable("the gateway has not read what there is yet; try again".to_owned())
            .into_response();
    }
    next.run(request).await
}

async fn ready(State(desk): State<Shared>) -> (StatusCode, String) {
    let status = if desk.readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, desk.readiness.report())
}
