//! The world that the demo plays in, and the hands that play in it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kube::Api;
use tokio::process::Command;
use tokio::time::Instant;

use super::report::Report;
use crate::api::{Sandbox, SandboxPool};
use crate::cloudsim::admin::{AccountSettings, Call, Op, Seconds, SimAdmin};
use crate::dev::binaries::{Binaries, Tool};
use crate::dev::cloud::{CloudOptions, new_token};
use crate::dev::command::world_failure;
use crate::dev::install::service_account_token;
use crate::dev::operator::Operator;
use crate::dev::world::{LocalWorld, WorldOptions};
use crate::failure::{Failure, chain};

/// The cloud's account.
pub const ACCOUNT: &str = "default";
/// The file that the pool is applied from.
pub const MANIFEST: &str = "pool.yaml";
/// The program that is run in a sandbox.
pub const PROGRAM: &str = "primes.py";

/// What takes tens of seconds in earnest takes a few, as in the cloud here.
const FLAGS: [(&str, &str); 12] = [
    ("--lease-duration", "6s"),
    ("--listing-period", "2s"),
    ("--listing-slow", "3s"),
    ("--create-timeout", "3s"),
    ("--call-timeout", "3s"),
    ("--visibility-grace", "2s"),
    ("--credentials-ttl", "2s"),
    ("--probe-warm", "2s"),
    ("--probe-claimed", "1s"),
    ("--probe-timeout", "2s"),
    ("--orphan-grace", "10s"),
    ("--orphan-sweep", "10s"),
];

/// A world, and the means to act in it.
pub struct Stage {
    operator: Option<Operator>,
    world: LocalWorld,
    /// Reads and steers the cloud.
    pub sim: SimAdmin,
    /// The pools of namespace `default`.
    pub pools: Api<SandboxPool>,
    /// The Sandboxes of namespace `default`.
    pub sandboxes: Api<Sandbox>,
    kubectl: PathBuf,
    program: PathBuf,
    folder: PathBuf,
    speed: f64,
}

/// What a command printed.
pub struct Printed {
    /// To standard output.
    pub out: String,
    /// To standard error.
    pub err: String,
}

impl Stage {
    /// Starts the world in `folder`.
    pub async fn start(folder: &Path, speed: f64, report: &Report) -> Result<Self, Failure> {
        report.tell(
            "starting etcd, kube-apiserver, kube-controller-manager, a simulated cloud, the operator and the gateway",
        );
        report.tell(&format!(
            "the cloud works {speed} times faster than the real one: 60 s there are {:.1} s here;",
            60.0 / speed
        ));
        report.tell("so the operator looks more often than in earnest:");
        let flags: Vec<String> = FLAGS.iter().map(|(flag, value)| format!("{flag} {value}")).collect();
        flags.chunks(5).for_each(|flags| report.tell(&format!("  {}", flags.join(" "))));
        let program = std::env::current_exe()?;
        let cloud = CloudOptions { token: new_token(), speed: Some(speed), virtual_apps: false, seed: Some(1) };
        let options =
            WorldOptions { dir: folder.join("world"), program: program.clone(), cloud, operator: None, gateway: true };
        let world = LocalWorld::start(&options, &say).await.map_err(world_failure)?;
        let kubectl = match Binaries::from_env() {
            Ok(binaries) => binaries.path(Tool::Kubectl, &say).await,
            Err(error) => Err(error),
        };
        let kubectl = kubectl.map_err(|error| Failure::new(chain(&error)).advice(error.advice()))?;
        let client = world.client().await.map_err(world_failure)?;
        std::fs::write(folder.join(MANIFEST), include_str!("../../../deploy/examples/pool.yaml"))?;
        std::fs::write(folder.join(PROGRAM), include_str!("primes.py"))?;
        let mut stage = Self {
            operator: None,
            sim: SimAdmin::new(world.cloud().url()),
            pools: Api::namespaced(client.clone(), "default"),
            sandboxes: Api::namespaced(client, "default"),
            world,
            kubectl,
            program,
            folder: folder.to_owned(),
            speed,
        };
        stage.start_operator().await?;
        Ok(stage)
    }

    /// Starts the operator and waits until it is ready.
    pub async fn start_operator(&mut self) -> Result<(), Failure> {
        let arguments = FLAGS.iter().flat_map(|(flag, value)| [*flag, *value]).map(str::to_owned).collect();
        let options = self.world.operator_options().with(arguments);
        self.operator = Some(Operator::start(&options).await.map_err(failed)?);
        Ok(())
    }

    /// Kills the operator (SIGKILL).
    pub async fn kill_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.kill().await;
        }
    }

    /// Ends everything in order.
    pub async fn end(self) {
        if let Some(operator) = self.operator {
            operator.stop().await;
        }
        self.world.stop().await;
    }

    /// Puts a file where the commands run.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }

    /// Puts a file in a folder there.
    pub fn write_below(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.folder.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        Ok(std::fs::write(path, bytes)?)
    }

    /// The gateway's address.
    pub fn gateway_url(&self) -> String {
        self.world.gateway_url().unwrap_or_default()
    }

    /// Runs kubectl and shows what it printed.
    pub async fn kubectl(&self, report: &Report, arguments: &[&str]) -> Result<Printed, Failure> {
        self.run(report, Command::new(&self.kubectl), "kubectl", arguments).await
    }

    /// Runs this program as a user would and shows what it printed.
    pub async fn sandbar(&self, report: &Report, arguments: &[&str]) -> Result<Printed, Failure> {
        self.run(report, Command::new(&self.program), "sandbar", arguments).await
    }

    /// The same with the token of a ServiceAccount.
    pub async fn sandbar_as(&self, report: &Report, account: &str, arguments: &[&str]) -> Result<Printed, Failure> {
        let client = self.pools.clone().into_client();
        let token = service_account_token(&client, "default", account).await.map_err(failed)?;
        let mut command = Command::new(&self.program);
        command.env("SANDBAR_TOKEN", token);
        self.run(report, command, "sandbar", arguments).await
    }

    async fn run(&self, report: &Report, mut command: Command, name: &str, words: &[&str]) -> Result<Printed, Failure> {
        command.args(words).current_dir(&self.folder).kill_on_drop(true).stdin(Stdio::null());
        command.env("KUBECONFIG", self.world.kubeconfig()).env("KUBECACHEDIR", self.folder.join("kubectl"));
        command.env("SANDBAR_SNAPSHOT_URL", self.world.snapshot_url());
        let output = command.output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = Printed { out: text(&output.stdout), err: text(&output.stderr) };
        let line = format!("{name} {}", words.join(" "));
        report.show(&line, &format!("{}{}", printed.out, printed.err));
        if output.status.success() {
            return Ok(printed);
        }
        Err(Failure::new(format!("{line}: {}: {}", output.status, printed.err.trim())))
    }

    /// Makes the cloud answer creates so much (real) time after they took effect.
    pub async fn delay_create_answers(&self, by: Duration) -> Result<(), Failure> {
        let mut settings = AccountSettings::with_token(self.world.token());
        settings.timings.create_call_seconds = Seconds::Fixed(by.as_secs_f64() * self.speed);
        self.sim.put_account(ACCOUNT, &settings).await.map_err(failed)
    }

    /// The number of the cloud's newest call.
    pub async fn newest_call(&self) -> Result<u64, Failure> {
        Ok(self.sim.summary().await.map_err(failed)?.total)
    }

    /// The creates and deletes that the cloud was asked for after that call.
    pub async fn changes_since(&self, call: u64) -> Result<Vec<Call>, Failure> {
        let mut calls = self.sim.calls(ACCOUNT, call).await.map_err(failed)?;
        calls.retain(|call| matches!(call.op, Op::Create | Op::Delete));
        Ok(calls)
    }

    /// The time of the cloud in so much time of ours, in seconds.
    pub fn cloud_seconds(&self, time: Duration) -> f64 {
        time.as_secs_f64() * self.speed
    }
}

/// Asks again and again (every 50 ms) until there is an answer.
pub async fn until<T>(
    within: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            return Err(Failure::new(format!("after {} s still waiting: {what}", within.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Any error as the demo's.
pub fn failed(error: impl std::error::Error) -> Failure {
    Failure::new(chain(&error))
}

fn say(line: &str) {
    anstream::eprintln!("   {line}");
}
