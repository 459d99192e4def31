//! `POST /api/exec`: one command, its whole output in one answer.

use super::children::Group;
use super::input::Body;
use super::pipe::Pipe;
use super::problem::Problem;
use super::{MAX_OUTPUT, Shared};
use crate::agent::wire::{ExecOutput, ExecRequest, MAX_TIMEOUT};
use axum::Json;
use axum::extract::State;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio_util::sync::CancellationToken;

/// Runs the command and answers when it has ended; 408 and the end of its process group when its time is over.
///
/// When the client goes away, this future is dropped and the group with it.
pub async fn exec(State(agent): State<Shared>, Body(request): Body<ExecRequest>) -> Result<Json<ExecOutput>, Problem> {
    let limit = time_limit(request.timeout)?;
    let mut group =
        agent.launcher().piped(&request.command, &request.cwd, request.env.as_ref(), request.limits.as_ref())?;
    let exited = CancellationToken::new();
    let output = collect_both(&mut group, &exited);
    let finished = async {
        let status = group.wait().await;
        exited.cancel();
        status
    };
    let Ok((status, (stdout, stderr))) = tokio::time::timeout(limit, async { tokio::join!(finished, output) }).await
    else {
        group.end().await;
        return Err(Problem::TimedOut(request.timeout));
    };
    group.release();
    let status = status.map_err(|source| Problem::Io { what: "cannot learn how the command ended", source })?;
    Ok(Json(ExecOutput { stdout: stdout.text("stdout"), stderr: stderr.text("stderr"), exit_code: code(status) }))
}

/// The request's time-out, in range.
pub fn time_limit(seconds: u64) -> Result<Duration, Problem> {
    match seconds {
        1..=MAX_TIMEOUT => Ok(Duration::from_secs(seconds)),
        other => Err(Problem::timeout(other)),
    }
}

/// The exit code, or minus the number of the signal that ended the process.
pub fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(-1)
}

fn collect_both(group: &mut Group, exited: &CancellationToken) -> impl Future<Output = (Captured, Captured)> + use<> {
    let stdout = collect(group.stdout.take(), exited.clone());
    let stderr = collect(group.stderr.take(), exited.clone());
    async { tokio::join!(stdout, stderr) }
}

async fn collect<R: AsyncRead + Unpin + Send + 'static>(reader: Option<R>, exited: CancellationToken) -> Captured {
    let mut captured = Captured::default();
    let Some(reader) = reader else { return captured };
    let mut pipe = Pipe::new(reader, exited);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => captured.add(&buffer[..read]),
        }
    }
    pipe.discard();
    captured
}

/// The beginning of an output, and how much followed.
#[derive(Debug, Default)]
pub struct Captured {
    kept: Vec<u8>,
    dropped: u64,
}

impl Captured {
    /// Keeps the bytes, or counts them when there is no room left.
    pub fn add(&mut self, bytes: &[u8]) {
        let room = MAX_OUTPUT - self.kept.len();
        let (keep, drop) = bytes.split_at(bytes.len().min(room));
        self.kept.extend_from_slice(keep);
        self.dropped += drop.len() as u64;
    }

    /// The text; of what was dropped it says how much, and of which output.
    pub fn text(self, name: &str) -> String {
        // Valid UTF-8, the usual case, is taken over without a copy.
        let mut text =
            String::from_utf8(self.kept).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if self.dropped > 0 {
            text.push_str(&format!("\n[{name} truncated: {} more bytes were written]\n", self.dropped));
        }
        text
    }
}
