//! Sessions: shells on real terminals that keep folder, environment and functions between commands.
//!
//! The shell is an interactive one, so a command is interrupted as a person would do it, and the shell goes on. It
//! takes its lines from a pipe and not from the terminal: a command that reads its terminal cannot take the next line,
//! lines have no longest length, and nothing is echoed. The commands and everything else the shell starts belong to the
//! terminal's session and end with it, in whatever process group they are.

mod screen;
mod session;
mod table;
mod typed;

pub use table::Sessions;

use super::exec::time_limit;
use super::input::Body;
use super::launch::without_nul;
use super::problem::Problem;
use super::{Agent, Shared};
use crate::agent::wire::{Done, SessionExec, SessionInfo, SessionOutput, SessionRequest, SessionStarted};
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use std::io;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The longest command, in bytes: shells read a pipe byte by byte.
const MAX_COMMAND: usize = 128 * 1024;

/// The routes.
pub fn routes() -> Router<Arc<Agent>> {
    Router::new()
        .route("/api/sessions", post(create).get(list))
        .route("/api/sessions/{id}", get(one).delete(close))
        .route("/api/sessions/{id}/exec", post(exec))
}

async fn create(
    State(agent): State<Shared>,
    Body(request): Body<SessionRequest>,
) -> Result<Json<SessionStarted>, Problem> {
    let session_id = request.session_id.clone();
    let session = agent.sessions.add(&agent, request)?;
    Ok(Json(SessionStarted { session_id, pid: session.pid() }))
}

async fn list(State(agent): State<Shared>) -> Json<Vec<SessionInfo>> {
    Json(agent.sessions.list().iter().map(|session| session.info(&agent)).collect())
}

async fn one(State(agent): State<Shared>, Path(id): Path<String>) -> Result<Json<SessionInfo>, Problem> {
    Ok(Json(agent.sessions.get(&id)?.info(&agent)))
}

async fn close(State(agent): State<Shared>, Path(id): Path<String>) -> Result<Json<Done>, Problem> {
    let session = agent.sessions.remove(&id)?;
    // Who has asked may go away; the session ends all the same.
    let closing = tokio::spawn(async move { session.close().await });
    closing.await.map_err(failed)?;
    Ok(Json(Done { success: true }))
}

async fn exec(
    State(agent): State<Shared>,
    Path(id): Path<String>,
    Body(request): Body<SessionExec>,
) -> Result<Json<SessionOutput>, Problem> {
    let limit = time_limit(request.timeout)?;
    without_nul("body", &request.command)?;
    if request.command.len() > MAX_COMMAND {
        let length = request.command.len();
        let message = format!("{length} bytes are more than {MAX_COMMAND}: put it into a file and run that");
        return Err(Problem::field("body", "command", message));
    }
    let turn = agent.sessions.get(&id)?.turn()?;
    let gone = CancellationToken::new();
    // When the client goes away this future is dropped, and the command is ended as after a time-out.
    let _here = gone.clone().drop_guard();
    let running = tokio::spawn(turn.run(request.command, limit, gone));
    Ok(Json(running.await.map_err(failed)?))
}

fn failed(error: tokio::task::JoinError) -> Problem {
    Problem::Io { what: "the session has failed", source: io::Error::other(error) }
}
