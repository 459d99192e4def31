//! Apps that listen inside a sandbox, and requests as they are on the wire.

use super::Agent;
use axum::Router;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(30);

/// Serves until the test ends; gives its port.
pub async fn serve(router: Router) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async { axum::serve(listener, router).await });
    port
}

pub async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port on which nobody listens.
pub async fn nobody() -> u16 {
    listen().await.1
}

/// One end of a connection, read and written byte by byte.
pub struct Wire {
    stream: TcpStream,
    seen: String,
}

impl Wire {
    /// To the agent.
    pub async fn to(agent: &Agent) -> Self {
        Self::new(TcpStream::connect(agent.base.strip_prefix("http://").unwrap()).await.unwrap())
    }

    /// From the agent to an app.
    pub async fn accepted(listener: &TcpListener) -> Self {
        Self::new(timeout(WITHIN, listener.accept()).await.expect("a connection in time").unwrap().0)
    }

    fn new(stream: TcpStream) -> Self {
        Self { stream, seen: String::new() }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything up to and with these words; what comes behind them is kept for the next time.
    pub async fn hear(&mut self, words: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(words) {
                let rest = self.seen.split_off(at + words.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut piece = [0; 4096];
            let read = timeout(WITHIN, self.stream.read(&mut piece)).await;
            let read = read.unwrap_or_else(|_| panic!("{words:?} did not come, but {:?}", self.seen)).unwrap();
            assert!(read > 0, "the end instead of {words:?} after {:?}", self.seen);
            self.seen.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
    }

    /// The head of a message.
    pub async fn head(&mut self) -> String {
        self.hear("\r\n\r\n").await
    }

    /// Waits until the other side has gone.
    pub async fn end(&mut self) {
        let mut piece = [0; 4096];
        let gone = async { while self.stream.read(&mut piece).await.is_ok_and(|read| read > 0) {} };
        timeout(WITHIN, gone).await.expect("the other side goes");
    }
}
