//! Commands.

use super::{Action, Admitted, Asked, Refused, Shared};
use crate::agent::server::lines::Lines;
use crate::agent::server::{MAX_OUTPUT, sse};
use crate::agent::wire::{ExecOutput, ExecRequest, Exit, Line, MAX_TIMEOUT, StreamError};
use crate::console::{self, ConsoleError, Ended, Output};
use crate::failure::chain;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use axum::response::sse::Event;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Pieces between the console and the caller; a slow caller slows the command down.
const QUEUE: usize = 16;
/// Silence after which a stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

fn sound(body: Result<Json<ExecRequest>, JsonRejection>) -> Result<ExecRequest, Refused> {
    let Json(request) = body.map_err(|rejection| Refused::Bad(rejection.body_text()))?;
    if request.limits.is_some() {
        return Err(Refused::Bad(
            "limits: a console keeps none; leave it out, or use a sandbox in mode Service".to_owned(),
        ));
    }
    match request.timeout {
        1..=MAX_TIMEOUT => Ok(request),
        other => Err(Refused::Bad(format!("timeout: {other} is not between 1 and {MAX_TIMEOUT} seconds"))),
    }
}

/// One command, its whole output in one answer.
pub(super) async fn exec(
    State(desk): State<Shared>,
    asked: Asked,
    body: Result<Json<ExecRequest>, JsonRejection>,
) -> Result<Json<ExecOutput>, Refused> {
    let Admitted { address, permit } = desk.admit(&asked, Action::Exec).await?;
    let request = sound(body)?;
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let running = async {
        let ended = console::exec(&address, &request, &sender).await;
        drop(sender);
        ended
    };
    let collecting = async {
        while let Some(output) = receiver.recv().await {
            match output {
                Output::Stdout(bytes) => stdout.add(&bytes),
                Output::Stderr(bytes) => stderr.add(&bytes),
            }
        }
    };
    let (ended, ()) = tokio::join!(running, collecting);
    drop(permit);
    match ended? {
        Ended::TimedOut => Err(Refused::TimedOut(request.timeout)),
        Ended::Exit(exit_code) => {
            Ok(Json(ExecOutput { stdout: stdout.text("stdout"), stderr: stderr.text("stderr"), exit_code }))
        }
    }
}

/// One command, its output as it comes. When the caller goes away, the command is ended.
pub(super) async fn stream(
    State(desk): State<Shared>,
    asked: Asked,
    body: Result<Json<ExecRequest>, JsonRejection>,
) -> Result<Response, Refused> {
    let admitted = desk.admit(&asked, Action::Exec).await?;
    let request = sound(body)?;
    let (events, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(tell(admitted, request, events));
    let events = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    Ok(sse::answer(HEARTBEAT, events))
}

async fn tell(admitted: Admitted, request: ExecRequest, events: mpsc::Sender<Event>) {
    let began = Instant::now();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let running = async {
        let ended = console::exec(&admitted.address, &request, &sender).await;
        drop(sender);
        ended
    };
    let (ended, ()) = tokio::join!(running, lines(receiver, &events));
    let _ = events.send(last(ended, request.timeout, began)).await;
    drop(admitted.permit);
}

/// Carries lines on until there are no more, or nobody takes them.
async fn lines(mut outputs: mpsc::Receiver<Output>, events: &mpsc::Sender<Event>) {
    let (mut stdout, mut stderr) = (Lines::default(), Lines::default());
    loop {
        let output = tokio::select! {
            output = outputs.recv() => output,
            () = events.closed() => return,
        };
        let (name, lines) = match output {
            Some(Output::Stdout(bytes)) => ("stdout", stdout.add(&bytes)),
            Some(Output::Stderr(bytes)) => ("stderr", stderr.add(&bytes)),
            None => break,
        };
        for line in lines {
            if events.send(frame(name, line)).await.is_err() {
                return;
            }
        }
    }
    for (name, rest) in [("stdout", stdout.rest()), ("stderr", stderr.rest())] {
        if let Some(line) = rest {
            let _ = events.send(frame(name, line)).await;
        }
    }
}

fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

fn frame(name: &str, line: String) -> Event {
    sse::frame(Some(name), &Line { line, timestamp: now() })
}

fn last(ended: Result<Ended, ConsoleError>, timeout: u64, began: Instant) -> Event {
    match ended {
        Ok(Ended::Exit(code)) => {
            let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            sse::frame(Some("exit"), &Exit { code, duration_ms, timestamp: now() })
        }
        Ok(Ended::TimedOut) => {
            let message = Refused::TimedOut(timeout).to_string();
            sse::frame(Some("error"), &StreamError { message, code: "TIMEOUT".to_owned() })
        }
        Err(error) => {
            let message = chain(&error);
            sse::frame(Some("error"), &StreamError { message, code: "INTERNAL".to_owned() })
        }
    }
}

/// The beginning of an output, and how much followed.
#[derive(Default)]
struct Captured {
    kept: Vec<u8>,
    dropped: usize,
}

impl Captured {
    fn add(&mut self, bytes: &[u8]) {
        let (keep, drop) = bytes.split_at(bytes.len().min(MAX_OUTPUT - self.kept.len()));
        self.kept.extend_from_slice(keep);
        self.dropped += drop.len();
    }

    fn text(self, name: &str) -> String {
        let mut text = String::from_utf8_lossy(&self.kept).into_owned();
        if self.dropped > 0 {
            text.push_str(&format!("\n[{name} truncated: {} more bytes were written]\n", self.dropped));
        }
        text
    }
}
