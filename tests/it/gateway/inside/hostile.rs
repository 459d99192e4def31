//! What goes nowhere, and what is said about it.

use reqwest::{Method, Url};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::json_of;
use super::{Held, app};
use crate::agent::Agent;
use crate::wait::eventually;

impl Held {
    /// Sends a line as it is, which no client would; gives status and answer.
    async fn raw(&self, line: &str, headers: &str) -> (u16, String) {
        let url = Url::parse(&self.gateway.url).expect("an address");
        let place = (url.host_str().expect("a host"), url.port().expect("a port"));
        let mut connection = TcpStream::connect(place).await.expect("a connection");
        let head = format!(
            "{line} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nConnection: close\r\n{headers}\r\n",
            self.enters
        );
        connection.write_all(head.as_bytes()).await.expect("asked");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("an answer");
        (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_from_one_right_to_another() {
    let held = Held::start("inside-paths").await;
    let (run, port) = (&held.run, app().await);
    for rest in [
        format!("/proxy/{port}/../../api/processes"),
        format!("/proxy/{port}/%2e%2e/%2e%2e/api/processes"),
        format!("/proxy/{port}/..%2f..%2fapi/processes"),
        format!("/proxy/{port}/%252e%252e/x"),
        format!("/proxy/{port}/x%0d%0aX-Evil:%201"),
        "/api/processes/..%2f..%2fapi%2fexec".to_owned(),
        "/api/sessions/%2e%2e".to_owned(),
    ] {
        let (status, answer) = held.raw(&format!("GET /v1/runs/{run}{rest}"), "").await;
        assert!(status == 422 && answer.contains("path: "), "{rest}: {answer}");
    }
    for rest in ["0/", "080/", "99999/", "+80/", "http/", "/", "80%2f..%2fapi/"] {
        let (status, answer) = held.raw(&format!("GET /v1/runs/{run}/proxy/{rest}"), "").await;
        assert!(status == 422, "{rest}: {answer}");
    }
    let agents = Url::parse(&held.agent.base).expect("an address").port().expect("a port");
    let (status, answer) = held.raw(&format!("GET /v1/runs/{run}/proxy/{agents}/health"), "").await;
    assert!(status == 422 && answer.contains("the agent's own"), "{answer}");
    for id in ["..", "..%2f..", "A%0d%0aX:%201", "run%00", &"x".repeat(300)] {
        let (status, answer) = held.raw(&format!("GET /v1/runs/{id}/api/processes"), "").await;
        assert!((400..500).contains(&status) && !answer.contains("\r\nX:"), "{id}: {answer}");
    }
    assert_eq!(held.raw(&format!("GET /v1/runs/{run}/api/exec"), "").await.0, 405, "another method");
    assert_eq!(held.raw(&format!("DELETE /v1/runs/{run}/api/files"), "").await.0, 405);
    assert_eq!(held.raw(&format!("GET /v1/runs/{run}/api/nothing"), "").await.0, 404);
    assert_eq!(held.raw("GET /v1/runs/run-none/api/processes", "").await.0, 404);
    // An upgrade that the agent does not agree to, and headers that name others as their connection's.
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (status, answer) = held.raw(&format!("GET /v1/runs/{run}/api/processes"), upgrade).await;
    assert!(status == 200 && !answer.to_lowercase().contains("upgrade: websocket"), "{answer}");
    let named = "X-Once: 1\r\nConnection: x-once, authorization\r\n";
    let (status, answer) = held.raw(&format!("GET /v1/runs/{run}/proxy/{port}/page"), named).await;
    assert!(status == 200 && !answer.contains("x-once"), "{answer}");
    held.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_up_and_an_agent_that_is_gone_say_what_to_do() {
    let mut held = Held::start("inside-gone").await;
    let port = app().await;
    let waiting = held.stand.launch(&held.gateway.url).await;
    let ask = async |run: &str, path: &str| {
        let url = format!("{}/v1/runs/{run}{path}", held.gateway.url);
        let answer = held.stand.ask(Method::GET, &url).bearer_auth(&held.enters).send().await.expect("an answer");
        let (status, body) = json_of(answer).await;
        (status.as_u16(), body["detail"].as_str().unwrap_or_default().to_owned())
    };
    for path in ["/api/files", "/log", "/proxy/80/"] {
        let (status, detail) = ask(&waiting, path).await;
        assert!(status == 409 && detail.contains("no sandbox yet") && detail.contains("until=ready"), "{detail}");
    }
    let (status, detail) = ask(&held.run, "/log").await;
    assert!(status == 409 && detail.contains("launched no app"), "{detail}");
    // Something that is no agent answers in its place, then nobody.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = listener.local_addr().expect("an address").port();
    drop(listener);
    let (status, detail) = ask(&held.run, &format!("/proxy/{nobody}/")).await;
    assert!(
        status == 502 && detail.contains(&format!("nothing listens on port {nobody}")),
        "the agent's words: {detail}"
    );
    held.agent.terminate();
    for path in ["/api/files".to_owned(), format!("/proxy/{port}/")] {
        let (status, detail) = ask(&held.run, &path).await;
        assert!(status == 502 && detail.contains("cannot be reached") && detail.contains(&held.run), "{detail}");
    }
    let name = format!("{}-0", crate::claims::POOL);
    held.stand.operator.status(&name, json!({"phase": "Hibernated"})).await;
    eventually("it sleeps", async || match ask(&held.run, "/api/files").await {
        (409, detail) if detail.contains(&format!("sandbar wake {}", held.run)) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let over = json!({"phase": "Failed", "reason": "InstanceLost", "endedAt": "2026-11-22T11:00:00Z"});
    held.stand.operator.status(&name, over).await;
    eventually("it has ended", async || match ask(&held.run, "/api/files").await {
        (409, detail) if detail.contains("has ended (InstanceLost)") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    held.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_take_the_token_of_its_sandbox_is_no_lack_of_a_right() {
    let agent = Agent::start_with(|command| _ = command.env("SANDBOX_API_TOKEN", "another"));
    let held = Held::with("inside-wrong", agent, 502).await;
    let (_, told) = held.get("/api/processes").await;
    assert!(told.contains("does not take the token of its sandbox") && told.contains(&held.run), "{told}");
    held.gateway.stop().await;
}
