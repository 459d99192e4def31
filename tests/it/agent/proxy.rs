//! `/proxy/{port}/{path}`.

use super::apps::{Wire, listen, nobody, serve};
use super::{Agent, TOKEN};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message as Inner, WebSocketUpgrade};
use axum::http::{HeaderMap, Uri};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::any;
use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use reqwest::redirect::Policy;
use serde_json::json;
use std::convert::Infallible;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// An app that says what it is asked for.
async fn says_uri() -> u16 {
    serve(Router::new().fallback(async |uri: Uri| uri.to_string())).await
}

/// An app that gives back what it gets over a WebSocket, and ends it with a reason.
pub async fn echoes() -> u16 {
    let route = any(async |upgrade: WebSocketUpgrade| {
        upgrade.protocols(["chat"]).on_upgrade(async |mut socket| {
            while let Some(Ok(message)) = socket.recv().await {
                if matches!(&message, Inner::Text(text) if text.as_str() == "end") {
                    let frame = axum::extract::ws::CloseFrame { code: 4001, reason: "as asked".into() };
                    let _ = socket.send(Inner::Close(Some(frame))).await;
                } else if matches!(message, Inner::Text(_) | Inner::Binary(_)) && socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    });
    serve(Router::new().route("/deep/ws", route)).await
}

fn answer_limit(milliseconds: u32) -> Agent {
    Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).args(["--answer-limit-ms", &milliseconds.to_string()]);
    })
}

/// Whatever passes over a WebSocket passes through the proxy.
pub async fn converse(address: String, auth: Option<&str>) {
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
    if let Some(auth) = auth {
        request.headers_mut().insert("authorization", auth.parse().unwrap());
    }
    let (mut socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    let large = vec![7; 3_000_000];
    for message in [Message::text("hé"), Message::binary(large), Message::text("")] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(Message::text("end")).await.unwrap();
    let end = CloseFrame { code: CloseCode::Library(4001), reason: "as asked".into() };
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(Some(end)));
    assert!(socket.next().await.is_none_or(|last| last.is_err()));
}

#[tokio::test]
async fn pieces_pass_both_ways_as_they_come() {
    let agent = Agent::start();
    let (listener, port) = listen().await;
    let mut client = Wire::to(&agent).await;
    let head = format!("POST /proxy/{port}/x HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n");
    client.say(&format!("{head}transfer-encoding: chunked\r\n\r\n3\r\none\r\n")).await;
    let mut app = Wire::accepted(&listener).await;
    assert!(app.head().await.starts_with("POST /x HTTP/1.1\r\n"));
    app.hear("one").await;
    // The answer begins while the question goes on.
    app.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nuno\r\n").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 OK\r\n"));
    client.hear("uno").await;
    client.say("3\r\ntwo\r\n0\r\n\r\n").await;
    app.hear("two\r\n0\r\n\r\n").await;
    app.say("3\r\ndos\r\n").await;
    client.hear("dos").await;
    app.say("0\r\n\r\n").await;
    client.hear("0\r\n\r\n").await;
}

/// The most memory that the agent ever had, in KiB.
fn peak(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn bodies_of_any_length_pass_in_flat_memory() {
    const PIECES: usize = 4096;
    const PIECE: usize = 64 * 1024;
    let piece = || Ok::<_, Infallible>(Bytes::from_static(&[1; PIECE]));
    let pieces = move || Body::from_stream(stream::repeat_with(piece).take(PIECES));
    let take = any(async |body: Body| {
        let mut body = body.into_data_stream();
        let mut taken = 0;
        while let Some(piece) = body.next().await {
            taken += piece.unwrap().len();
        }
        taken.to_string()
    });
    let port = serve(Router::new().route("/take", take).route("/give", any(async move || pieces()))).await;
    let agent = Agent::start();
    let http = reqwest::Client::new();
    let at = |path: &str| format!("{}/proxy/{port}/{path}", agent.base);
    http.get(at("nothing")).bearer_auth(TOKEN).send().await.unwrap();
    let before = peak(&agent);
    let sent = http.post(at("take")).bearer_auth(TOKEN);
    let sent = sent.body(reqwest::Body::wrap_stream(pieces().into_data_stream())).send().await.unwrap();
    assert_eq!(sent.text().await.unwrap(), (PIECES * PIECE).to_string());
    let mut given = http.get(at("give")).bearer_auth(TOKEN).send().await.unwrap();
    let mut length = 0;
    while let Some(piece) = given.chunk().await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, PIECES * PIECE);
    let grown = peak(&agent) - before;
    assert!(grown < 16 * 1024, "{grown} KiB for 256 MiB each way");
}

#[tokio::test]
async fn headers_of_one_connection_and_the_token_stay_with_the_agent() {
    let agent = Agent::start();
    let (listener, port) = listen().await;
    let mut client = Wire::to(&agent).await;
    client
        .say(&format!(
            "GET /proxy/{port}/a?b=c HTTP/1.1\r\nhost: box.example\r\nauthorization: Bearer {TOKEN}\r\n\
             connection: keep-alive, x-mine\r\nkeep-alive: timeout=9\r\nx-mine: 1\r\nte: trailers\r\n\
             proxy-authorization: Bearer {TOKEN}\r\nproxy-connection: keep-alive\r\nupgrade: h2c\r\n\
             x-forwarded-proto: https\r\ncookie: kept=1\r\nx-other: kept\r\n\r\n"
        ))
        .await;
    let mut app = Wire::accepted(&listener).await;
    let head = app.head().await;
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /a?b=c HTTP/1.1");
    lines.sort_unstable();
    let mut want = vec![
        format!("host: localhost:{port}"),
        "x-forwarded-host: box.example".to_owned(),
        "x-forwarded-proto: https".to_owned(),
        format!("x-forwarded-prefix: /proxy/{port}"),
        "cookie: kept=1".to_owned(),
        "x-other: kept".to_owned(),
        "via: 1.1 sandbar".to_owned(),
    ];
    want.sort_unstable();
    assert_eq!(lines, want);
    app.say(
        "HTTP/1.1 201 Made\r\nconnection: x-theirs\r\nx-theirs: 1\r\nkeep-alive: timeout=9\r\nlocation: /login\r\n\
         set-cookie: a=1; Path=/; Domain=example.com\r\nx-kept: 1\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    for gone in ["x-theirs", "timeout=9", "Domain"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
    for kept in ["x-kept: 1", "location: /login", "content-length: 2", &format!("a=1; Path=/proxy/{port}/\r\n")] {
        assert!(head.contains(kept), "{kept} not in {head}");
    }
    client.hear("ok").await;
}

#[tokio::test]
async fn whatever_the_path_holds_it_leads_to_the_apps_port_only() {
    let agent = Agent::start();
    let (port, other) = (says_uri().await, says_uri().await);
    for path in [
        "/".to_owned(),
        "/a//b?c=%2F&d=../e".to_owned(),
        format!("/../{other}/x"),
        format!("/..%2f{other}%2Fx"),
        "/%2e%2e/%2e%2e/api/processes".to_owned(),
        "/../../api/processes".to_owned(),
        "//api/processes".to_owned(),
        "/%00%0d%0a%C3%A4".to_owned(),
    ] {
        let mut client = Wire::to(&agent).await;
        let head = format!("GET /proxy/{port}{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n");
        client.say(&format!("{head}connection: close\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
        // An app that takes whole addresses apart sees its own.
        client.hear(path.trim_start_matches('/')).await;
    }
    for path in [format!("/proxy%2F{port}/x"), format!("/proxy/../proxy/{port}/x"), format!("//proxy/{port}/x")] {
        let mut client = Wire::to(&agent).await;
        client.say(&format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 4"), "{path}: {head}");
    }
}

#[tokio::test]
async fn every_method_passes_with_its_body_and_status() {
    let app = any(async |method: axum::http::Method, headers: HeaderMap, body: Bytes| {
        let length = headers.get("content-length").map(|length| length.to_str().unwrap().to_owned());
        let seen = format!("{method} {} {length:?}", String::from_utf8_lossy(&body));
        (axum::http::StatusCode::IM_A_TEAPOT, AppendHeaders([("x-seen", seen)]), "short and stout").into_response()
    });
    let port = serve(Router::new().route("/pot", app)).await;
    let agent = Agent::start();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = reqwest::Client::new().request(method.clone(), format!("{}/proxy/{port}/pot", agent.base));
        let answer = request.bearer_auth(TOKEN).body("tea").send().await.unwrap();
        assert_eq!(answer.status(), 418, "{method}");
        assert_eq!(answer.headers()["x-seen"], format!("{method} tea Some(\"3\")"));
        let body = answer.text().await.unwrap();
        assert_eq!(body, if method == "HEAD" { "" } else { "short and stout" });
    }
}

#[tokio::test]
async fn a_websocket_passes_both_ways() {
    let agent = Agent::start();
    let port = echoes().await;
    let address = format!("{}/proxy/{port}/deep/ws", agent.base.replace("http", "ws"));
    converse(address.clone(), Some(&format!("Bearer {TOKEN}"))).await;
    for (auth, want) in [(None, 401), (Some("Bearer another"), 403)] {
        let mut request = address.clone().into_client_request().unwrap();
        if let Some(auth) = auth {
            request.headers_mut().insert("authorization", auth.parse().unwrap());
        }
        match tokio_tungstenite::connect_async(request).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), want),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_app_that_is_not_there_or_no_web_app_is_502() {
    let agent = Agent::start();
    let port = nobody().await;
    let (status, answer) = agent.call("GET", &format!("/proxy/{port}/"), None).await;
    let detail = answer["detail"].as_str().unwrap();
    assert!(
        status == 502 && detail.contains(&format!("nothing listens on port {port} inside the sandbox")),
        "{answer}"
    );
    for said in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let (listener, port) = listen().await;
        let (call, ()) = tokio::join!(async { agent.call("GET", &format!("/proxy/{port}/"), None).await }, async {
            let mut app = Wire::accepted(&listener).await;
            app.head().await;
            app.say(said).await;
        });
        assert_eq!(call.0, 502, "{said:?}");
        assert!(call.1["detail"].as_str().unwrap().contains(&format!("the app on port {port} broke off")), "{call:?}");
    }
}

#[tokio::test]
async fn an_app_that_says_nothing_is_504_and_is_let_go() {
    let agent = answer_limit(300);
    let (listener, port) = listen().await;
    let (status, answer) = agent.call("GET", &format!("/proxy/{port}/"), None).await;
    let detail = answer["detail"].as_str().unwrap();
    assert!(status == 504 && detail.contains(&format!("port {port} sent no answer within 0.3 s")), "{answer}");
    let mut app = Wire::accepted(&listener).await;
    app.head().await;
    app.end().await;
}

#[tokio::test]
async fn an_answer_that_has_begun_may_take_its_time() {
    let agent = answer_limit(500);
    let (listener, port) = listen().await;
    let mut client = Wire::to(&agent).await;
    client.say(&format!("GET /proxy/{port}/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n")).await;
    let mut app = Wire::accepted(&listener).await;
    app.head().await;
    app.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab").await;
    client.hear("ab").await;
    // Another request runs into the limit meanwhile: so much time has passed.
    assert_eq!(agent.call("GET", &format!("/proxy/{port}/"), None).await.0, 504);
    app.say("cd").await;
    client.hear("cd").await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_the_connection_to_the_app_along() {
    let agent = Agent::start();
    let (listener, port) = listen().await;
    for begun in [true, false] {
        let mut client = Wire::to(&agent).await;
        client.say(&format!("GET /proxy/{port}/ HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n")).await;
        let mut app = Wire::accepted(&listener).await;
        app.head().await;
        if begun {
            app.say("HTTP/1.1 200 OK\r\n\r\nfor ever").await;
            client.hear("ever").await;
        }
        drop(client);
        app.end().await;
    }
}

#[tokio::test]
async fn ports_that_are_none_or_the_agents_own_are_refused() {
    let agent = Agent::start();
    let own = agent.base.rsplit(':').next().unwrap();
    for (port, words) in
        [("0", "use 1 to 65535"), ("65536", "not a port"), ("http", "not a port"), ("+80", "not a port"), (own, "own")]
    {
        for path in [format!("/proxy/{port}/"), format!("/proxy/{port}/x"), format!("/proxy/{port}")] {
            let (status, answer) = agent.call("GET", &path, None).await;
            let violation = &answer["detail"][0];
            assert_eq!((status, &violation["loc"]), (422, &json!(["path", "port"])), "{path}: {answer}");
            assert!(violation["msg"].as_str().unwrap().contains(words), "{answer}");
        }
    }
}

#[tokio::test]
async fn without_a_slash_the_client_is_sent_to_the_form_with_one() {
    let agent = Agent::start();
    let port = says_uri().await;
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let request = http.post(format!("{}/proxy/{port}?a=b%20c", agent.base)).bearer_auth(TOKEN);
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (308, &format!("{port}/?a=b%20c").parse().unwrap())
    );
    let followed = reqwest::Client::new().get(format!("{}/proxy/{port}?a=b", agent.base)).bearer_auth(TOKEN);
    assert_eq!(followed.send().await.unwrap().text().await.unwrap(), "/?a=b");
}

#[tokio::test]
async fn an_app_may_listen_on_the_other_loopback_address() {
    // Not every machine has it.
    let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else { return };
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async { axum::serve(listener, Router::new().fallback(async || "six")).await });
    let agent = Agent::start();
    let request = reqwest::Client::new().get(format!("{}/proxy/{port}/", agent.base)).bearer_auth(TOKEN);
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "six");
}
