//! The public contract of the in-sandbox API, route by route: which fields an answer has, and every error that is
//! documented for it. What the fields mean is tested route by route beside this.

use super::{Agent, eventually};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Fields that our routes add; a client that does not know them leaves them.
const ADDED: [&str; 3] = ["exit_code", "timed_out", "status"];

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

/// It has these fields, and no others than those that were added.
#[track_caller]
fn has(value: &Value, wanted: &[&str]) {
    let (found, wanted) = (fields(value), wanted.iter().copied().collect::<BTreeSet<_>>());
    let missing: Vec<_> = wanted.difference(&found).collect();
    let other: Vec<_> = found.difference(&wanted).filter(|name| !ADDED.contains(name)).collect();
    assert!(missing.is_empty() && other.is_empty(), "{value}: without {missing:?}, with {other:?}");
}

async fn gives(agent: &Agent, method: &str, path: &str, body: Option<Value>, wanted: &[&str]) -> Value {
    let (status, answer) = agent.call(method, path, body).await;
    assert_eq!(status, 200, "{method} {path}: {answer}");
    has(&answer, wanted);
    answer
}

async fn refuses(agent: &Agent, status: u16, method: &str, path: &str, body: Option<Value>) {
    let (found, answer) = agent.call(method, path, body).await;
    assert_eq!(found, status, "{method} {path}: {answer}");
    let detail = &answer["detail"];
    assert!(if status == 422 { detail.is_array() } else { detail.is_string() }, "{method} {path}: {answer}");
}

#[tokio::test]
async fn every_route_answers_in_its_shape() {
    let agent = Agent::start();
    let get = async |path: &str, wanted: &[&str]| gives(&agent, "GET", path, None, wanted).await;
    let post = async |path: &str, body: Value, wanted: &[&str]| gives(&agent, "POST", path, Some(body), wanted).await;
    get("/health", &["status", "mode", "timestamp"]).await;
    post("/api/exec", json!({"command": "true", "env": null}), &["stdout", "stderr", "exit_code"]).await;

    let started = post("/api/exec/background", json!({"command": "echo a; sleep 1000"}), &["pid", "log_file"]).await;
    let pid = started["pid"].as_i64().expect("a pid");
    let process = ["pid", "command", "status", "log_file", "started_at"];
    let (status, processes) = agent.call("GET", "/api/processes", None).await;
    assert_eq!((status, processes.as_array().map(Vec::len)), (200, Some(1)), "{processes}");
    has(&processes[0], &process);
    assert_eq!(get(&format!("/api/processes/{pid}"), &process).await["status"], "running");
    let log = agent.workspace().parent().expect("a root").join(&started["log_file"].as_str().expect("a path")[1..]);
    eventually("its log", || std::fs::read_to_string(&log).is_ok_and(|text| text == "a\n")).await;
    assert_eq!(get(&format!("/api/processes/{pid}/logs?tail=1"), &["logs"]).await["logs"], "a\n");
    let killed = post(&format!("/api/processes/{pid}/kill"), json!({"signal": 9}), &["success"]).await;
    assert_eq!(killed["success"], true);

    let session = json!({"session_id": "s", "env": {"A": "b"}, "cwd": "/workspace"});
    post("/api/sessions", session, &["session_id", "pid"]).await;
    let (status, sessions) = agent.call("GET", "/api/sessions", None).await;
    assert_eq!((status, sessions.as_array().map(Vec::len)), (200, Some(1)), "{sessions}");
    let wanted = ["session_id", "pid", "cwd", "env", "status", "created_at"];
    has(&sessions[0], &wanted);
    get("/api/sessions/s", &wanted).await;
    let said = post("/api/sessions/s/exec", json!({"command": "echo $A", "timeout": 60}), &["output"]).await;
    assert!(said["output"].as_str().is_some_and(|output| output.contains('b')), "{said}");
    gives(&agent, "DELETE", "/api/sessions/s", None, &["success"]).await;

    for (content, encoding) in [("text", None), ("AP8=", Some("base64"))] {
        let body = json!({"path": "/workspace/f", "content": content, "encoding": encoding});
        post("/api/files/content", body, &["success", "path"]).await;
        let wanted = if encoding.is_some() { &["content", "path", "encoding"][..] } else { &["content", "path"] };
        assert_eq!(get("/api/files/content?path=/workspace/f", wanted).await["content"], content);
    }
    let files = get("/api/files?path=/workspace", &["files"]).await;
    has(&files["files"][0], &["name", "path", "is_dir", "size", "permissions"]);
    let download = format!("{}/api/files/download?path=/workspace/f", agent.base);
    let answer = reqwest::Client::new().get(download).bearer_auth(super::TOKEN).send().await.expect("an answer");
    assert!(answer.headers()["content-disposition"].to_str().is_ok_and(|text| text.starts_with("attachment")));
    assert_eq!(answer.bytes().await.expect("bytes")[..], [0, 255]);
}

#[tokio::test]
async fn streams_have_their_events_and_their_headers() {
    let agent = Agent::start();
    let http = reqwest::Client::new();
    let stream = async |body: Value| {
        let request = http.post(format!("{}/api/exec/stream", agent.base)).bearer_auth(super::TOKEN).json(&body);
        let answer = request.send().await.expect("an answer");
        let told = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert!(told(CONTENT_TYPE.as_str()).starts_with("text/event-stream"));
        assert!(told("cache-control").starts_with("no-cache"));
        assert_eq!(told("x-accel-buffering"), "no");
        let text = answer.text().await.expect("a body");
        let frames = text.split_terminator("\n\n").filter(|frame| !frame.starts_with(':'));
        let events = frames.map(|frame| {
            let (event, data) = frame.split_once('\n').expect("two lines");
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            (event.strip_prefix("event: ").expect("an event").to_owned(), data)
        });
        events.collect::<Vec<_>>()
    };
    let events = stream(json!({"command": "echo out; echo err >&2; exit 3"})).await;
    for (event, data) in &events {
        match event.as_str() {
            "stdout" | "stderr" => has(data, &["line", "timestamp"]),
            "exit" => has(data, &["code", "duration_ms", "timestamp"]),
            other => panic!("{other}: {data}"),
        }
    }
    let kinds: BTreeSet<&str> = events.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["exit", "stderr", "stdout"]));
    let late = stream(json!({"command": "sleep 1000", "timeout": 1})).await;
    let (event, data) = late.last().expect("an end");
    assert_eq!((event.as_str(), &data["code"]), ("error", &json!("TIMEOUT")));
    has(data, &["message", "code"]);
}

#[tokio::test]
async fn every_documented_error_is_answered() {
    let agent = Agent::start();
    std::fs::create_dir(agent.workspace().join("folder")).expect("a folder");
    std::fs::write(agent.workspace().join("file"), "x").expect("a file");
    let no = json!({});
    for (status, method, path, body) in [
        (408, "POST", "/api/exec", Some(json!({"command": "sleep 1000", "timeout": 1}))),
        (422, "POST", "/api/exec", Some(no.clone())),
        (422, "POST", "/api/exec/stream", Some(json!({"command": "true", "timeout": "soon"}))),
        (422, "POST", "/api/exec/background", Some(no.clone())),
        (404, "GET", "/api/processes/1", None),
        (404, "GET", "/api/processes/1/logs", None),
        (404, "GET", "/api/processes/1/logs/stream", None),
        (404, "POST", "/api/processes/1/kill", Some(json!({"signal": 15}))),
        (404, "GET", "/api/sessions/none", None),
        (404, "POST", "/api/sessions/none/exec", Some(json!({"command": "true"}))),
        (404, "DELETE", "/api/sessions/none", None),
        (403, "GET", "/api/files?path=/etc", None),
        (404, "GET", "/api/files?path=/workspace/none", None),
        (400, "GET", "/api/files?path=/workspace/file", None),
        (403, "GET", "/api/files/content?path=/workspace/../etc/passwd", None),
        (404, "GET", "/api/files/content?path=/workspace/none", None),
        (400, "GET", "/api/files/content?path=/workspace/folder", None),
        (403, "POST", "/api/files/content", Some(json!({"path": "/etc/x", "content": ""}))),
        (403, "GET", "/api/files/download?path=/etc/passwd", None),
        (404, "GET", "/api/files/download?path=/workspace/none", None),
        (502, "GET", "/proxy/1/", None),
    ] {
        refuses(&agent, status, method, path, body).await;
    }
    gives(&agent, "POST", "/api/sessions", Some(json!({"session_id": "s"})), &["session_id", "pid"]).await;
    refuses(&agent, 400, "POST", "/api/sessions", Some(json!({"session_id": "s"}))).await;
    let started = agent.call("POST", "/api/exec/background", Some(json!({"command": "sleep 1000"}))).await.1;
    refuses(&agent, 400, "POST", &format!("/api/processes/{}/kill", started["pid"]), Some(json!({"signal": 9999})))
        .await;
    for (status, auth) in [(401, None), (401, Some("Basic eDp5")), (403, Some("Bearer another"))] {
        let (found, answer) = agent.call_as("GET", "/api/processes", None, auth).await;
        assert!(found == status && answer["detail"].is_string(), "{auth:?}: {found} {answer}");
    }
    let closed = Agent::start_with(|_| ());
    refuses(&closed, 503, "GET", "/api/processes", None).await;
}
