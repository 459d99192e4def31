//! `sandbar dev up` and `down`, typed as a person would.

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::dev::nursery::die_with_parent;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::wait::eventually;
use crate::world::PROGRAM;

const START: Duration = Duration::from_secs(120);

/// A running `sandbar dev up`.
pub struct Up {
    process: Child,
    /// What it printed when it was ready.
    pub line: String,
}

impl Up {
    /// Starts a world without operator and waits for the line that says it is ready.
    async fn start(dir: &Path) -> Self {
        Self::from(command(dir)).await
    }

    /// Starts what `command` says and waits for the line that says it is ready.
    pub async fn from(mut command: Command) -> Self {
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(START, lines.next_line()).await.expect("ready in time").unwrap();
        Self { process, line: line.expect("a line, not an end") }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.id().expect("running").try_into().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// How it ended, and what it said on standard error.
    async fn ended(&mut self) -> (ExitStatus, String) {
        let mut words = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut words).await.unwrap();
        (timeout(START, self.process.wait()).await.expect("an end in time").unwrap(), words)
    }
}

fn command(dir: &Path) -> Command {
    let mut command = whole(dir);
    command.args(["--without", "operator"]);
    command
}

/// A world with everything in it.
pub fn whole(dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["dev", "up", "--virtual", "--dir"]).arg(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    die_with_parent(command.as_std_mut());
    command
}

/// Runs `sandbar dev down`.
pub async fn down(dir: &Path) -> Output {
    Command::new(PROGRAM).args(["dev", "down", "--dir"]).arg(dir).output().await.unwrap()
}

/// Processes whose parent is `pid`, by number and command line.
pub fn children(pid: i32) -> Vec<(i32, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    let pids: Vec<i32> =
        lists.flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    pids.into_iter().map(|pid| (pid, std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap())).collect()
}

/// Whether the process is gone. One that waits for its new parent to notice
/// its end is.
fn gone(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('Z') || rest.starts_with('X'))
}

/// Waits until all of these, the children of a world, are gone.
pub async fn all_gone(pids: &[(i32, String)]) {
    assert!(pids.len() >= 4, "etcd, API server, controller-manager, cloud: {pids:?}");
    eventually("gone", async || {
        let left: Vec<_> = pids.iter().filter(|(pid, _)| !gone(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn up_serves_refuses_a_second_and_goes_down_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path()).await;
    assert!(up.line.starts_with("ready: Kubernetes https://127.0.0.1:"), "{}", up.line);
    let pids = children(up.pid());

    let env = dir.path().join("env");
    let script = r#". "$1" && curl -sf -H "Authorization: Bearer $DIGITALOCEAN_TOKEN" "$CLOUDSIM_URL/v2/account" \
                   && [ -f "$KUBECONFIG" ] && [ -z "$METRICS_URL" ]"#;
    let sourced = Command::new("sh").args(["-c", script, "sh"]).arg(&env).output().await.unwrap();
    assert!(sourced.status.success(), "{sourced:?}");

    let second = command(dir.path()).output().await.unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(words.contains(&format!("already (process {})", up.pid())) && words.contains("dev down"), "{words}");

    let said = down(dir.path()).await;
    assert!(said.status.success(), "{said:?}");
    all_gone(&pids).await;
    assert_eq!(up.ended().await.0.code(), Some(0));
    assert!(!env.exists() && !dir.path().join("data").exists() && !dir.path().join("kubeconfig").exists());

    let again = down(dir.path()).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("no local world runs in"), "{again:?}");
}

#[tokio::test]
async fn killed_it_leaves_no_process_and_its_folder_can_be_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path()).await;
    let pids = children(up.pid());
    up.signal(Signal::SIGKILL);
    all_gone(&pids).await;
    up.ended().await;

    let mut up = Up::start(dir.path()).await;
    let pids = children(up.pid());
    up.signal(Signal::SIGINT);
    assert_eq!(up.ended().await.0.code(), Some(0));
    all_gone(&pids).await;
}

#[tokio::test]
async fn a_child_that_dies_ends_the_world_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut up = Up::start(dir.path()).await;
    let pids = children(up.pid());
    let (cloud, _) = pids.iter().find(|(_, line)| line.contains("cloudsim")).unwrap();
    kill(Pid::from_raw(*cloud), Signal::SIGKILL).unwrap();
    let (status, words) = up.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(words.contains("cloudsim ended unexpectedly") && words.contains("cloudsim.log"), "{words}");
    all_gone(&pids).await;
}

#[tokio::test]
async fn told_to_end_while_it_starts_it_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = command(dir.path()).spawn().unwrap();
    let pid: i32 = process.id().unwrap().try_into().unwrap();
    let begun = async || {
        let now = children(pid);
        if now.iter().any(|(_, line)| line.contains("kube-apiserver")) { Ok(now) } else { Err(format!("{now:?}")) }
    };
    let pids = eventually("starting", begun).await;
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let status = timeout(START, process.wait()).await.expect("an end in time").unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(pids.iter().all(|(pid, _)| gone(*pid)), "{pids:?}");
    assert!(!dir.path().join("data").exists());
}

#[tokio::test]
async fn binaries_prints_the_path_of_a_program() {
    let output = Command::new(PROGRAM).args(["dev", "binaries", "etcd"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let path = String::from_utf8(output.stdout).unwrap();
    let version = Command::new(path.trim()).arg("--version").output().await.unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("etcd Version: 3.6"), "{version:?}");
}
