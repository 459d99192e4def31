//! Background processes: start, list, kill.

use super::Shared;
use super::input::{Body, OptionalBody};
use super::problem::Problem;
use crate::agent::wire::{BackgroundRequest, BackgroundStarted, Done, KillRequest, ProcessInfo};
use axum::Json;
use axum::extract::{Path, State};
use std::path::PathBuf;
use uuid::Uuid;

/// Starts a command that outlives the request; its output goes to a log file in the sandbox's `/tmp`.
pub async fn start(
    State(agent): State<Shared>,
    Body(request): Body<BackgroundRequest>,
) -> Result<Json<BackgroundStarted>, Problem> {
    let log_file = format!("/tmp/proc_{}.log", Uuid::new_v4().simple());
    let host = agent.roots.host(log_file.as_ref()).unwrap_or_else(|| PathBuf::from(&log_file));
    let mut open = std::fs::OpenOptions::new();
    let log = open
        .append(true)
        .create_new(true)
        .open(&host)
        .map_err(|source| Problem::Io { what: "cannot make the log file", source })?;
    let started = agent.launcher().logged(&request, log);
    let group = started.inspect_err(|_| _ = std::fs::remove_file(&host))?;
    let pid = agent.processes.track(group, request.command, log_file.clone(), host);
    let pid = pid
        .ok_or_else(|| Problem::Io { what: "cannot start the command", source: std::io::ErrorKind::NotFound.into() })?;
    Ok(Json(BackgroundStarted { pid, log_file }))
}

/// Every process started here, oldest first.
pub async fn list(State(agent): State<Shared>) -> Json<Vec<ProcessInfo>> {
    Json(agent.processes.list())
}

/// One process started here.
pub async fn one(State(agent): State<Shared>, Path(pid): Path<String>) -> Result<Json<ProcessInfo>, Problem> {
    let pid = number(&pid)?;
    agent.processes.get(pid).map(Json).ok_or_else(|| untracked(pid))
}

/// Signals the process and everything in its group.
pub async fn kill(
    State(agent): State<Shared>,
    Path(pid): Path<String>,
    OptionalBody(request): OptionalBody<KillRequest>,
) -> Result<Json<Done>, Problem> {
    let pid = number(&pid)?;
    match agent.processes.signal(pid, request.signal) {
        None => Err(untracked(pid)),
        Some(Ok(())) => Ok(Json(Done { success: true })),
        Some(Err(error)) => {
            Err(Problem::Bad(format!("cannot send signal {} to process {pid}: {}", request.signal, error.desc())))
        }
    }
}

/// A process id from a path.
pub fn number(pid: &str) -> Result<i32, Problem> {
    pid.parse().map_err(|_| Problem::field("path", "pid", format!("{pid:?} is not a process id")))
}

/// The answer for a process that was not started here.
pub fn untracked(pid: i32) -> Problem {
    Problem::NotFound(format!("process {pid} is not one that /api/exec/background started here"))
}
