//! What a caller without a token may in a sandbox.

use reqwest::Method;
use sandbar::agent::wire::BackgroundRequest;
use sandbar::gateway::Settings;
use serde_json::{Value, json};

use super::super::{Stand, json_of};
use super::{app, bind, claim};
use crate::agent::{Agent, TOKEN};
use crate::wait::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_caller_reads_the_log_and_opens_the_app_and_nothing_else() {
    let stand = Stand::start("inside-demo").await;
    let gateway = stand.gateway(Settings { demo: true, ..Settings::default() }).await;
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let request = stand.ask(method, &format!("{}{path}", gateway.url));
        let request = body.iter().fold(request, |request, body| request.json(body));
        let (status, body) = json_of(request.send().await.expect("an answer")).await;
        (status.as_u16(), body.to_string())
    };
    let agent = Agent::start();
    let (open, closed) = (app().await, app().await);
    let process = agent
        .client()
        .exec_background(&BackgroundRequest::new("echo begun; echo a line; sleep 1000"))
        .await
        .expect("begun");
    let somebodys = stand.operator.member(0, "Warm", &agent.base).await;
    stand.operator.token(&somebodys, TOKEN).await;
    let theirs = claim(&stand).await;

    let (status, launched) = ask(Method::POST, "/api/launch/warm", Some(json!({"game": "snake"}))).await;
    assert_eq!(status, 202, "{launched}");
    let request = stand.requests().await.pop().expect("a request");
    let own = request.metadata.name.clone().expect("a name");
    let (status, told) = ask(Method::GET, &format!("/v1/runs/{own}/log"), None).await;
    assert!(status == 409 && told.contains("no sandbox yet"), "{told}");
    let member = stand.operator.member(1, "Warm", &agent.base).await;
    stand.operator.token(&member, TOKEN).await;
    bind(&stand, &request, &member, Some((open, process.pid))).await;

    eventually("its log is there", async || match ask(Method::GET, &format!("/v1/runs/{own}/log"), None).await {
        (200, told) if json!({"logs": "begun\na line\n"}) == told.parse::<serde_json::Value>().unwrap_or_default() => {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    })
    .await;
    let tail = ask(Method::GET, &format!("/v1/runs/{own}/log?tail=1"), None).await;
    assert_eq!(tail.1, json!({"logs": "a line\n"}).to_string());
    let follow = stand.ask(Method::GET, &format!("{}/v1/runs/{own}/log?follow=true", gateway.url));
    let mut followed = super::super::sse::Stream::open(follow).await;
    for line in ["begun", "a line"] {
        assert_eq!(followed.next().await.expect("a line").data["line"], line);
    }
    drop(followed);
    let (status, page) = ask(Method::GET, &format!("/v1/runs/{own}/proxy/{open}/page"), None).await;
    assert!(status == 200 && page.contains("GET /page"), "{status} {page}");

    let port = format!("/proxy/{closed}/page");
    let inside = [
        (Method::GET, port.as_str(), None),
        (Method::POST, "/api/exec", Some(json!({"command": "true"}))),
        (Method::GET, "/api/processes", None),
        (Method::GET, "/api/files", None),
        (Method::GET, "/api/sessions", None),
        (Method::PUT, "/api/files/raw?path=x", Some(json!(1))),
        (Method::GET, "/api/terminal", None),
        (Method::GET, "/api/ports/80", None),
    ];
    for (method, path, body) in inside {
        let (status, told) = ask(method, &format!("/v1/runs/{own}{path}"), body).await;
        assert!(status == 403 && told.contains("needs a token"), "{path}: {status} {told}");
    }
    for path in ["/log".to_owned(), format!("/proxy/{open}/page")] {
        let (status, told) = ask(Method::GET, &format!("/v1/runs/{theirs}{path}"), None).await;
        let unknown = ask(Method::GET, &format!("/v1/runs/run-none{path}"), None).await.1;
        assert!(status == 404 && told.replace(&theirs, "run-none") == unknown, "{path}: {status} {told}");
    }
    gateway.stop().await;
}
