//! What background processes have written.

use super::background::{number, untracked};
use super::input::Params;
use super::lines::Lines;
use super::problem::Problem;
use super::{Agent, MAX_OUTPUT, Shared, clock, sse};
use crate::agent::wire::{Line, Logs, ProcessStatus};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::response::sse::Event;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(100);

const QUEUE: usize = 64;

/// The query of `…/logs`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Tail {
    /// Only so many lines from the end; 0 means all.
    #[serde(default)]
    tail: usize,
}

/// The query of `…/logs/stream`, a Sandbar extension.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Start {
    /// So many lines before the end; from the beginning when not said.
    #[serde(default)]
    tail: Option<usize>,
}

/// The log so far, its last 16 MiB at most; empty when the sandbox has removed the file.
pub async fn read(
    State(agent): State<Shared>,
    Path(pid): Path<String>,
    Params(Tail { tail }): Params<Tail>,
) -> Result<Json<Logs>, Problem> {
    let path = log_of(&agent, number(&pid)?)?;
    let bytes = match last_bytes(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| Problem::Io { what: "cannot read the log", source })?,
    };
    let wanted = if tail == 0 { &bytes } else { last_lines(&bytes, tail) };
    Ok(Json(Logs { logs: String::from_utf8_lossy(wanted).into_owned() }))
}

/// The log as it grows, from its beginning or from some lines before its end; the stream ends when the process has stopped and all of it has been sent.
pub async fn follow(
    State(agent): State<Shared>,
    Path(pid): Path<String>,
    Params(Start { tail }): Params<Start>,
) -> Result<Response, Problem> {
    let pid = number(&pid)?;
    let path = log_of(&agent, pid)?;
    let unreadable = |source| Problem::Io { what: "cannot read the log", source };
    let mut file = File::open(&path).await.map_err(unreadable)?;
    if let Some(tail) = tail {
        skip_to(&mut file, tail).await.map_err(unreadable)?;
    }
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(pump(Arc::clone(&agent), pid, file, sender));
    let events = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Ok(sse::answer(agent.heartbeat, events))
}

fn log_of(agent: &Agent, pid: i32) -> Result<PathBuf, Problem> {
    agent.processes.log(pid).ok_or_else(|| untracked(pid))
}

async fn last_bytes(path: PathBuf) -> std::io::Result<Vec<u8>> {
    Ok(end_of(&mut File::open(path).await?).await?.0)
}

/// At most so much of the end, and where it ends.
async fn end_of(file: &mut File) -> std::io::Result<(Vec<u8>, u64)> {
    let skip = file.metadata().await?.len().saturating_sub(MAX_OUTPUT as u64);
    file.seek(SeekFrom::Start(skip)).await?;
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT as u64).read_to_end(&mut bytes).await?;
    let end = skip + bytes.len() as u64;
    Ok((bytes, end))
}

/// Goes to so many lines before the end, 16 MiB at most.
async fn skip_to(file: &mut File, tail: usize) -> std::io::Result<()> {
    let (bytes, end) = end_of(file).await?;
    let kept = if tail == 0 { 0 } else { last_lines(&bytes, tail).len() };
    file.seek(SeekFrom::Start(end - kept as u64)).await.map(drop)
}

fn last_lines(bytes: &[u8], count: usize) -> &[u8] {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let newlines = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    newlines.map(|(at, _)| &bytes[at + 1..]).nth(count.saturating_sub(1)).unwrap_or(bytes)
}

async fn pump(agent: Shared, pid: i32, mut file: File, sender: mpsc::Sender<Event>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        // Asked before reading: what is written before the stop is then certainly read.
        let over = agent.processes.get(pid).is_none_or(|info| info.status == ProcessStatus::Stopped);
        match file.read(&mut buffer).await {
            Err(_) => break,
            Ok(0) if over => break,
            Ok(0) => tokio::select! {
                () = sender.closed() => return,
                () = sleep(POLL) => {}
            },
            Ok(read) => {
                for line in lines.add(&buffer[..read]) {
                    if !send(line, &sender).await {
                        return;
                    }
                }
            }
        }
    }
    if let Some(line) = lines.rest() {
        send(line, &sender).await;
    }
}

async fn send(line: String, sender: &mpsc::Sender<Event>) -> bool {
    sender.send(sse::frame(None, &Line { line, timestamp: clock::now() })).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_counts_whole_lines() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", 1), b"c");
        assert_eq!(last_lines(b"a\n", 5), b"a\n");
        assert_eq!(last_lines(b"", 1), b"");
    }
}
