//! One session of a console: text to and from a terminal, over a WebSocket.
//!
//! Frames are JSON texts. To the server `{"op": "stdin", "data": …}` and `{"op": "resize", "width": …, "height": …}`,
//! from it `{"data": …}`; an empty stdin now and then keeps the session alive; close code 1000 is a normal end. (As
//! the provider's own command-line client does it.)

use super::ConsoleError;
use crate::failure::chain;
use crate::providers::ConsoleAddress;
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Longest wait for the connection.
const CONNECT: Duration = Duration::from_secs(15);
/// Longest wait for the network to take what is sent.
const SEND: Duration = Duration::from_secs(60);
/// Silence after which the session is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Largest frame that is taken, in bytes.
const MAX_FRAME: usize = 4 * 1024 * 1024;
/// A terminal as wide as possible: what is typed is then echoed without line breaks.
const SIZE: (u16, u16) = (1000, 50);

/// One session.
pub struct Channel {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    sent: Instant,
}

#[derive(Deserialize)]
struct Output {
    #[serde(default)]
    data: String,
}

impl Channel {
    /// Opens the session.
    ///
    /// # Errors
    /// When the address does not open, any more or at all.
    pub async fn open(address: &ConsoleAddress) -> Result<Self, ConsoleError> {
        let config = WebSocketConfig::default().max_message_size(Some(MAX_FRAME)).max_frame_size(Some(MAX_FRAME));
        let connecting = connect_async_with_config(address.url.expose().as_str(), Some(config), true);
        let (socket, _) = timeout(CONNECT, connecting).await.map_err(|_| ConsoleError::Silent(CONNECT))?.map_err(
            |error| match error {
                Error::Http(answer) => ConsoleError::Refused { status: answer.status().as_u16() },
                other => ConsoleError::Connection { what: "could not be made", detail: chain(&other) },
            },
        )?;
        let mut channel = Self { socket, sent: Instant::now() };
        channel.frame(json!({"op": "resize", "width": SIZE.0, "height": SIZE.1})).await?;
        Ok(channel)
    }

    /// Types this.
    ///
    /// # Errors
    /// When the connection is broken, or takes nothing for a minute.
    pub async fn send(&mut self, data: &str) -> Result<(), ConsoleError> {
        self.frame(json!({"op": "stdin", "data": data})).await
    }

    async fn frame(&mut self, frame: serde_json::Value) -> Result<(), ConsoleError> {
        let sending = self.socket.send(Message::text(frame.to_string()));
        timeout(SEND, sending).await.map_err(|_| ConsoleError::Silent(SEND))?.map_err(broke)?;
        self.sent = Instant::now();
        Ok(())
    }

    /// What the terminal shows next; None at the session's normal end. Cancel-safe.
    ///
    /// # Errors
    /// When the connection broke, or something else than a terminal is there.
    pub async fn receive(&mut self) -> Result<Option<String>, ConsoleError> {
        loop {
            let next = tokio::select! {
                next = self.socket.next() => next,
                () = tokio::time::sleep_until(self.sent + KEEP_ALIVE) => {
                    self.send("").await?;
                    continue;
                }
            };
            match next {
                Some(Ok(Message::Text(text))) => match serde_json::from_str::<Output>(&text) {
                    Ok(output) => return Ok(Some(output.data)),
                    Err(error) => return Err(ConsoleError::Protocol(error.to_string())),
                },
                Some(Ok(Message::Binary(_))) => return Err(ConsoleError::Protocol("a binary frame".to_owned())),
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(broke(error)),
            }
        }
    }

    /// Ends the session, as politely as the network lets it.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(2), self.socket.close(None)).await;
    }
}

fn broke(error: Error) -> ConsoleError {
    ConsoleError::Connection { what: "broke", detail: chain(&error) }
}
