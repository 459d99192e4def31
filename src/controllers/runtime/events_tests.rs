use super::*;
use crate::controllers::runtime::ticks::Ticks;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(10);

fn about(name: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("sandbar.dev/v1alpha1".into()),
        kind: Some("Sandbox".into()),
        namespace: Some("n".into()),
        name: Some(name.into()),
        uid: Some("u".into()),
        ..ObjectReference::default()
    }
}

/// Sends every write on and answers with `status`.
fn server(status: StatusCode) -> (Client, mpsc::UnboundedReceiver<(Method, String, Value)>) {
    let (sender, writes) = mpsc::unbounded_channel();
    let service = tower::service_fn(move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let value: Value = serde_json::from_slice(&body)?;
            sender.send((parts.method, parts.uri.path().to_owned(), value))?;
            let refusal = serde_json::json!({"kind": "Status", "apiVersion": "v1", "code": status.as_u16()});
            let answer = if status.is_client_error() { refusal.to_string() } else { "{}".to_owned() };
            Ok::<_, tower::BoxError>(Response::builder().status(status).body(Full::from(answer))?)
        }
    });
    (Client::new(service, "default"), writes)
}

fn publisher(status: StatusCode) -> (Publisher, Ticks, mpsc::UnboundedReceiver<(Method, String, Value)>) {
    let (client, writes) = server(status);
    let ticks = Ticks::manual();
    let (clock, follow_ups) = (ServerClock::new(ticks.clone()), FollowUps::standard(ticks.clone()));
    (Publisher::start(client, clock, follow_ups, "pod_1"), ticks, writes)
}

async fn next(writes: &mut mpsc::UnboundedReceiver<(Method, String, Value)>) -> (Method, String, Value) {
    tokio::time::timeout(BOUND, writes.recv()).await.expect("a write within the bound").expect("a write")
}

#[tokio::test]
async fn an_event_says_who_what_and_why() {
    let (publisher, _, mut writes) = publisher(StatusCode::CREATED);
    publisher.publish(&about("python-0"), EventKind::Warning, Reason::WrongAccount, "use the token of team a");
    let (method, path, event) = next(&mut writes).await;
    assert_eq!((method, path.as_str()), (Method::POST, "/apis/events.k8s.io/v1/namespaces/n/events"));
    assert!(event["metadata"]["name"].as_str().unwrap().starts_with("python-0."), "{event}");
    let fields = ["action", "reason", "note", "type", "reportingController", "reportingInstance"];
    let shown = fields.map(|field| event[field].as_str().unwrap_or("-"));
    let expected =
        ["WrongAccount", "WrongAccount", "use the token of team a", "Warning", "sandbar.dev/controller", "pod_1"];
    assert_eq!(shown, expected);
    assert_eq!(event["regarding"]["uid"], "u");
    assert!(event["eventTime"].is_string());
}

#[tokio::test]
async fn a_lasting_state_is_written_once_in_ten_minutes_s10() {
    let (publisher, ticks, mut writes) = publisher(StatusCode::OK);
    let tell = |name: &str| publisher.publish(&about(name), EventKind::Warning, Reason::WrongAccount, "same");
    for _ in 0..61 {
        tell("a");
        ticks.advance(Duration::from_secs(10));
    }
    tell("b");
    let created = next(&mut writes).await;
    let (method, path, patch) = next(&mut writes).await;
    let name = created.2["metadata"]["name"].as_str().unwrap();
    assert_eq!(method, Method::PATCH);
    assert!(path.ends_with(name), "{path} is not {name}");
    assert_eq!(patch["series"]["count"], 61);
    let (method, _, other) = next(&mut writes).await;
    assert_eq!(method, Method::POST);
    assert_eq!(other["regarding"]["name"], "b", "sixty repeats were written between");
}

#[tokio::test]
async fn what_differs_or_comes_back_later_is_a_new_event() {
    let (publisher, ticks, mut writes) = publisher(StatusCode::CREATED);
    publisher.publish(&about("a"), EventKind::Warning, Reason::WrongAccount, "one");
    publisher.publish(&about("a"), EventKind::Warning, Reason::WrongAccount, "two");
    ticks.advance(SERIES);
    publisher.publish(&about("a"), EventKind::Warning, Reason::WrongAccount, "one");
    let mut names = std::collections::HashSet::new();
    for note in ["one", "two", "one"] {
        let (method, _, event) = next(&mut writes).await;
        assert_eq!((method, &event["note"]), (Method::POST, &Value::from(note)));
        names.insert(event["metadata"]["name"].to_string());
    }
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn a_refused_event_harms_nothing_and_a_repeat_tries_again() {
    let (publisher, _, mut writes) = publisher(StatusCode::FORBIDDEN);
    let told = publisher.told.clone();
    publisher.publish(&about("a"), EventKind::Normal, Reason::WrongAccount, "x");
    assert_eq!(next(&mut writes).await.0, Method::POST);
    let forgotten = async {
        while !told.lock().unwrap().entries.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, forgotten).await.expect("the refused one is forgotten");
    publisher.publish(&about("a"), EventKind::Normal, Reason::WrongAccount, "x");
    assert_eq!(next(&mut writes).await.0, Method::POST);
}

#[tokio::test]
async fn a_note_is_cut_at_a_character_and_shows_no_token() {
    let (publisher, _, mut writes) = publisher(StatusCode::CREATED);
    let note = format!("dop_v1_0123456789 {}", "ä".repeat(2000));
    publisher.publish(&about("a"), EventKind::Normal, Reason::WrongAccount, note);
    let (_, _, event) = next(&mut writes).await;
    let note = event["note"].as_str().unwrap();
    assert!(note.len() <= NOTE_BYTES && note.len() > NOTE_BYTES - 2, "{} bytes", note.len());
    assert!(note.starts_with("dop_v1_*** ä"), "{note}");
}

/// Answers nothing before `open`; the first `failing` requests then get an error of the server.
fn gated(failing: usize) -> (Publisher, Arc<tokio::sync::Semaphore>, mpsc::UnboundedReceiver<StatusCode>) {
    let (open, (sender, answers)) = (Arc::new(tokio::sync::Semaphore::new(0)), mpsc::unbounded_channel());
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(failing));
    let gate = Arc::clone(&open);
    let service = tower::service_fn(move |_: Request<Body>| {
        let (gate, left, sender) = (Arc::clone(&gate), Arc::clone(&left), sender.clone());
        async move {
            gate.acquire().await?.forget();
            use std::sync::atomic::Ordering::SeqCst;
            let fails = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
            let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::CREATED };
            sender.send(status)?;
            Ok::<_, tower::BoxError>(Response::builder().status(status).body(Full::<bytes::Bytes>::from("{}"))?)
        }
    });
    let ticks = Ticks::manual();
    let (clock, follow_ups) = (ServerClock::new(ticks.clone()), FollowUps::standard(ticks));
    (Publisher::start(Client::new(service, "default"), clock, follow_ups, "pod_1"), open, answers)
}

#[tokio::test]
async fn a_slow_server_delays_events_and_none_is_dropped() {
    const MANY: usize = 2_000;
    let (publisher, open, mut answers) = gated(0);
    for n in 0..MANY {
        publisher.publish(&about("a"), EventKind::Normal, Reason::WrongAccount, n.to_string());
    }
    assert_eq!(publisher.told.lock().unwrap().entries.len(), MANY);
    open.add_permits(MANY);
    for _ in 0..MANY {
        tokio::time::timeout(BOUND, answers.recv()).await.expect("written within the bound").expect("written");
    }
}

#[tokio::test]
async fn an_event_outlives_an_outage_of_the_server() {
    let (publisher, open, mut answers) = gated(3);
    publisher.publish(&about("a"), EventKind::Normal, Reason::WrongAccount, "x");
    open.add_permits(4);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = tokio::time::timeout(BOUND, answers.recv()).await.expect("within the bound");
        seen.push(answer.expect("tried again").as_u16());
    }
    assert_eq!(seen, [503, 503, 503, 201]);
    assert_eq!(publisher.told.lock().unwrap().entries.len(), 1, "it counts as told");
}
