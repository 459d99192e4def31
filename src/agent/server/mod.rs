//! The daemon inside a sandbox.
//!
//! It answers for one sandbox: runs commands, keeps shells and a table of background processes, moves files, passes
//! requests on to its apps. Everything but `/health` needs the token, or for an app a signed link made with it. It owns
//! every process below it and ends them all when it ends.
//!
//! | limit | |
//! | --- | --- |
//! | each output of `/api/exec` | the first 16 MiB, then a line `[stdout truncated: N more bytes were written]` |
//! | a log, a file's content in JSON | the last 16 MiB; 16 MiB, then 413 |
//! | a line on a stream | pieces of 64 KiB |
//! | a JSON request | 32 MiB, then 413 |
//! | an upload | 4 GiB, then 413 |
//! | a command's time-out | 1 s to 1 day, 120 s when not said |
//! | after a time-out, or when the client goes away | SIGTERM to the process group, SIGKILL 0.7 s later |
//! | a stream's silence | 15 s, then a comment `: ping` |
//! | `limits` of a command or session | those of setrlimit(2): address space, CPU time, processes, size of files |
//! | sessions | 100; stopped ones give way. Each runs one command at a time, of 128 KiB at most; 409 for another one |
//! | a session's time-out | Ctrl-C, SIGKILL to the foreground 0.7 s later; the shell too if it is not back 2 s later |
//! | terminals | 100; their programs end with the connection, which counts as gone after 60 s of silence |
//! | an app's silence before the head of its answer through the proxy | 60 s, then 504; bodies have no limit |
//! | background processes remembered | 1000; the oldest stopped ones are forgotten |

pub mod auth;
mod background;
mod children;
mod clock;
mod exec;
mod files;
mod health;
mod input;
mod launch;
mod limits;
pub(crate) mod lines;
mod logs;
mod pipe;
mod ports;
mod problem;
mod proc;
mod processes;
mod proxy;
mod roots;
mod serve;
mod sessions;
mod shared_ports;
pub(crate) mod sse;
mod stream;
mod terminal;
mod transfer;

/// Queries of the routes that have one.
pub(crate) mod query {
    pub use super::files::{DirectoryQuery, FileQuery};
    pub use super::logs::{Start, Tail};
    pub use super::transfer::UploadQuery;
}

pub use auth::Token;
pub use launch::TOKEN_VARIABLE;
pub use serve::{Config, Server};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get, post, put};
use children::Children;
use launch::Launcher;
use problem::Problem;
use processes::Processes;
use roots::Roots;
use sessions::Sessions;
use shared_ports::SharedPorts;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The bytes kept of each output of `/api/exec`, and the most that a log or a file's content has in one JSON answer.
pub const MAX_OUTPUT: usize = 16 * 1024 * 1024;

/// What every handler sees.
#[derive(Debug)]
pub struct Agent {
    token: Option<Token>,
    mode: String,
    heartbeat: Duration,
    answer_limit: Duration,
    /// Where it serves itself.
    port: u16,
    roots: Roots,
    children: Arc<Children>,
    processes: Processes,
    sessions: Sessions,
    terminals: Arc<Semaphore>,
    shared_ports: SharedPorts,
}

type Shared = Arc<Agent>;

impl Agent {
    fn launcher(&self) -> Launcher<'_> {
        Launcher(self)
    }
}

fn router(agent: Shared) -> Router {
    let api = Router::new()
        .route("/api/exec", post(exec::exec))
        .route("/api/exec/stream", post(stream::exec_stream))
        .route("/api/exec/background", post(background::start))
        .route("/api/processes", get(background::list))
        .route("/api/processes/{pid}", get(background::one))
        .route("/api/processes/{pid}/kill", post(background::kill))
        .route("/api/processes/{pid}/logs", get(logs::read))
        .route("/api/processes/{pid}/logs/stream", get(logs::follow))
        .route("/api/files", get(files::list))
        .route("/api/files/content", get(files::read).post(files::write))
        .route("/api/files/download", get(transfer::download))
        .merge(sessions::routes())
        .route("/api/terminal", get(terminal::open))
        .layer(DefaultBodyLimit::max(input::MAX_JSON))
        .route("/api/files/raw", put(transfer::upload).layer(DefaultBodyLimit::disable()))
        .route("/api/ports/{port}", get(ports::tunnel))
        .route("/proxy/{port}", any(proxy::proxy))
        .route("/proxy/{port}/", any(proxy::proxy))
        .route("/proxy/{port}/{*path}", any(proxy::proxy))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&agent), auth::require));
    Router::new()
        .route("/health", get(health::health))
        .merge(api)
        .route("/open/{port}/{expires}/{signature}", any(proxy::open))
        .route("/open/{port}/{expires}/{signature}/", any(proxy::open))
        .route("/open/{port}/{expires}/{signature}/{*path}", any(proxy::open))
        .fallback(async || Problem::NotFound("no such route".to_owned()))
        .method_not_allowed_fallback(async || Problem::Method)
        .with_state(agent)
}
