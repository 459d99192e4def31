//! Who may do what in a sandbox.

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::super::{Stand, json_of};
use super::{Held, app, bind};
use crate::agent::{Agent, TOKEN};
use crate::wait::eventually;
use futures::{SinkExt, StreamExt};
use sandbar::gateway::Settings;

impl Held {
    async fn ask(&self, method: &Method, path: &str, body: Option<&Value>, token: Option<&str>) -> (u16, String) {
        let request = self.stand.ask(method.clone(), &format!("{}{path}", self.url));
        let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
        let request = body.into_iter().fold(request, |request, body| request.json(body));
        let (status, body) = json_of(request.send().await.expect("an answer")).await;
        (status.as_u16(), body["detail"].as_str().unwrap_or_default().to_owned())
    }

    /// Opens a WebSocket; the status and words of a refusal otherwise.
    async fn socket(&self, path: &str, token: Option<&str>) -> Result<super::streams::Socket, (u16, String)> {
        let mut request =
            format!("{}{path}", self.url.replacen("http", "ws", 1)).into_client_request().expect("a request");
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a value"));
        }
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => {
                let body: Value =
                    serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap_or_default();
                Err((answer.status().as_u16(), body["detail"].as_str().unwrap_or_default().to_owned()))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_of_a_sandbox_is_a_right_of_its_own_over_http_and_sse() {
    let held = Held::start("inside-rights").await;
    let stand = &held.stand;
    let (nobody, viewer) = (stand.somebody("nobody", None).await, stand.somebody("viewer", Some("sandbar-view")).await);
    let port = app().await;
    let (command, session) = (json!({"command": "echo in"}), json!({"session_id": "s"}));
    let file = json!({"path": "x", "content": "y"});
    let routes: [(Method, String, Option<&Value>, &str); 16] = [
        (Method::POST, "/api/exec".into(), Some(&command), "create sandboxes/exec"),
        (Method::POST, "/api/exec/stream".into(), Some(&command), "create sandboxes/exec"),
        (Method::POST, "/api/exec/background".into(), Some(&command), "create sandboxes/exec"),
        (Method::POST, "/api/sessions".into(), Some(&session), "create sandboxes/exec"),
        (Method::GET, "/api/sessions".into(), None, "create sandboxes/exec"),
        (Method::GET, "/api/sessions/s".into(), None, "create sandboxes/exec"),
        (Method::POST, "/api/sessions/s/exec".into(), Some(&command), "create sandboxes/exec"),
        (Method::DELETE, "/api/sessions/s".into(), None, "create sandboxes/exec"),
        (Method::POST, "/api/files/content".into(), Some(&file), "create sandboxes/files"),
        (Method::PUT, "/api/files/raw?path=z".into(), Some(&file), "create sandboxes/files"),
        (Method::GET, "/api/files".into(), None, "get sandboxes/files"),
        (Method::GET, "/api/files/content?path=x".into(), None, "get sandboxes/files"),
        (Method::GET, "/api/files/download?path=x".into(), None, "get sandboxes/files"),
        (Method::GET, "/api/processes".into(), None, "get sandboxes/log"),
        (Method::GET, format!("/proxy/{port}/page"), None, "create sandboxes/proxy"),
        (Method::POST, format!("/proxy/{port}/page"), Some(&file), "create sandboxes/proxy"),
    ];
    for (method, path, body, missing) in routes {
        let ask = async |token: Option<&str>| held.ask(&method, &path, body, token).await;
        let (status, detail) = ask(None).await;
        assert_eq!((status, detail.contains("Authorization: Bearer")), (401, true), "{path}");
        let (status, detail) = ask(Some("eyJhbGciOiJub25lIn0.e30.")).await;
        assert_eq!((status, detail.contains("does not know this token")), (401, true), "{path}");
        // Neither one without any right, nor one who may launch, see and end runs, as the holder of this one may.
        for token in [&nobody, &stand.token] {
            let (status, detail) = ask(Some(token)).await;
            assert_eq!((status, detail.contains(&format!("may not {missing}"))), (403, true), "{path}: {detail}");
            assert!(detail.contains("ask for ClusterRole sandbar-enter"), "{detail}");
        }
        let views = missing == "get sandboxes/log";
        crate::wait::eventually(&format!("what a viewer may {path}"), async || {
            let status = ask(Some(&viewer)).await.0;
            if status == if views { 200 } else { 403 } { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        let (status, detail) = ask(Some(&held.enters)).await;
        assert_eq!(status, 200, "{path}: {detail}");
    }
    // Entering is not seeing: the run itself is another right.
    assert_eq!(held.ask(&Method::GET, "", None, Some(&held.enters)).await.0, 403);
    held.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_to_an_app_is_for_its_holder_and_for_those_who_may_use_apps() {
    let stand = Stand::start("inside-link").await;
    let gateway = stand.gateway(Settings::default()).await;
    let agent = Agent::start();
    let run = stand.launch(&gateway.url).await;
    let request = stand.requests().await.pop().expect("a request");
    let member = stand.operator.member(1, "Warm", &agent.base).await;
    stand.operator.token(&member, TOKEN).await;
    bind(&stand, &request, &member, Some((app().await, 1))).await;
    let viewer = stand.somebody("viewer", Some("sandbar-view")).await;
    let player = stand.somebody("player", Some("sandbar-view")).await;
    super::super::bind(&stand.env, "player-enters", "sandbar-enter", &stand.env.namespace, "player").await;
    // Its own status, and the list of all.
    let links = async |token: &str| {
        let mut told = Vec::new();
        for (path, place) in [(format!("/v1/runs/{run}"), "/ingress_url"), ("/v1/runs".into(), "/runs/0/ingress_url")] {
            let request = stand.ask(Method::GET, &format!("{}{path}", gateway.url)).bearer_auth(token);
            let (status, body) = json_of(request.send().await.expect("an answer")).await;
            told.push((status.as_u16(), body.pointer(place).map(Value::is_string)));
        }
        told
    };
    for (token, has) in [(&stand.token, true), (&player, true), (&viewer, false)] {
        eventually("who is told the link", async || {
            let told = links(token).await;
            if told == [(200, Some(has)); 2] { Ok(()) } else { Err(format!("{told:?}, not {has}")) }
        })
        .await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_needs_its_right_as_well() {
    let held = Held::start("inside-sockets").await;
    let port = app().await;
    let routes = [
        ("/api/terminal?command=cat".to_owned(), "create sandboxes/shell"),
        (format!("/api/ports/{port}"), "create sandboxes/portforward"),
        (format!("/proxy/{port}/echo"), "create sandboxes/proxy"),
    ];
    for (path, missing) in routes {
        let refused = async |token: Option<&str>| held.socket(&path, token).await.expect_err("it is refused");
        assert_eq!(refused(None).await.0, 401, "{path}");
        assert_eq!(refused(Some("eyJhbGciOiJub25lIn0.e30.")).await.0, 401, "{path}");
        let (status, detail) = refused(Some(&held.stand.token)).await;
        assert_eq!((status, detail.contains(&format!("may not {missing}"))), (403, true), "{path}: {detail}");
        let mut socket = held.socket(&path, Some(&held.enters)).await.unwrap_or_else(|why| panic!("{path}: {why:?}"));
        match missing {
            "create sandboxes/proxy" => {
                socket.send(Message::text("hello")).await.expect("sent");
                assert_eq!(socket.next().await.expect("more").expect("a message"), Message::text("hello"));
            }
            _ => {
                let said = if missing.ends_with("shell") { "hello\n" } else { "GET /page HTTP/1.0\r\n\r\n" };
                socket.send(Message::binary(said)).await.expect("sent");
                let wanted = if missing.ends_with("shell") { "hello" } else { "GET /page" };
                super::streams::shows(&mut socket, wanted).await;
            }
        }
        drop(socket);
    }
    held.gateway.stop().await;
}
