//! `/metrics`, `/healthz` and `/readyz` over HTTP.

use super::metrics::Metrics;
use super::readiness::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves until `stop`. `/healthz` says that the process runs, `/readyz` what
/// it lacks (200 or 503, one line per check), `/metrics` is OpenMetrics text.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router(metrics, readiness)).with_graceful_shutdown(stop.cancelled_owned()).await
}

fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(exposition).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, readiness.report())
}

async fn exposition(State(metrics): State<Metrics>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.exposition())
}

#[cfg(test)]
mod tests {
    use super::super::readiness::Check;
    use super::*;

    async fn get(address: &str, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{address}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn it_serves_health_readiness_and_metrics_until_told_to_stop() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (readiness, stop) = (Readiness::new(), CancellationToken::new());
        let server = tokio::spawn(serve(listener, Metrics::new(), readiness.clone(), stop.clone()));

        assert_eq!(get(&address, "/healthz").await, (200, "ok\n".into()));
        assert_eq!(get(&address, "/readyz").await, (503, "not ready: starting\n".into()));
        readiness.set("leader", Check::Ok);
        assert_eq!(get(&address, "/readyz").await, (200, "[+] leader: ok\nready\n".into()));
        let (status, text) = get(&address, "/metrics").await;
        assert!(status == 200 && text.contains("sandbar_build_info") && text.ends_with("# EOF\n"), "{text}");
        assert_eq!(get(&address, "/elsewhere").await.0, 404);

        stop.cancel();
        server.await.unwrap().unwrap();
    }
}
