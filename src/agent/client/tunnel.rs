//! TCP connections to ports of a sandbox, through its agent.

use super::{AgentClient, AgentError, ORDINARY, refused};
use crate::agent::tunnel::{Broken, Frame, MAX_MESSAGE, Pulse, carry};
use futures::{SinkExt, StreamExt, TryStreamExt};
use http::{Method, StatusCode, header};
use reqwest::Upgraded;
use std::future::ready;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Silence after which a tunnel is given up: the agent gives a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection to a port of a sandbox, not in use yet.
#[derive(Debug)]
pub struct Tunnel {
    socket: WebSocketStream<Upgraded>,
}

/// Why there is no connection to a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelError {
    /// Nobody listens there, inside the sandbox.
    #[error("{detail}")]
    NobodyListens {
        /// The agent's words.
        detail: String,
    },
    /// The agent has no such route: it is not Sandbar's own, or an older one.
    #[error("the agent in this sandbox cannot forward ports")]
    Unsupported,
    /// Anything else.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

impl AgentClient {
    /// Connects to a TCP port inside the sandbox, on its 127.0.0.1 or ::1. Sandbar's own agent only.
    ///
    /// # Errors
    /// [`TunnelError`].
    pub async fn tunnel(&self, port: u16) -> Result<Tunnel, TunnelError> {
        let key = generate_key();
        let request = self
            .request(Method::GET, &["api", "ports", &port.to_string()])
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, &key);
        let silent = || AgentError::silent(ORDINARY);
        let response = tokio::time::timeout(ORDINARY, request.send()).await.map_err(|_| silent())?;
        let response = response.map_err(AgentError::from_transport)?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => {}
            StatusCode::NOT_FOUND => return Err(TunnelError::Unsupported),
            status => {
                let (error, own) = refused(response).await;
                return Err(match error {
                    AgentError::Unreachable { detail } if own && status == StatusCode::BAD_GATEWAY => {
                        TunnelError::NobodyListens { detail }
                    }
                    error => error.into(),
                });
            }
        }
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            let detail = "the answer to the WebSocket's handshake is not one to ours".to_owned();
            return Err(AgentError::Unexpected { status: 101, detail }.into());
        }
        let upgraded = response.upgrade().await.map_err(AgentError::from_transport)?;
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        Ok(Tunnel { socket: WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await })
    }
}

impl Tunnel {
    /// Joins it with a local connection until both sides have said their last.
    ///
    /// # Errors
    /// When either broke before; the local connection has then been reset.
    pub async fn carry(self, connection: TcpStream) -> Result<(), Broken> {
        let (out, incoming) = self.socket.split();
        let out = out.with(|frame| {
            ready(Ok::<_, Error>(match frame {
                Frame::Data(bytes) => Message::Binary(bytes),
                Frame::Beat => Message::Ping(bytes::Bytes::new()),
                Frame::Close => Message::Close(None),
            }))
        });
        let incoming = incoming.map_ok(|message| match message {
            Message::Binary(bytes) => Frame::Data(bytes),
            Message::Text(text) => Frame::Data(text.into()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Frame::Beat,
            Message::Close(_) => Frame::Close,
        });
        carry(connection, out, incoming, Pulse::Wants(SILENCE)).await
    }
}
