//! `POST /api/exec/stream`: one command, its output as it comes.

use super::children::Group;
use super::input::Body;
use super::lines::Lines;
use super::pipe::Pipe;
use super::problem::Problem;
use super::{Shared, clock, exec, sse};
use crate::agent::wire::{ExecRequest, Exit, Line, StreamError};
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use std::time::{Duration, Instant};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Frames between the command and the connection; a slow reader slows the command down.
const QUEUE: usize = 64;

/// Answers with the events of the command; when the client goes away, its process group is ended.
pub async fn exec_stream(State(agent): State<Shared>, Body(request): Body<ExecRequest>) -> Result<Response, Problem> {
    let limit = exec::time_limit(request.timeout)?;
    // Before it starts: it may run for a while before we do.
    let began = Instant::now();
    let group =
        agent.launcher().piped(&request.command, &request.cwd, request.env.as_ref(), request.limits.as_ref())?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(run(group, began, limit, sender));
    let events = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Ok(sse::answer(agent.heartbeat, events))
}

async fn run(mut group: Group, began: Instant, limit: Duration, sender: mpsc::Sender<Event>) {
    let exited = CancellationToken::new();
    let stdout = pump("stdout", group.stdout.take(), exited.clone(), sender.clone());
    let stderr = pump("stderr", group.stderr.take(), exited.clone(), sender.clone());
    let finished = async {
        let status = group.wait().await;
        exited.cancel();
        (status, began.elapsed())
    };
    let whole = async { tokio::join!(finished, stdout, stderr).0 };
    let last = tokio::select! {
        () = sender.closed() => return,
        () = tokio::time::sleep(limit) => {
            group.end().await;
            let message = format!("Command timed out after {} s; its processes have been ended", limit.as_secs());
            sse::frame(Some("error"), &StreamError { message, code: "TIMEOUT".to_owned() })
        }
        (status, took) = whole => {
            group.release();
            last_frame(status, took)
        }
    };
    let _ = sender.send(last).await;
}

fn last_frame(status: std::io::Result<std::process::ExitStatus>, took: Duration) -> Event {
    match status {
        Ok(status) => {
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            sse::frame(Some("exit"), &Exit { code: exec::code(status), duration_ms, timestamp: clock::now() })
        }
        Err(error) => {
            let message = format!("cannot learn how the command ended: {error}");
            sse::frame(Some("error"), &StreamError { message, code: "INTERNAL".to_owned() })
        }
    }
}

async fn pump<R: AsyncRead + Unpin + Send + 'static>(
    name: &'static str,
    reader: Option<R>,
    exited: CancellationToken,
    sender: mpsc::Sender<Event>,
) {
    let Some(reader) = reader else { return };
    let mut pipe = Pipe::new(reader, exited);
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        for line in lines.add(&buffer[..read]) {
            if !send(name, line, &sender).await {
                return;
            }
        }
    }
    if let Some(line) = lines.rest() {
        send(name, line, &sender).await;
    }
    pipe.discard();
}

async fn send(name: &str, line: String, sender: &mpsc::Sender<Event>) -> bool {
    sender.send(sse::frame(Some(name), &Line { line, timestamp: clock::now() })).await.is_ok()
}
