//! `GET /api/ports/{port}`: TCP through a WebSocket.

use super::apps::{listen, nobody};
use super::{Agent, TOKEN};
use sandbar::agent::client::{AgentClient, AgentError, TunnelError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(30);

/// A connection to this port of the sandbox, as a program here has it, and what becomes of the tunnel.
async fn connected(client: &AgentClient, port: u16) -> (TcpStream, tokio::task::JoinHandle<bool>) {
    let tunnel = client.tunnel(port).await.unwrap();
    let (listener, local) = listen().await;
    let here = TcpStream::connect(("127.0.0.1", local)).await.unwrap();
    let carried = listener.accept().await.unwrap().0;
    (here, tokio::spawn(async move { tunnel.carry(carried).await.is_ok() }))
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_way_ends_by_itself() {
    let agent = Agent::start();
    let (listener, port) = listen().await;
    let (mut here, tunnel) = connected(&agent.client(), port).await;
    let (mut there, _) = listener.accept().await.unwrap();
    let question: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let sent = question.clone();
    let asking = tokio::spawn(async move {
        here.write_all(&sent).await.unwrap();
        here.shutdown().await.unwrap();
        let mut answer = Vec::new();
        here.read_to_end(&mut answer).await.unwrap();
        answer
    });
    let mut seen = Vec::new();
    timeout(WITHIN, there.read_to_end(&mut seen)).await.unwrap().unwrap();
    assert!(seen == question);
    // The other way is still open, and answers after the end of the question.
    seen.reverse();
    there.write_all(&seen).await.unwrap();
    drop(there);
    let answer = timeout(WITHIN, asking).await.unwrap().unwrap();
    assert!(answer == seen);
    assert!(timeout(WITHIN, tunnel).await.unwrap().unwrap(), "it ended as it should");
}

#[tokio::test]
async fn a_connection_that_breaks_there_breaks_here() {
    let mut agent = Agent::start();
    let (listener, port) = listen().await;
    let (mut here, tunnel) = connected(&agent.client(), port).await;
    let (mut there, _) = listener.accept().await.unwrap();
    there.write_all(b"half").await.unwrap();
    let mut half = [0; 4];
    here.read_exact(&mut half).await.unwrap();
    there.set_zero_linger().unwrap();
    drop(there);
    let end = timeout(WITHIN, here.read_to_end(&mut Vec::new())).await.unwrap();
    assert!(end.is_err(), "a reset there looks like an end here");
    assert!(!tunnel.await.unwrap());

    let (mut here, tunnel) = connected(&agent.client(), port).await;
    let _there = listener.accept().await.unwrap();
    agent.terminate();
    assert!(timeout(WITHIN, here.read_to_end(&mut Vec::new())).await.unwrap().is_err());
    assert!(!tunnel.await.unwrap());
}

#[tokio::test]
async fn silence_is_filled_with_signs_of_life() {
    let agent = Agent::start_with(|command| {
        command.env("SANDBOX_API_TOKEN", TOKEN).args(["--heartbeat-ms", "30"]);
    });
    let (listener, port) = listen().await;
    let request = reqwest::Client::new().get(format!("{}/api/ports/{port}", agent.base)).bearer_auth(TOKEN);
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    let mut socket = request.send().await.unwrap().upgrade().await.unwrap();
    let _there = listener.accept().await.unwrap();
    let mut frames = [0; 6];
    timeout(WITHIN, socket.read_exact(&mut frames)).await.unwrap().unwrap();
    // Three pings without content.
    assert_eq!(frames, [0x89, 0, 0x89, 0, 0x89, 0]);
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_said_before_anything_is_upgraded() {
    let agent = Agent::start();
    let client = agent.client();
    let port = nobody().await;
    let error = client.tunnel(port).await.unwrap_err();
    assert!(matches!(&error, TunnelError::NobodyListens { detail } if detail.contains(&port.to_string())), "{error:?}");
    let own = agent.base.rsplit(':').next().unwrap().parse().unwrap();
    for port in [0, own] {
        let error = client.tunnel(port).await.unwrap_err();
        assert!(matches!(error, TunnelError::Agent(AgentError::Invalid { .. })), "{error:?}");
    }
    let stranger = AgentClient::new(&agent.base, Some("another")).unwrap();
    let error = stranger.tunnel(port).await.unwrap_err();
    assert!(matches!(error, TunnelError::Agent(AgentError::Forbidden { .. })), "{error:?}");
    let (_listener, port) = listen().await;
    let (status, answer) = agent.call("GET", &format!("/api/ports/{port}"), None).await;
    assert!(status == 400 && answer["detail"].as_str().unwrap().contains("WebSocket"), "{status} {answer}");
}

#[tokio::test]
async fn an_agent_without_the_route_is_told_from_an_app_that_is_not_there() {
    let client = super::foreign::client(axum::Router::new()).await;
    assert_eq!(client.tunnel(5000).await.unwrap_err(), TunnelError::Unsupported);
    let page = axum::routing::any(async || (axum::http::StatusCode::BAD_GATEWAY, "<html>no</html>"));
    let edge = super::foreign::client(axum::Router::new().fallback(page)).await;
    let error = edge.tunnel(5000).await.unwrap_err();
    assert!(matches!(error, TunnelError::Agent(AgentError::Unreachable { .. })), "{error:?}");
}
