//! A program on a terminal, over a WebSocket.

use super::{AgentClient, AgentError, CONNECT};
use crate::agent::wire::{TerminalControl, TerminalEnd, TerminalRequest};
use crate::failure::chain;
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::{HeaderValue, header};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Four of the agent's heartbeats.
const SILENCE: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the terminal tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// What the program wrote, as it is.
    Output(Bytes),
    /// The program has ended with this code; minus the signal number when a signal ended it. The last one.
    Exit(i32),
}

/// The way to the program. The program ends when both ways are dropped.
#[derive(Debug)]
pub struct TerminalInput(SplitSink<Socket, Message>);

/// The way from the program.
#[derive(Debug)]
pub struct TerminalOutput(SplitStream<Socket>);

impl AgentClient {
    /// Starts a program on a terminal. Sandbar's own agent only: others answer [`AgentError::NotFound`].
    ///
    /// # Errors
    /// [`AgentError::Invalid`] for a request that does not fit, [`AgentError::Busy`] when there are too many.
    pub async fn terminal(&self, request: &TerminalRequest) -> Result<(TerminalInput, TerminalOutput), AgentError> {
        let ordinary = self.request(reqwest::Method::GET, &["api", "terminal"]).query(request).build();
        let mut url = ordinary.map_err(AgentError::from_transport)?.url().clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        let bad = |detail: String| AgentError::Invalid { detail };
        url.set_scheme(scheme).map_err(|()| bad(format!("{url} is not the address of an agent")))?;
        let mut upgrade = url.as_str().into_client_request().map_err(|error| bad(chain(&error)))?;
        if let Some(token) = &self.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| bad("the token holds what no header can hold".to_owned()))?;
            value.set_sensitive(true);
            upgrade.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let connecting = timeout(CONNECT, connect_async_with_config(upgrade, None, true));
        let (socket, _) = connecting.await.map_err(|_| AgentError::silent(CONNECT))?.map_err(refused)?;
        let (sink, stream) = socket.split();
        Ok((TerminalInput(sink), TerminalOutput(stream)))
    }
}

impl TerminalInput {
    /// Types this.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] when the connection is broken.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), AgentError> {
        self.0.send(Message::Binary(bytes.into())).await.map_err(broke)
    }

    /// Tells a new size, each side 1 to 1000 characters.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn resize(&mut self, cols: u16, rows: u16) -> Result<(), AgentError> {
        let control = TerminalControl::Resize { cols: cols.into(), rows: rows.into() };
        let text = serde_json::to_string(&control).unwrap_or_default();
        self.0.send(Message::text(text)).await.map_err(broke)
    }
}

impl TerminalOutput {
    /// What comes next; after [`Shown::Exit`] nothing does. Cancel-safe.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] when the connection broke, [`AgentError::Timeout`] when not even a heartbeat came.
    pub async fn next(&mut self) -> Result<Shown, AgentError> {
        loop {
            let message = timeout(SILENCE, self.0.next()).await.map_err(|_| AgentError::silent(SILENCE))?;
            match message {
                Some(Ok(Message::Binary(bytes))) => return Ok(Shown::Output(bytes)),
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                    Ok(TerminalEnd::Exit { code }) => return Ok(Shown::Exit(code)),
                    Err(error) => return Err(AgentError::Unexpected { status: 101, detail: error.to_string() }),
                },
                Some(Ok(Message::Close(Some(frame)))) if !frame.reason.is_empty() => {
                    return Err(AgentError::Invalid { detail: frame.reason.to_string() });
                }
                Some(Ok(Message::Close(_))) | None => {
                    let detail = "the terminal was closed before its program had ended".to_owned();
                    return Err(AgentError::Unreachable { detail });
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(broke(error)),
            }
        }
    }
}

fn refused(error: Error) -> AgentError {
    match error {
        Error::Http(answer) => AgentError::from_status(answer.status(), answer.body().as_deref().unwrap_or_default()),
        other => AgentError::Unreachable { detail: chain(&other) },
    }
}

fn broke(error: Error) -> AgentError {
    AgentError::Unreachable { detail: chain(&error) }
}
