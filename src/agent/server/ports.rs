//! Sandbar extension, `GET /api/ports/{port}`: one TCP connection to a port of the sandbox inside a WebSocket, for
//! whatever is not HTTP ([`crate::agent::tunnel`]).

use super::Shared;
use super::problem::Problem;
use super::proxy;
use crate::agent::tunnel::{Frame, MAX_MESSAGE, Pulse, carry};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};
use std::future::ready;
use std::time::Duration;
use tokio::net::TcpStream;

/// Connects first: where nobody listens, the answer is a plain one.
pub async fn tunnel(
    State(agent): State<Shared>,
    Path(port): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let port = proxy::number(&port, agent.port)?;
    let upgrade = upgrade.map_err(|no| Problem::Bad(format!("this route is a WebSocket: {}", no.body_text())))?;
    let tcp = proxy::connect(&agent, port).await?;
    let heartbeat = agent.heartbeat;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, tcp, heartbeat)))
}

async fn serve(socket: WebSocket, tcp: TcpStream, heartbeat: Duration) {
    let (out, incoming) = socket.split();
    let out = out.with(|frame| {
        ready(Ok::<_, axum::Error>(match frame {
            Frame::Data(bytes) => Message::Binary(bytes),
            Frame::Beat => Message::Ping(Bytes::new()),
            Frame::Close => Message::Close(None),
        }))
    });
    let incoming = incoming.map_ok(|message| match message {
        Message::Binary(bytes) => Frame::Data(bytes),
        Message::Text(text) => Frame::Data(text.into()),
        Message::Ping(_) | Message::Pong(_) => Frame::Beat,
        Message::Close(_) => Frame::Close,
    });
    // Whoever is at the other end has seen it break, too.
    let _ = carry(tcp, out, incoming, Pulse::Gives(heartbeat)).await;
}
