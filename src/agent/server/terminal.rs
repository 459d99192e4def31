//! `GET /api/terminal`: a program on a terminal, over a WebSocket. It ends with the connection.

use super::children::Group;
use super::input::Params;
use super::launch::without_nul;
use super::pipe::PATIENCE;
use super::problem::Problem;
use super::{Shared, exec};
use crate::agent::wire::{MAX_SIDE, TerminalControl, TerminalEnd, TerminalRequest};
use crate::pty::Master;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures::stream::{SplitSink, SplitStream};
use futures::{Sink, SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Terminals at once.
pub const MAX_TERMINALS: usize = 100;
/// The largest message, in bytes: more than a person pastes.
const MAX_MESSAGE: usize = 1024 * 1024;
/// A client of which not even an answer to a ping has come for so long has gone, and so has one that takes nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes still carried when the program has ended and something in the background goes on writing.
const MAX_REST: usize = 1024 * 1024;
/// How long the client may take to agree on the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// The longest name of a kind of terminal.
const MAX_TERM: usize = 64;

/// Starts the program, then answers with the WebSocket: what is wrong is still said in HTTP.
pub async fn open(
    State(agent): State<Shared>,
    Params(request): Params<TerminalRequest>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let (columns, rows) = (side("cols", request.cols)?, side("rows", request.rows)?);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.');
    if request.term.is_empty() || request.term.len() > MAX_TERM || !request.term.chars().all(fits) {
        let message = format!("{:?} names no terminal; leave it out, or use one such as xterm-256color", request.term);
        return Err(Problem::field("query", "term", message));
    }
    if let Some(command) = &request.command {
        without_nul("query", command)?;
        if command.trim().is_empty() {
            return Err(Problem::field("query", "command", "is empty; leave it out for a shell"));
        }
    }
    let upgrade = upgrade
        .map_err(|rejection| Problem::Bad(format!("/api/terminal is a WebSocket: {}", rejection.body_text())))?;
    let permit = Arc::clone(&agent.terminals).try_acquire_owned().map_err(|_| {
        Problem::Busy(format!("there are {MAX_TERMINALS} terminals already: close one that is not needed"))
    })?;
    let (master, programs) = Master::open().map_err(|source| Problem::Io { what: "cannot make a terminal", source })?;
    master.resize(columns, rows);
    let group = agent.launcher().terminal(request.command.as_deref(), &request.cwd, &request.term, programs)?;
    let heartbeat = agent.heartbeat;
    Ok(upgrade.max_message_size(MAX_MESSAGE).on_upgrade(async move |socket| {
        serve(socket, &master, group, heartbeat).await;
        drop(permit);
    }))
}

fn side(field: &str, length: u32) -> Result<u16, Problem> {
    let fits = u16::try_from(length).ok().filter(|length| (1..=MAX_SIDE).contains(&u32::from(*length)));
    fits.ok_or_else(|| Problem::field("query", field, format!("{length} is not between 1 and {MAX_SIDE} characters")))
}

async fn serve(socket: WebSocket, master: &Master, mut group: Group, heartbeat: Duration) {
    let (mut sink, mut stream) = socket.split();
    let last = tokio::select! {
        why = typed(&mut stream, master) => why.map(|why| close(close_code::UNSUPPORTED, why)),
        code = shown(&mut sink, master, &mut group, heartbeat) => match code {
            Some(code) => {
                let end = serde_json::to_string(&TerminalEnd::Exit { code }).unwrap_or_default();
                let _ = tell(&mut sink, Message::Text(end.into())).await;
                Some(close(close_code::NORMAL, ""))
            }
            None => None,
        },
    };
    let farewell = async {
        let Some(last) = last else { return };
        let _ = sink.send(last).await;
        // Closing a connection with something unread in it would tear our last words away.
        while let Some(Ok(_)) = stream.next().await {}
    };
    tokio::join!(group.end(), timeout(FAREWELL, farewell)).1.unwrap_or_default();
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// Types what comes until the client has gone; some reason when it does not speak as it should.
async fn typed(stream: &mut SplitStream<WebSocket>, master: &Master) -> Option<&'static str> {
    while let Ok(Some(Ok(message))) = timeout(SILENCE, stream.next()).await {
        match message {
            // A program that has closed its terminal reads no more; its end is told by the other side.
            // One that reads none for so long loses it, as on any terminal whose queue is full.
            Message::Binary(bytes) => _ = timeout(SILENCE, master.write(&bytes)).await,
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(TerminalControl::Resize { cols, rows }) => match (side("cols", cols), side("rows", rows)) {
                    (Ok(columns), Ok(rows)) => master.resize(columns, rows),
                    _ => return Some("resize: cols and rows are 1 to 1000"),
                },
                Err(_) => return Some("a text message is {\"resize\": {\"cols\": 80, \"rows\": 24}}"),
            },
            Message::Close(_) => return None,
            Message::Ping(_) | Message::Pong(_) => {}
        }
    }
    None
}

/// Shows what the terminal shows until its program has ended; gives its exit code, none when the client has gone.
async fn shown(
    sink: &mut SplitSink<WebSocket, Message>,
    master: &Master,
    group: &mut Group,
    heartbeat: Duration,
) -> Option<i32> {
    let mut buffer = vec![0; 16 * 1024];
    let mut open = true;
    let status = loop {
        let message = tokio::select! {
            read = master.read(&mut buffer), if open => match read {
                Ok(read @ 1..) => Message::Binary(buffer[..read].to_vec().into()),
                Ok(0) | Err(_) => {
                    open = false;
                    continue;
                }
            },
            status = group.wait() => break status,
            () = sleep(heartbeat) => Message::Ping(Vec::new().into()),
        };
        tell(sink, message).await?;
    };
    let mut rest = 0;
    while open && rest < MAX_REST {
        let Ok(Ok(read @ 1..)) = timeout(PATIENCE, master.read(&mut buffer)).await else { break };
        rest += read;
        tell(sink, Message::Binary(buffer[..read].to_vec().into())).await?;
    }
    Some(status.map_or(-1, exec::code))
}

/// Sends this; none when the client has gone, or has read nothing for so long that it counts as gone, whatever it types.
async fn tell<S: Sink<Message> + Unpin>(sink: &mut S, message: Message) -> Option<()> {
    timeout(SILENCE, sink.send(message)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_counts_as_gone() {
        // The first message is taken, and never gets any further.
        let stuck = futures::sink::unfold((), |(), _: Message| std::future::pending::<Result<(), Infallible>>());
        let mut stuck = Box::pin(stuck);
        let begin = Instant::now();
        assert_eq!(tell(&mut stuck, Message::Ping(Vec::new().into())).await, None);
        assert_eq!(begin.elapsed().as_secs(), SILENCE.as_secs());
        assert_eq!(tell(&mut futures::sink::drain(), Message::Ping(Vec::new().into())).await, Some(()));
    }
}
