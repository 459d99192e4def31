//! What is not done, and what is said about it.

use reqwest::Method;
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use super::{Stand, json_of};

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_name() {
    let stand = Stand::start("gateway-bad").await;
    let gateway = stand.gateway(Settings::default()).await;
    let (warm, v1) = (format!("{}/api/launch/warm", gateway.url), format!("{}/v1/launches", gateway.url));
    let (status, body) = stand.post(&warm, json!({"game": "chess"})).await;
    assert_eq!(status, 404);
    assert_eq!(
        body,
        json!({"detail": "there is no app chess; there is memory, snake, tic-tac-toe",
        "apps": ["memory", "snake", "tic-tac-toe"]})
    );
    let refused: [(&str, Value, &str); 10] = [
        (&warm, json!({}), "game"),
        (&warm, json!({"game": 7}), "game"),
        (&warm, json!({"game": "snake", "use_snapshot": "yes"}), "use_snapshot"),
        (&warm, json!({"game": "snake", "use_snapshots": true}), "use_snapshots"),
        (&warm, json!({"game": "../../etc\r\nX-Evil: 1"}), "game"),
        (&warm, json!("snake"), "body"),
        (&v1, json!({"app": "snake", "ttl": "soon"}), "ttl"),
        (&v1, json!({"app": "snake", "ttl": "3h"}), "ttl"),
        (&v1, json!({"app": "snake", "source": "git"}), "source"),
        (&v1, json!({"app": "snake", "pool": "nowhere"}), "pool"),
    ];
    for (url, wish, field) in refused {
        let (status, body) = stand.post(url, wish.clone()).await;
        assert_eq!((status.as_u16(), body["field"].as_str()), (422, Some(field)), "{wish}: {body}");
        assert!(body["detail"].as_str().is_some_and(|text| text.starts_with(field)), "{wish}: {body}");
    }
    assert!(stand.requests().await.is_empty(), "nothing was launched");
    let run = stand.launch(&gateway.url).await;
    let (status, body) = stand.post(&format!("{}/v1/runs/{run}/extend", gateway.url), json!({"by": "9h"})).await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("by")), "{body}");
    let (status, body) = stand.post(&format!("{}/v1/runs/{run}/extend", gateway.url), json!({"by": "10m"})).await;
    assert_eq!((status.as_u16(), &body["ttl"]), (200, &json!("40m")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_or_hostile_goes_nowhere() {
    let stand = Stand::start("gateway-hostile").await;
    let gateway = stand.gateway(Settings::default()).await;
    let warm = format!("{}/api/launch/warm", gateway.url);
    let send = |content: &'static str, body: String| {
        let request =
            stand.ask(Method::POST, &warm).bearer_auth(&stand.token).header("Content-Type", content).body(body);
        async { json_of(request.send().await.expect("an answer")).await.0.as_u16() }
    };
    assert_eq!(send("application/json", "{\"game\": ".to_owned()).await, 422);
    assert_eq!(send("text/plain", "{\"game\": \"snake\"}".to_owned()).await, 415, "as a foreign page's form would");
    assert_eq!(send("application/json", format!("{{\"game\": \"{}\"}}", "x".repeat(70_000))).await, 413);
    let key = stand.ask(Method::POST, &warm).bearer_auth(&stand.token).json(&json!({"game": "snake"}));
    let (status, body) = json_of(key.header("Idempotency-Key", "k".repeat(129)).send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("Idempotency-Key")));
    let long = stand.ask(Method::GET, &format!("{}/v1/apps", gateway.url)).header("X-Long", "x".repeat(20_000));
    assert_eq!(long.send().await.expect("an answer").status(), 431);

    for (path, status) in [
        ("/api/status/run-none", 404),
        ("/api/status/Run%0d%0aX", 422),
        ("/api/status/..%2f..%2fsecrets", 422),
        ("/api/stream/a,b", 422),
        ("/v1/runs?limit=0", 422),
        ("/api/orchestrator/logs?limit=many", 422),
        ("/api/launch/warm", 405),
        ("/nowhere", 404),
    ] {
        let (seen, body) = stand.get(&format!("{}{path}", gateway.url)).await;
        assert_eq!(seen.as_u16(), status, "{path}: {body}");
        assert!(body["detail"].is_string(), "{path}: {body}");
    }
    let run = stand.launch(&gateway.url).await;
    let events = stand.ask(Method::GET, &format!("{}/api/stream/{run}", gateway.url)).bearer_auth(&stand.token);
    let (status, body) = json_of(events.header("Last-Event-ID", "x").send().await.expect("an answer")).await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("Last-Event-ID")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_given_origins_may_use_it() {
    let stand = Stand::start("gateway-cors").await;
    let cors = vec!["https://play.test".parse().expect("an origin")];
    let gateway = stand.gateway(Settings { cors, ..Settings::default() }).await;
    let preflight = async |origin: &str| {
        let request = stand.ask(Method::OPTIONS, &format!("{}/api/launch/warm", gateway.url)).header("Origin", origin);
        let request = request.header("Access-Control-Request-Method", "POST");
        let answer = request.header("Access-Control-Request-Headers", "content-type").send().await.expect("an answer");
        answer.headers().get("access-control-allow-origin").map(|value| value.to_str().expect("text").to_owned())
    };
    assert_eq!(preflight("https://play.test").await.as_deref(), Some("https://play.test"));
    assert_eq!(preflight("https://evil.test").await, None);
}
