use super::*;
use crate::controllers::runtime::ticks::Ticks;
use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams, WatchParams};
use std::sync::{Arc, Mutex};

/// Answers everything with 503 and keeps what it was asked.
async fn refusing_server() -> (String, Arc<Mutex<Vec<(Method, String)>>>) {
    let asked: Arc<Mutex<Vec<(Method, String)>>> = Arc::default();
    let refuse = |State(asked): State<Arc<Mutex<Vec<_>>>>, request: Request<axum::body::Body>| async move {
        let agent = request.headers()[header::USER_AGENT].to_str().unwrap_or_default().to_owned();
        asked.lock().unwrap().push((request.method().clone(), agent));
        (http::StatusCode::SERVICE_UNAVAILABLE, [(header::DATE, "Sat, 01 Jan 2000 00:00:00 GMT")], "{}").into_response()
    };
    let router = Router::new().fallback(refuse).with_state(asked.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

#[tokio::test]
async fn a_refused_write_is_not_repeated_and_says_who_asks() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (address, asked) = refusing_server().await;
    let clock = ServerClock::new(Ticks::real());
    let client = build_client(Config::new(address.parse().unwrap()), "controller", &clock).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(client, "n");
    api.create(&PostParams::default(), &ConfigMap::default()).await.expect_err("503");
    api.get("x").await.expect_err("503");
    let agent = format!("sandbar/{} (controller)", env!("CARGO_PKG_VERSION"));
    assert_eq!(*asked.lock().unwrap(), [(Method::POST, agent.clone()), (Method::GET, agent)]);
    assert!(clock.skew() > SignedDuration::from_hours(24 * 365 * 20), "the answer's date was not read");
}

/// A client on a server that sends headers, one line, and then nothing more.
fn stalling_client(timeout: Duration) -> Client {
    let service = tower::service_fn(|_: Request<Body>| async {
        let line = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(EVENT.as_bytes())) });
        let body = axum::body::Body::from_stream(futures::StreamExt::chain(line, futures::stream::pending()));
        Ok::<_, BoxError>(Response::new(body))
    });
    let layer = OutboundLayer::new(ServerClock::new(Ticks::real())).timeout(timeout);
    ClientBuilder::new(service, "default").with_layer(&layer).build()
}

const EVENT: &str =
    "{\"type\":\"ADDED\",\"object\":{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}}\n";

#[tokio::test]
async fn a_request_whose_answer_stalls_ends_and_says_which() {
    let api: Api<ConfigMap> = Api::namespaced(stalling_client(Duration::from_millis(50)), "n");
    let error = crate::failure::chain(&api.create(&PostParams::default(), &ConfigMap::default()).await.unwrap_err());
    assert!(error.contains("no whole answer to POST /api/v1/namespaces/n/configmaps within 50ms"), "{error}");
}

#[tokio::test]
async fn a_watch_has_no_time_limit() {
    let api: Api<ConfigMap> = Api::namespaced(stalling_client(Duration::ZERO), "n");
    let mut events = std::pin::pin!(api.watch(&WatchParams::default(), "0").await.unwrap());
    let first = futures::StreamExt::next(&mut events).await.unwrap().unwrap();
    assert!(
        matches!(first, kube::api::WatchEvent::Added(ConfigMap { metadata, .. }) if metadata.name.as_deref() == Some("a"))
    );
}

#[tokio::test]
async fn without_the_lease_nothing_is_written_and_everything_is_read_s15() {
    let asked: Arc<Mutex<Vec<Method>>> = Arc::default();
    let service = tower::service_fn({
        let asked = asked.clone();
        move |request: Request<Body>| {
            asked.lock().unwrap().push(request.method().clone());
            std::future::ready(Ok::<_, BoxError>(Response::new(Full::new(Bytes::from_static(b"{}")))))
        }
    });
    let (ticks, fence) = (Ticks::manual(), LeaseHandle::unfenced());
    let layer = OutboundLayer::new(ServerClock::new(ticks)).fence(fence.clone());
    let client = ClientBuilder::new(service, "default").with_layer(&layer).build();
    let (maps, leases): (Api<ConfigMap>, Api<Lease>) =
        (Api::namespaced(client.clone(), "n"), Api::namespaced(client, "n"));
    maps.create(&PostParams::default(), &ConfigMap::default()).await.expect("the fence is open");
    fence.close();
    let error = maps.create(&PostParams::default(), &ConfigMap::default()).await.expect_err("the fence is closed");
    let text = crate::failure::chain(&error);
    assert!(text.contains("POST /api/v1/namespaces/n/configmaps is not sent: this process does not lead"), "{text}");
    maps.get("a").await.expect("reads pass");
    leases.create(&PostParams::default(), &Lease::default()).await.expect("the Lease itself passes");
    assert_eq!(*asked.lock().unwrap(), [Method::POST, Method::GET, Method::POST]);
}

#[test]
fn only_what_changes_the_world_is_a_crash_point() {
    let table = [
        ("GET", "/apis/sandbar.dev/v1alpha1/sandboxes", false),
        ("PATCH", "/apis/sandbar.dev/v1alpha1/namespaces/n/sandboxes/a/status", true),
        ("DELETE", "/apis/sandbar.dev/v1alpha1/namespaces/n/sandboxes/a", true),
        ("POST", "/api/v1/namespaces/n/secrets", true),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", false),
        ("POST", "/apis/events.k8s.io/v1/namespaces/n/events", false),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false),
    ];
    for (method, path, expected) in table {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        assert_eq!(changes_something(&request), expected, "{method} {path}");
    }
}
