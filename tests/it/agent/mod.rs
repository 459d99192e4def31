//! The agent over real HTTP: the real binary, a folder of its own, a port of its own.

mod apps;
mod auth;
mod background;
mod contract;
mod exec;
mod files;
mod foreign;
mod life;
mod limits;
mod open;
mod ports;
mod proxy;
mod sdk;
mod sessions;
mod stream;
mod terminal;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::agent::client::AgentClient;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const TOKEN: &str = "a-token-for-tests";

/// An agent that ends with the test.
pub struct Agent {
    child: Child,
    pub base: String,
    folder: TempDir,
}

impl Agent {
    pub fn start() -> Self {
        Self::start_with(|command| _ = command.env("SANDBOX_API_TOKEN", TOKEN))
    }

    pub fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbar"));
        command.args(["agent", "--listen", "127.0.0.1:0", "--root"]).arg(folder.path());
        command.env_remove("SANDBOX_API_TOKEN").env_remove("SANDBOX_MODE").env_remove("PORT");
        command.stdout(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let base = announced(&mut child);
        Self { child, base, folder }
    }

    pub fn client(&self) -> AgentClient {
        AgentClient::new(&self.base, Some(TOKEN)).unwrap()
    }

    pub fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Ends it as a platform would; gives its exit code and how long that took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let begin = Instant::now();
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, begin.elapsed())
    }

    /// One request with the token; status and JSON.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.call_as(method, path, body, Some(&format!("Bearer {TOKEN}"))).await
    }

    pub async fn call_as(&self, method: &str, path: &str, body: Option<Value>, auth: Option<&str>) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = reqwest::Client::new().request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some(auth) = auth {
            request = request.header("authorization", auth);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
        }
    }
}

/// The address that an agent prints when it serves.
pub fn announced(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("not an announcement: {line:?}")).to_owned()
}

/// Waits for a condition, a minute at most.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process lives; a zombie does not.
pub fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A process id that a command has written into the workspace, as soon as it is there.
pub async fn pid_in(agent: &Agent, file: &str) -> i32 {
    let path = agent.workspace().join(file);
    let read = || std::fs::read_to_string(&path).ok().and_then(|text| text.strip_suffix('\n')?.parse().ok());
    eventually(file, || read().is_some()).await;
    read().unwrap()
}
