//! Bodies and connections that pass through.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use sandbar::agent::client::{AgentClient, AgentError, ExecEvent};
use sandbar::agent::wire::{BackgroundRequest, ExecRequest, SessionExec, SessionRequest};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Held, app};
use crate::agent::{alive, eventually, pid_in};

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const WITHIN: Duration = Duration::from_secs(60);

/// Waits until this was shown.
pub async fn shows(socket: &mut Socket, wanted: &str) {
    let mut shown = String::new();
    while !shown.contains(wanted) {
        let next = timeout(WITHIN, socket.next()).await.unwrap_or_else(|_| panic!("no {wanted:?} in {shown:?}"));
        if let Message::Binary(bytes) = next.expect("more").expect("a message") {
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

impl Held {
    fn client(&self) -> AgentClient {
        AgentClient::new(&self.url, Some(&self.enters)).expect("a client")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_speaks_to_an_agent_speaks_to_a_run() {
    let held = Held::start("inside-agent").await;
    let client = held.client();
    let done = client.exec(&ExecRequest::new("echo out; echo err >&2; exit 7").env("A", "b")).await.expect("it ran");
    assert_eq!((done.stdout.as_str(), done.stderr.as_str(), done.exit_code), ("out\n", "err\n", 7));
    let token = client.exec(&ExecRequest::new("env; cat /proc/self/environ")).await.expect("it ran").stdout;
    assert!(!token.contains(&held.enters) && !token.contains(crate::agent::TOKEN), "{token}");

    // A session keeps its state; a stream's command ends when its reader goes away.
    client.create_session(&SessionRequest::new("s")).await.expect("a session");
    client.session_exec("s", &SessionExec::new("cd /tmp; A=7")).await.expect("it ran");
    assert_eq!(client.session_exec("s", &SessionExec::new("echo $A")).await.expect("it ran").output.trim(), "7");
    client.close_session("s").await.expect("closed");
    let mut events = client.exec_stream(&ExecRequest::new("echo $$ > pid; echo up; sleep 1000")).await.expect("begun");
    assert!(matches!(events.next().await, Some(Ok(ExecEvent::Stdout(line))) if line == "up"));
    let pid = pid_in(&held.agent, "pid").await;
    drop(events);
    eventually("the command has ended with its reader", || !alive(pid)).await;

    let started = client.exec_background(&BackgroundRequest::new("echo log; sleep 1000")).await.expect("begun");
    let mut lines = client.follow_logs(started.pid, None).await.expect("a log");
    assert_eq!(lines.next().await.expect("a line").expect("in time"), "log");
    client.kill(started.pid, 15).await.expect("ended");
    let rest: Vec<String> = lines.try_collect().await.expect("to its end");
    assert!(rest.is_empty(), "{rest:?}");
    let unknown = client.process(1).await.expect_err("not one of its own");
    assert!(matches!(&unknown, AgentError::NotFound { detail } if detail.contains("process 1")), "the agent's words");
    held.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_size_pass_both_ways() {
    let held = Held::start("inside-files").await;
    let (client, pieces) = (held.client(), 96_u32);
    // Longer than every buffer on the way together.
    let piece =
        |number: u32| -> Vec<u8> { (0..1_048_576_u32).map(|at| (at.wrapping_mul(number + 7) >> 5) as u8).collect() };
    let mut sent = Sha256::new();
    (0..pieces).for_each(|number| sent.update(piece(number)));
    let sent = sent.finalize();
    let body = futures::stream::iter((0..pieces).map(move |number| Ok::<_, std::io::Error>(piece(number))));
    client.upload("big", Some(0o640), reqwest::Body::wrap_stream(body)).await.expect("uploaded");
    assert_eq!(std::fs::metadata(held.agent.workspace().join("big")).expect("a file").len(), u64::from(pieces) << 20);
    let (mut got, mut down) = (Sha256::new(), client.download("big").await.expect("begun"));
    while let Some(bytes) = down.try_next().await.expect("to its end") {
        got.update(&bytes);
    }
    assert!(got.finalize() == sent, "not a byte is lost");
    let head = held.stand.ask(reqwest::Method::HEAD, &format!("{}/api/files/download?path=big", held.url));
    let head = head.bearer_auth(&held.enters).send().await.expect("an answer");
    assert_eq!(head.headers()["content-length"], (u64::from(pieces) << 20).to_string().as_str());
    let outside = client.read_file("/etc/passwd").await.expect_err("outside");
    assert!(matches!(outside, AgentError::Forbidden { .. }), "{outside}");
    held.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_sees_what_was_asked_and_nothing_of_the_gateways() {
    let held = Held::start("inside-app").await;
    let port = app().await;
    let url = format!("{}/proxy/{port}/a%20b//c?d=/e", held.url);
    let request = held.stand.ask(reqwest::Method::PATCH, &url).bearer_auth(&held.enters);
    let request = request.header("cookie", "a=1; sandbar-session=secret").header("x-forwarded-proto", "https");
    let answer = request.body("the body").send().await.expect("an answer");
    let headers = answer.headers().clone();
    let told = answer.text().await.expect("a body");
    assert!(told.starts_with("PATCH /a%20b//c?d=/e\n") && told.ends_with("\n\nthe body"), "{told}");
    let prefix = format!("/v1/runs/{}/proxy/{port}", held.run);
    for there in ["cookie: \"a=1\"", "x-forwarded-proto: \"https\"", &format!("x-forwarded-prefix: \"{prefix}\"")] {
        assert!(told.contains(there), "{there} in {told}");
    }
    for hidden in [held.enters.as_str(), crate::agent::TOKEN, "authorization", "sandbar-session"] {
        assert!(!told.contains(hidden), "{hidden} in {told}");
    }
    assert_eq!(headers["set-cookie"], format!("a=1; Path={prefix}/").as_str());
    assert!(headers["content-security-policy"].to_str().expect("text").starts_with("sandbox "));
    assert!(!headers.contains_key("clear-site-data"));
    let redirected = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let bare = redirected.get(format!("{}/proxy/{port}", held.url)).bearer_auth(&held.enters).send().await;
    let bare = bare.expect("an answer");
    assert_eq!(
        (bare.status().as_u16(), &bare.headers()["location"]),
        (308, &format!("{port}/").parse().expect("text"))
    );
    held.gateway.stop().await;
}
