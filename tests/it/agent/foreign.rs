//! Our client against agents that are not ours, and against what may stand in their place.

use super::TOKEN;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::routing::{get, post};
use futures::StreamExt;
use sandbar::agent::client::{AgentClient, AgentError, ExecEvent};
use sandbar::agent::wire::{ExecRequest, WriteRequest};
use std::sync::{Arc, Mutex};

/// A client for an agent with these routes only.
pub async fn client(router: Router) -> AgentClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    AgentClient::new(&base, Some(TOKEN)).unwrap()
}

fn streams(text: &'static str) -> Router {
    Router::new().route("/api/exec/stream", post(async move || ([(header::CONTENT_TYPE, "text/event-stream")], text)))
}

async fn events(text: &'static str) -> Vec<Result<ExecEvent, AgentError>> {
    let client = client(streams(text)).await;
    client.exec_stream(&ExecRequest::new("x")).await.unwrap().collect().await
}

#[tokio::test]
async fn a_large_file_reaches_an_agent_without_the_raw_route() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let write = async move |axum::Json(request): axum::Json<WriteRequest>| {
        *keep.lock().unwrap() = data_encoding::BASE64.decode(request.content.as_bytes()).unwrap();
        axum::Json(serde_json::json!({"success": true, "path": request.path}))
    };
    let route = post(write).layer(DefaultBodyLimit::disable());
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 253) as u8).collect();
    client(Router::new().route("/api/files/content", route)).await.write_file("/tmp/x", bytes.clone()).await.unwrap();
    assert!(*kept.lock().unwrap() == bytes);
}

#[tokio::test]
async fn events_without_timestamps_and_of_unknown_kinds_are_understood() {
    let text = "event: stdout\ndata: {\"line\": \"a\"}\n\nevent: new\ndata: {}\n\n\
                event: error\ndata: {\"message\": \"Command timed out\", \"code\": \"TIMEOUT\"}\n\n";
    let error = ExecEvent::Error { message: "Command timed out".to_owned(), code: "TIMEOUT".to_owned() };
    assert_eq!(events(text).await, [Ok(ExecEvent::Stdout("a".to_owned())), Ok(error)]);
}

#[tokio::test]
async fn a_stream_without_a_last_event_ends_with_an_error() {
    for cut in ["", "event: stdout\ndata: {\"line\": \"a\"}\n\n", "event: exit\ndata: {\"code\": 0"] {
        let all = events(cut).await;
        assert!(matches!(all.last(), Some(Err(AgentError::Unreachable { .. }))), "{cut:?}: {all:?}");
    }
    let all = events("event: exit\ndata: nonsense\n\nevent: exit\ndata: {\"code\": 0}\n\n").await;
    assert!(matches!(all.as_slice(), [Err(AgentError::Unexpected { .. })]), "{all:?}");
}

#[tokio::test]
async fn pages_of_the_edge_are_told_from_answers_of_the_agent() {
    let page = |status| get(async move || (StatusCode::from_u16(status).unwrap(), "<html>sorry</html>"));
    for (status, unreachable) in [(502, true), (503, true), (504, true), (524, true), (500, false), (200, false)] {
        let error = client(Router::new().route("/api/processes", page(status))).await.processes().await.unwrap_err();
        assert_eq!(matches!(error, AgentError::Unreachable { .. }), unreachable, "{status}: {error:?}");
        assert_eq!(matches!(error, AgentError::Unexpected { .. }), !unreachable, "{status}: {error:?}");
    }
}

#[tokio::test]
async fn the_address_may_have_a_path_and_must_be_http() {
    let agents = Router::new().route("/box/api/processes", get(async || "[]"));
    let here = client(agents).await;
    assert!(matches!(here.processes().await, Err(AgentError::NotFound { .. })));
    let shown = format!("{here:?}");
    let base = shown.split('"').nth(1).unwrap();
    for prefix in ["box", "box/"] {
        let client = AgentClient::new(&format!("{base}{prefix}"), Some(TOKEN)).unwrap();
        assert_eq!(client.processes().await, Ok(Vec::new()));
    }
    for bad in ["", "127.0.0.1:80", "ftp://host", "http://"] {
        let error = AgentClient::new(bad, None).unwrap_err();
        assert!(matches!(&error, AgentError::Invalid { detail } if detail.contains(bad)), "{bad}: {error:?}");
    }
}
