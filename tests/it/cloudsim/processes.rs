//! Apps as real processes, and what is left of them: nothing.

use super::support::{Client, Cloud, TOKEN, instant, options, until};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::cloudsim::Options;
use sandbar::cloudsim::admin::{AgentState, SimAdmin};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_sandbar").into()
}

async fn real_cloud(state: Option<&Path>) -> Cloud {
    let options = Options {
        virtual_apps: false,
        agent_program: Some(program()),
        state: state.map(Path::to_owned),
        ..options(instant())
    };
    Cloud::with(options).await
}

/// A client of one app's agent.
struct Sandbox {
    url: String,
    http: reqwest::Client,
}

impl Sandbox {
    /// Waits until the app has an address.
    async fn of(client: &Client, id: &str) -> Self {
        let url = until("live_url", async || client.app(id).await["live_url"].as_str().map(str::to_owned)).await;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        Self { url, http }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth("s3cret").json(&body);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Standard output of a command that must succeed.
    async fn run(&self, command: &str) -> String {
        let answer = self.post("/api/exec", json!({ "command": command })).await;
        assert_eq!(answer["exit_code"], 0, "{answer}");
        answer["stdout"].as_str().unwrap().trim().to_owned()
    }

    /// The agent's process: the parent of any command's shell.
    async fn agent(&self) -> Pid {
        Pid::from_raw(self.run("echo $PPID").await.parse().expect("a process id"))
    }

    /// A process that would go on for an hour.
    async fn background(&self) -> Pid {
        let answer = self.post("/api/exec/background", json!({ "command": "exec sleep 3600" })).await;
        Pid::from_raw(answer["pid"].as_i64().expect("a pid") as i32)
    }

    async fn healthy(&self) -> bool {
        let request = self.http.get(format!("{}/health", self.url)).timeout(Duration::from_secs(2));
        request.send().await.is_ok_and(|answer| answer.status() == 200)
    }
}

async fn gone(pid: Pid) {
    until("a process to be gone", async || (kill(pid, None) == Err(Errno::ESRCH)).then_some(())).await;
}

#[tokio::test]
async fn an_app_is_a_process_with_its_environment_and_ends_with_the_app() {
    let cloud = real_cloud(None).await;
    let id = cloud.client.create("web-1").await;
    let sandbox = Sandbox::of(&cloud.client, &id).await;
    assert!(!sandbox.url.starts_with(cloud.running.url()), "an address of its own");
    assert_eq!(sandbox.run("echo $SANDBAR_UID $PORT").await, "uid-of-web-1 8080");
    let (agent, background) = (sandbox.agent().await, sandbox.background().await);
    let other = cloud.client.create("web-2").await;
    let other = Sandbox::of(&cloud.client, &other).await;
    cloud.client.delete(&id).await;
    gone(agent).await;
    gone(background).await;
    assert!(other.healthy().await, "other apps go on");
    let agent = other.agent().await;
    cloud.running.stop().await;
    assert_eq!(kill(agent, None), Err(Errno::ESRCH), "nothing is left when the simulator has stopped");
}

#[tokio::test]
async fn a_vanished_app_and_a_dropped_simulator_leave_no_process() {
    let cloud = real_cloud(None).await;
    let (first, second) = (cloud.client.create("web-1").await, cloud.client.create("web-2").await);
    let vanishing = Sandbox::of(&cloud.client, &first).await.agent().await;
    cloud.admin.vanish(&first).await.unwrap();
    gone(vanishing).await;
    let dropped = Sandbox::of(&cloud.client, &second).await;
    let (agent, background) = (dropped.agent().await, dropped.background().await);
    drop(cloud);
    gone(agent).await;
    gone(background).await;
}

#[tokio::test]
async fn maintenance_wipes_the_files_and_keeps_the_address() {
    let cloud = real_cloud(None).await;
    let id = cloud.client.create("web-1").await;
    let sandbox = Sandbox::of(&cloud.client, &id).await;
    sandbox.run("echo work > kept.txt && ls").await;
    let before = sandbox.agent().await;
    let deployment = cloud.admin.maintenance(&id).await.unwrap();
    let app = until("the new deployment", async || {
        let app = cloud.client.app(&id).await;
        (app["active_deployment"]["id"] == deployment.as_str()).then_some(app)
    })
    .await;
    assert_eq!(app["live_url"], sandbox.url.as_str());
    gone(before).await;
    assert_eq!(sandbox.run("ls").await, "", "the files are lost");
    assert_ne!(sandbox.agent().await, before);
}

#[tokio::test]
async fn an_agent_process_may_die_hang_and_recover() {
    let cloud = real_cloud(None).await;
    let id = cloud.client.create("web-1").await;
    let sandbox = Sandbox::of(&cloud.client, &id).await;
    sandbox.run("echo work > kept.txt").await;
    let agent = sandbox.agent().await;
    cloud.admin.set_agent(&id, AgentState::Hung).await.unwrap();
    assert!(!sandbox.healthy().await);
    cloud.admin.set_agent(&id, AgentState::Ok).await.unwrap();
    assert!(sandbox.healthy().await);
    assert_eq!(sandbox.agent().await, agent, "the same process goes on");
    cloud.admin.set_agent(&id, AgentState::Dead).await.unwrap();
    gone(agent).await;
    assert!(!sandbox.healthy().await);
    cloud.admin.set_agent(&id, AgentState::Ok).await.unwrap();
    until("the agent", async || sandbox.healthy().await.then_some(())).await;
    assert_eq!(sandbox.run("cat kept.txt").await, "work");
    cloud.admin.set_agent(&id, AgentState::Hung).await.unwrap();
    let agent = sandbox_agent_when_hung(&cloud, &id).await;
    cloud.client.delete(&id).await;
    gone(agent).await;
}

/// A hung agent cannot be asked; wake it for a moment.
async fn sandbox_agent_when_hung(cloud: &Cloud, id: &str) -> Pid {
    cloud.admin.set_agent(id, AgentState::Ok).await.unwrap();
    let agent = Sandbox::of(&cloud.client, id).await.agent().await;
    cloud.admin.set_agent(id, AgentState::Hung).await.unwrap();
    agent
}

#[tokio::test]
async fn a_process_that_does_not_start_fails_the_deployment_with_its_words() {
    let options = Options { virtual_apps: false, agent_program: Some("/bin/false".into()), ..options(instant()) };
    let cloud = Cloud::with(options).await;
    let id = cloud.client.create("web-1").await;
    let deployments = format!("/v2/apps/{id}/deployments");
    let failed = until("ERROR", async || {
        let all = cloud.client.get(&deployments).await.body;
        (all["deployments"][0]["phase"] == "ERROR").then_some(all)
    })
    .await;
    assert!(failed.to_string().contains("DeployContainerExitNonZero"), "{failed}");
}

/// `sandbar cloudsim` as a process.
struct Simulator {
    child: Child,
    url: String,
}

impl Simulator {
    fn start(state: &Path) -> Self {
        let mut child = Command::new(program())
            .args(["cloudsim", "--token", TOKEN, "--speed", "1000", "--state"])
            .arg(state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("cloudsim listening on ").expect("its address").to_owned();
        Self { child, url }
    }

    fn end(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_killed_simulator_leaves_no_process_and_a_new_one_brings_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Simulator::start(folder.path());
    let client = Client::new(&first.url, TOKEN);
    let id = client.create("web-1").await;
    let sandbox = Sandbox::of(&client, &id).await;
    sandbox.run("echo work > kept.txt").await;
    let (agent, background) = (sandbox.agent().await, sandbox.background().await);
    first.end(Signal::SIGKILL);
    gone(agent).await;
    gone(background).await;

    let mut second = Simulator::start(folder.path());
    let client = Client::new(&second.url, TOKEN);
    let sandbox = Sandbox::of(&client, &id).await;
    assert_eq!(sandbox.run("cat kept.txt").await, "work");
    assert_eq!(SimAdmin::new(&second.url).ledger().await.unwrap().apps.len(), 1);
    let agent = sandbox.agent().await;
    second.end(Signal::SIGTERM);
    assert_eq!(kill(agent, None), Err(Errno::ESRCH), "SIGTERM returns when all have ended");
}

#[tokio::test]
async fn an_app_deleted_while_its_process_starts_leaves_none() {
    let folder = tempfile::tempdir().unwrap();
    // A name of its own tells these processes from those of other tests.
    let program_of_this_test = folder.path().join("sandbar");
    std::os::unix::fs::symlink(program(), &program_of_this_test).unwrap();
    let agent_program = Some(program_of_this_test.clone());
    let cloud = Cloud::with(Options { virtual_apps: false, agent_program, ..options(instant()) }).await;
    for n in 0..5 {
        let id = cloud.client.create(&format!("web-{n}")).await;
        cloud.client.delete(&id).await;
    }
    cloud.client.create("web-5").await;
    cloud.running.stop().await;
    let pattern = program_of_this_test.to_str().unwrap();
    until("no agent of this test", async || {
        let listed = Command::new("pgrep").args(["-f", pattern]).output().expect("pgrep");
        listed.stdout.is_empty().then_some(())
    })
    .await;
}
