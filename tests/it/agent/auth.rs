//! Who gets in, and what a request that does not fit is told.

use super::{Agent, TOKEN};
use serde_json::{Value, json};

const ROUTES: [(&str, &str); 24] = [
    ("POST", "/api/exec"),
    ("POST", "/api/exec/stream"),
    ("POST", "/api/exec/background"),
    ("GET", "/api/processes"),
    ("GET", "/api/processes/1"),
    ("GET", "/api/processes/1/logs"),
    ("GET", "/api/processes/1/logs/stream"),
    ("POST", "/api/processes/1/kill"),
    ("POST", "/api/sessions"),
    ("GET", "/api/sessions"),
    ("GET", "/api/sessions/x"),
    ("POST", "/api/sessions/x/exec"),
    ("DELETE", "/api/sessions/x"),
    ("GET", "/api/terminal"),
    ("GET", "/api/files"),
    ("GET", "/api/files/content?path=/tmp/x"),
    ("POST", "/api/files/content"),
    ("GET", "/api/files/download?path=/tmp/x"),
    ("PUT", "/api/files/raw?path=/tmp/x"),
    ("GET", "/api/ports/5000"),
    ("GET", "/proxy/5000"),
    ("GET", "/proxy/5000/"),
    ("POST", "/proxy/5000/x/y"),
    ("DELETE", "/proxy/none/"),
];

#[tokio::test]
async fn every_route_but_health_wants_the_token() {
    let agent = Agent::start();
    let (status, health) = agent.call_as("GET", "/health", None, None).await;
    assert_eq!((status, &health["status"], &health["mode"]), (200, &json!("healthy"), &json!("service")));
    assert!(health["timestamp"].as_f64().unwrap() > 1.7e9);
    for (method, path) in ROUTES {
        for (auth, want) in [
            (None, 401),
            (Some("Basic eDp5"), 401),
            (Some("Bearer"), 401),
            (Some("Bearer "), 401),
            (Some("Bearer another"), 403),
            (Some("Bearer a-token-for-tests2"), 403),
        ] {
            let (status, body) = agent.call_as(method, path, None, auth).await;
            assert_eq!(status, want, "{method} {path} {auth:?}");
            assert!(body["detail"].is_string(), "{method} {path} {auth:?}: {body}");
        }
    }
    assert!(!agent.root().join("tmp/x").exists());
}

#[tokio::test]
async fn without_a_token_only_health_works() {
    for token in [None, Some("")] {
        let agent = Agent::start_with(|command| {
            command.env("SANDBOX_MODE", "worker");
            token.map(|token| command.env("SANDBOX_API_TOKEN", token));
        });
        assert_eq!(agent.call_as("GET", "/health", None, None).await.1["mode"], "worker");
        for (method, path) in ROUTES {
            for auth in [None, Some("Bearer "), Some("Bearer x")] {
                let (status, body) = agent.call_as(method, path, None, auth).await;
                assert_eq!(status, 503, "{method} {path} {auth:?}");
                assert!(body["detail"].as_str().unwrap().contains("SANDBOX_API_TOKEN"));
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_does_not_fit_is_422_and_names_the_field() {
    let agent = Agent::start();
    let command = |more: Value| {
        let mut body = json!({"command": "true"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };
    for (method, path, body, field) in [
        ("POST", "/api/exec", None, "body"),
        ("POST", "/api/exec", Some(json!({})), "command"),
        ("POST", "/api/exec", Some(json!({"command": 7})), "command"),
        ("POST", "/api/exec", Some(json!({"command": "a\u{0}b"})), "command"),
        ("POST", "/api/exec", command(json!({"timeout": 0})), "timeout"),
        ("POST", "/api/exec", command(json!({"timeout": -3})), "timeout"),
        ("POST", "/api/exec/stream", command(json!({"timeout": 86_401})), "timeout"),
        ("POST", "/api/exec", command(json!({"env": {"A": 1}})), "env"),
        ("POST", "/api/exec", command(json!({"env": {"A=B": "1"}})), "env"),
        ("POST", "/api/exec/background", command(json!({"env": {"": "1"}})), "env"),
        ("POST", "/api/exec", command(json!({"cwd": ""})), "cwd"),
        ("GET", "/api/processes/seven", None, "pid"),
        ("GET", "/api/processes/7/logs?tail=-1", None, "tail"),
        ("POST", "/api/processes/7/kill", Some(json!({"signal": "KILL"})), "signal"),
        ("GET", "/api/files/content", None, "path"),
        ("POST", "/api/files/content", Some(json!({"path": "/tmp/x"})), "content"),
        ("POST", "/api/files/content", Some(json!({"path": "/tmp/x", "content": "", "encoding": "hex"})), "encoding"),
        (
            "POST",
            "/api/files/content",
            Some(json!({"path": "/tmp/x", "content": "%", "encoding": "base64"})),
            "content",
        ),
        ("PUT", "/api/files/raw?path=/tmp/x&mode=999", None, "mode"),
    ] {
        let (status, answer) = agent.call(method, path, body.clone()).await;
        assert_eq!(status, 422, "{method} {path} {body:?}: {answer}");
        let violation = &answer["detail"][0];
        assert!(violation["loc"].is_array() && violation["msg"].is_string(), "{answer}");
        assert!(violation.to_string().contains(field), "{method} {path} {body:?}: {answer}");
    }
}

#[tokio::test]
async fn what_is_not_there_answers_in_json_too() {
    let agent = Agent::start();
    assert_eq!(agent.call("GET", "/nothing", None).await, (404, json!({"detail": "no such route"})));
    assert_eq!(agent.call("GET", "/api/exec", None).await, (405, json!({"detail": "method not allowed"})));
    assert_eq!(agent.call_as("GET", "/nothing", None, None).await.0, 404);
}

#[tokio::test]
async fn the_scheme_of_the_header_may_be_written_in_any_case() {
    let agent = Agent::start();
    let auth = format!("bEARER {TOKEN}");
    assert_eq!(agent.call_as("GET", "/api/processes", None, Some(&auth)).await, (200, json!([])));
}

#[tokio::test]
async fn a_json_body_above_the_limit_is_413() {
    let agent = Agent::start();
    let body = json!({"path": "/tmp/x", "content": "x".repeat(33 * 1024 * 1024)});
    let request = reqwest::Client::new().post(format!("{}/api/files/content", agent.base)).bearer_auth(TOKEN);
    // The agent answers before it has read everything, so the client may see a broken pipe instead.
    if let Ok(response) = request.json(&body).send().await {
        assert_eq!(response.status(), 413);
    }
    assert!(!agent.root().join("tmp/x").exists());
}
