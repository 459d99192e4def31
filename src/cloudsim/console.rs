//! The console of an app: an address that opens once and for a while, and a terminal behind it.
//!
//! Frames as the official command-line client has them: JSON texts, `{"op": "stdin", "data": …}` and
//! `{"op": "resize", "width": …, "height": …}` to here, `{"data": …}` from here; 1000 closes.

use super::answer::{ApiError, json_response};
use super::app::{AgentState, App};
use super::call::Admitted;
use super::faults::Fault;
use super::fixture::Sim;
use super::processes::Processes;
use super::terminal::Terminal;
use super::virtual_shell::{PROMPT, VirtualShell};
use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How often a session looks whether its app still is what it was.
const LOOK: Duration = Duration::from_millis(50);

/// An address that was told and not opened yet.
#[derive(Debug, Clone)]
pub struct Ticket {
    app: String,
    deployment: String,
    expires: Timestamp,
    /// Bytes of frames after which the connection breaks.
    cut: Option<u64>,
}

/// `/_console?token=…`: where consoles open.
pub fn router() -> Router<Arc<Sim>> {
    Router::new().route("/_console", get(open))
}

/// GET `/v2/apps/{id}/components/{component}/exec`.
///
/// # Errors
/// 404 if there is no such app or component, 400 while nothing is deployed.
pub async fn of_component(
    State(sim): State<Arc<Sim>>,
    Extension(call): Extension<Admitted>,
    Path((id, component)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    tell(&sim, &call, &id, None, &component)
}

/// The same below a deployment.
///
/// # Errors
/// Also 400 for a deployment that does not run.
pub async fn of_deployment(
    State(sim): State<Arc<Sim>>,
    Extension(call): Extension<Admitted>,
    Path((id, deployment, component)): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    tell(&sim, &call, &id, Some(&deployment), &component)
}

fn tell(sim: &Sim, call: &Admitted, id: &str, wanted: Option<&str>, component: &str) -> Result<Response, ApiError> {
    let now = sim.clock.now();
    let mut world = sim.world();
    let app = world.get(call, id)?;
    let kinds = ["services", "workers"].into_iter().filter_map(|kind| app.spec[kind].as_array());
    if !kinds.flatten().any(|found| found["name"] == component) {
        return Err(ApiError::not_found());
    }
    let known = |wanted: &str| app.deployments.iter().any(|deployment| deployment.id == wanted);
    if wanted.is_some_and(|wanted| !known(wanted)) {
        return Err(ApiError::not_found());
    }
    let deployment = running(app, now).filter(|id| wanted.is_none_or(|wanted| wanted == *id)).map(str::to_owned);
    let deployment = deployment.ok_or_else(|| ApiError::bad_request("the deployment is not running"))?;
    let lasts = world.console_lasts(&call.account)?;
    let lasts = if call.has(&Fault::ConsoleExpired {}) { 0.0 } else { lasts };
    let cut = call.faults.iter().find_map(|fault| match fault {
        Fault::ConsoleCut { bytes } => Some(*bytes),
        _ => None,
    });
    let expires = sim.clock.after(now, lasts);
    let token = world.request_id();
    world.consoles.insert(token.clone(), Ticket { app: id.to_owned(), deployment, expires, cut });
    let place = sim.base.replacen("http://", "ws://", 1);
    Ok(json_response(StatusCode::OK, &json!({ "url": format!("{place}/_console?token={token}") })))
}

/// The deployment whose container runs, if one does.
fn running(app: &App, now: Timestamp) -> Option<&str> {
    let index = app.active(now).filter(|_| app.exists(now) && app.agent != AgentState::Dead)?;
    Some(&app.deployments[index].id)
}

async fn open(
    State(sim): State<Arc<Sim>>,
    Query(query): Query<HashMap<String, String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let token = query.get("token").map_or("", String::as_str);
    let ticket = sim.world().consoles.remove(token).filter(|ticket| sim.clock.now() < ticket.expires);
    let Some(ticket) = ticket else { return ApiError::unauthorized().into_response() };
    upgrade.on_upgrade(move |socket| async move { serve(&sim, &ticket, socket).await })
}

/// Bytes that may still pass before the connection breaks.
struct Left(Option<AtomicI64>);

impl Left {
    /// Takes note of a frame; false if it is cut off.
    fn pass(&self, frame: &str) -> bool {
        let length = i64::try_from(frame.len()).unwrap_or(i64::MAX);
        self.0.as_ref().is_none_or(|left| left.fetch_sub(length, Ordering::Relaxed) >= length)
    }
}

async fn serve(sim: &Sim, ticket: &Ticket, socket: WebSocket) {
    let left = Left(ticket.cut.map(|bytes| AtomicI64::new(i64::try_from(bytes).unwrap_or(i64::MAX))));
    let (mut sink, stream) = socket.split();
    let environment = sim.world().app(&ticket.app).map(|app| app.environment.clone()).unwrap_or_default();
    let ending = match &sim.processes {
        Some(processes) => processes.ending.clone().cancelled_owned().boxed(),
        None => std::future::pending().boxed(),
    };
    let over = tokio::select! {
        over = async {
            match &sim.processes {
                Some(processes) => real(processes, &ticket.app, environment, &left, &mut sink, stream).await,
                None => virtually(&left, &mut sink, stream).await,
            }
        } => over,
        () = replaced(sim, ticket) => true,
        () = ending => false,
    };
    if over {
        let normal = CloseFrame { code: close_code::NORMAL, reason: "".into() };
        let _ = sink.send(Message::Close(Some(normal))).await;
    }
}

/// Resolves when the container of this session is gone.
async fn replaced(sim: &Sim, ticket: &Ticket) {
    let runs = || {
        let (world, now) = (sim.world(), sim.clock.now());
        world.app(&ticket.app).is_ok_and(|app| running(app, now) == Some(&ticket.deployment))
    };
    while runs() {
        tokio::time::sleep(LOOK).await;
    }
}

/// A frame to here.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Typed {
    Stdin { data: String },
    Resize { width: u16, height: u16 },
}

/// The next frame that can be read; None when the client is gone or cut off.
async fn next(stream: &mut SplitStream<WebSocket>, left: &Left) -> Option<Typed> {
    loop {
        match stream.next().await?.ok()? {
            Message::Text(text) if !left.pass(&text) => return None,
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(typed) => return Some(typed),
                Err(_) => continue,
            },
            Message::Close(_) => return None,
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

/// Shows this; false when nobody sees it any more.
async fn show(sink: &mut SplitSink<WebSocket, Message>, left: &Left, data: &str) -> bool {
    let frame: Value = json!({ "data": data });
    let frame = frame.to_string();
    left.pass(&frame) && sink.send(Message::Text(frame.into())).await.is_ok()
}

/// A shell in the app's folder. True if it ended by itself.
async fn real(
    processes: &Processes,
    app: &str,
    mut environment: BTreeMap<String, String>,
    left: &Left,
    sink: &mut SplitSink<WebSocket, Message>,
    mut stream: SplitStream<WebSocket>,
) -> bool {
    let root = processes.root(app);
    // As for commands of the app's agent: the sandbox's folders are somewhere else.
    for (name, folder) in [("SANDBOX_WORKSPACE", "workspace"), ("HOME", "home/sandbox"), ("TMPDIR", "tmp")] {
        environment.insert(name.to_owned(), root.join(folder).to_string_lossy().into_owned());
    }
    let Ok(terminal) = Terminal::open(&root, &environment) else { return false };
    let typing = async {
        while let Some(typed) = next(&mut stream, left).await {
            match typed {
                Typed::Resize { width, height } => terminal.resize(width, height),
                Typed::Stdin { data } => {
                    if terminal.write(data.as_bytes()).await.is_err() {
                        break;
                    }
                }
            }
        }
        false
    };
    let showing = async {
        let mut buffer = vec![0; 32 * 1024];
        loop {
            match terminal.read(&mut buffer).await {
                Ok(0) | Err(_) => return true,
                // What is no UTF-8 is lost, as on the way through any JSON text.
                Ok(read) if !show(sink, left, &String::from_utf8_lossy(&buffer[..read])).await => return false,
                Ok(_) => {}
            }
        }
    };
    let over = tokio::select! { over = typing => over, over = showing => over };
    terminal.end().await;
    over
}

/// A shell that runs nothing. True if it ended by itself.
async fn virtually(left: &Left, sink: &mut SplitSink<WebSocket, Message>, mut stream: SplitStream<WebSocket>) -> bool {
    let mut shell = VirtualShell::default();
    if !show(sink, left, PROMPT).await {
        return false;
    }
    while let Some(typed) = next(&mut stream, left).await {
        let Typed::Stdin { data } = typed else { continue };
        let shown = shell.typed(&data);
        if !shown.text.is_empty() && !show(sink, left, &shown.text).await {
            return false;
        }
        if shown.ended {
            return true;
        }
    }
    false
}
