//! What each route reads and answers.

use super::{fields, shape};
use crate::agent::server::query;
use crate::agent::wire;
use crate::gateway::caller::Right;
use crate::gateway::{change, events, inside, launch, overview, status};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes a shape.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// What a body holds.
pub enum Content {
    /// Nothing.
    None,
    /// JSON of this shape.
    Json(Shape),
    /// The same, or server-sent events of it.
    JsonOrEvents(Shape),
    /// Server-sent events.
    Events,
    /// A line.
    Text,
    /// A file.
    Bytes,
    /// Whatever the app takes and gives.
    Anything,
    /// The messages of a WebSocket.
    Socket,
}

/// One route.
pub struct Operation {
    /// Its method, or `ANY`.
    pub method: &'static str,
    /// As axum has it.
    pub path: String,
    /// What it is for.
    pub summary: &'static str,
    /// What its caller must be allowed to.
    pub right: Option<Right>,
    /// The shape of its query.
    pub query: Option<Shape>,
    /// What it reads.
    pub body: Content,
    /// The status of an answer.
    pub status: u16,
    /// What it answers.
    pub answer: Content,
    /// Refusals of its own, with what they mean.
    pub errors: &'static [(u16, &'static str)],
}

/// Refusals of a route with a JSON body.
const BODY: &[(u16, &str)] = &[
    (408, "the body does not come"),
    (409, "asked for otherwise before, or over"),
    (413, "the body is too long"),
    (415, "the body is not said to be JSON"),
    (422, "a field that does not fit"),
];
/// Refusals of a launch.
const LAUNCH: &[(u16, &str)] = &[
    (404, "no such app"),
    (408, "the body does not come"),
    (409, "the key has launched something else"),
    (413, "the body is too long"),
    (415, "the body is not said to be JSON"),
    (422, "a field that does not fit"),
    (429, "too many launches within the hour"),
];
/// Refusals of a query.
const QUERY: &[(u16, &str)] = &[(422, "a value that does not fit")];
/// Refusals of what has a state.
const STATE: &[(u16, &str)] = &[(409, "it is over")];

impl Operation {
    fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(fields::<T>);
        self
    }

    fn reads<T: JsonSchema>(self) -> Self {
        self.takes(Content::Json(shape::<T>))
    }

    fn takes(mut self, body: Content) -> Self {
        self.body = body;
        self
    }

    fn gives<T: JsonSchema>(self) -> Self {
        self.answers(Content::Json(shape::<T>))
    }

    fn answers(mut self, answer: Content) -> Self {
        self.status = if matches!(answer, Content::Socket) { 101 } else { self.status };
        self.answer = answer;
        self
    }

    fn refuses(mut self, errors: &'static [(u16, &'static str)]) -> Self {
        self.errors = errors;
        self
    }

    /// Whether it is answered without a token in demo mode.
    pub fn is_open(&self) -> bool {
        match self.right {
            None => true,
            Some(Right::Extend) => false,
            Some(Right::Proxy) => true,
            Some(Right::ReadLog) => self.path.ends_with("/log"),
            Some(right) => !right.is_inside() && !self.asks_agent(),
        }
    }

    /// Whether an agent is asked.
    pub fn asks_agent(&self) -> bool {
        self.right.is_some_and(Right::is_inside) || self.path.ends_with("/health")
    }

    /// What the answer is.
    pub fn answer_says(&self) -> &'static str {
        match (&self.answer, self.status) {
            (Content::Socket, _) => "a WebSocket",
            (_, 202) => "on its way",
            (Content::Anything, _) => "what the app answers, with whatever status",
            _ => "done",
        }
    }
}

fn told(method: &'static str, path: &str, right: Option<Right>, summary: &'static str) -> Operation {
    let path = path.to_owned();
    let (body, answer) = (Content::None, Content::None);
    Operation { method, path, summary, right, query: None, body, status: 200, answer, errors: &[] }
}

fn get(path: &str, right: Right, summary: &'static str) -> Operation {
    told("GET", path, Some(right), summary)
}

fn post(path: &str, right: Right, summary: &'static str) -> Operation {
    told("POST", path, Some(right), summary)
}

fn launches<T: JsonSchema>(path: &str, summary: &'static str) -> Operation {
    let told = post(path, Right::Launch, summary).reads::<T>().gives::<launch::Launched>().refuses(LAUNCH);
    Operation { status: 202, ..told }
}

/// Every route.
pub fn operations() -> Vec<Operation> {
    let events = |path: &str| {
        let told = get(path, Right::See, "What happens in a run, from the first entry on or after Last-Event-ID");
        told.query::<events::Asked>().answers(Content::JsonOrEvents(shape::<events::Listed<'static>>))
    };
    let stop = |path: &str| post(path, Right::Stop, "End a run").gives::<change::Stopped>().refuses(STATE);
    let mut all = vec![
        launches::<launch::GameWish>(
            "/api/launch/warm",
            "Launch a game, in a pool with warm sandboxes if there is one",
        ),
        launches::<launch::GameWish>(
            "/api/launch/cold",
            "Launch a game, in a pool without warm sandboxes if there is one",
        ),
        launches::<launch::AppWish>("/v1/launches", "Launch an app"),
        get("/api/status/{run_id}", Right::See, "How far a run is").gives::<status::Shown>(),
        get("/v1/runs/{run_id}", Right::See, "How far a run is").gives::<status::Shown>(),
        get("/v1/runs", Right::ListRuns, "The newest runs")
            .query::<status::Limit>()
            .gives::<status::List>()
            .refuses(QUERY),
        events("/api/stream/{run_id}"),
        events("/v1/runs/{run_id}/events"),
        stop("/api/runs/{run_id}/stop"),
        stop("/v1/runs/{run_id}/stop"),
        post("/v1/runs/{run_id}/extend", Right::Extend, "Keep a run longer")
            .reads::<change::More>()
            .gives::<change::Extended>()
            .refuses(BODY),
        get("/v1/apps", Right::ListPools, "What can be launched").gives::<overview::Apps>(),
        get("/v1/pools", Right::ListPools, "How the pools are").gives::<overview::List>(),
        get("/api/pool/status", Right::ListPools, "How the pools are, by name").gives::<overview::ByName>(),
        get("/api/orchestrator/logs", Right::ListRuns, "The newest entries of all runs")
            .query::<status::Limit>()
            .gives::<overview::Logs<'static>>()
            .refuses(QUERY),
        told("GET", "/healthz", None, "Whether it lives").answers(Content::Text),
        told("GET", "/readyz", None, "Whether it has read what there is; 503 until then").answers(Content::Text),
        told("GET", "/openapi.json", None, "This document").gives::<serde_json::Value>(),
    ];
    all.extend(commands());
    all.extend(files());
    all.extend(ports());
    all
}

fn inside(rest: &str) -> String {
    format!("/v1/runs/{{run_id}}{rest}")
}

fn commands() -> Vec<Operation> {
    use Right::{Exec, ReadLog, Shell};
    let (pid, session) = ("/api/processes/{pid}", "/api/sessions/{session_id}");
    vec![
        post(&inside("/api/exec"), Exec, "Run a command and wait for its end")
            .reads::<wire::ExecRequest>()
            .gives::<wire::ExecOutput>(),
        post(&inside("/api/exec/stream"), Exec, "Run a command, with its output as it comes")
            .reads::<wire::ExecRequest>()
            .answers(Content::Events),
        post(&inside("/api/exec/background"), Exec, "Start a command that outlives the request")
            .reads::<wire::BackgroundRequest>()
            .gives::<wire::BackgroundStarted>(),
        get(&inside("/api/processes"), ReadLog, "Processes that were started so").gives::<Vec<wire::ProcessInfo>>(),
        get(&inside(pid), ReadLog, "One of them").gives::<wire::ProcessInfo>(),
        post(&inside(&format!("{pid}/kill")), Exec, "Send it a signal")
            .reads::<wire::KillRequest>()
            .gives::<wire::Done>(),
        get(&inside(&format!("{pid}/logs")), ReadLog, "What it has written")
            .query::<query::Tail>()
            .gives::<wire::Logs>(),
        get(&inside(&format!("{pid}/logs/stream")), ReadLog, "What it writes, until it ends")
            .query::<query::Start>()
            .answers(Content::Events),
        get(&inside("/log"), ReadLog, "What the run's app has written, and writes")
            .query::<inside::Wanted>()
            .answers(Content::JsonOrEvents(shape::<wire::Logs>)),
        get(&inside("/api/sessions"), Exec, "Shells that keep their state").gives::<Vec<wire::SessionInfo>>(),
        post(&inside("/api/sessions"), Exec, "Start one")
            .reads::<wire::SessionRequest>()
            .gives::<wire::SessionStarted>(),
        get(&inside(session), Exec, "One of them").gives::<wire::SessionInfo>(),
        told("DELETE", &inside(session), Some(Exec), "End one").gives::<wire::Done>(),
        post(&inside(&format!("{session}/exec")), Exec, "Run a command in one")
            .reads::<wire::SessionExec>()
            .gives::<wire::SessionOutput>(),
        get(&inside("/api/terminal"), Shell, "A program on a terminal")
            .query::<wire::TerminalRequest>()
            .answers(Content::Socket),
    ]
}

fn files() -> Vec<Operation> {
    use Right::{ReadFiles, WriteFiles};
    vec![
        get(&inside("/api/files"), ReadFiles, "The entries of a folder")
            .query::<query::DirectoryQuery>()
            .gives::<wire::FileList>(),
        get(&inside("/api/files/content"), ReadFiles, "A small file")
            .query::<query::FileQuery>()
            .gives::<wire::FileContent>(),
        post(&inside("/api/files/content"), WriteFiles, "Write a small file")
            .reads::<wire::WriteRequest>()
            .gives::<wire::Written>(),
        get(&inside("/api/files/download"), ReadFiles, "A file of any size")
            .query::<query::FileQuery>()
            .answers(Content::Bytes),
        told("PUT", &inside("/api/files/raw"), Some(WriteFiles), "Write a file of any size")
            .query::<query::UploadQuery>()
            .takes(Content::Bytes)
            .gives::<wire::Written>(),
    ]
}

fn ports() -> Vec<Operation> {
    let app = |rest: &str| {
        let told = told("ANY", &inside(rest), Some(Right::Proxy), "An app in the sandbox, WebSockets included");
        told.takes(Content::Anything).answers(Content::Anything)
    };
    vec![
        get(&inside("/health"), Right::See, "Whether the agent is there").gives::<wire::Health>(),
        get(&inside("/api/ports/{port}"), Right::Forward, "A TCP connection to a port").answers(Content::Socket),
        app("/proxy/{port}"),
        app("/proxy/{port}/"),
        app("/proxy/{port}/{*path}"),
    ]
}
