//! `sandbar dev`: a local world, up and down.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::binaries::{Binaries, BinaryError, Tool};
use super::cloud::{CloudOptions, new_token};
use super::place;
use super::world::{LocalWorld, WorldError, WorldOptions};
use crate::failure::{Failure, chain};

/// Longer than the ordered end of a world takes.
const DOWN_WITHIN: Duration = Duration::from_secs(60);

/// What is under `sandbar dev`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Start a control plane, a simulated cloud, the operator and the gateway
    /// with its page, open to everybody on this machine; runs until Ctrl-C or `sandbar dev down`
    Up(Up),
    /// End the local world that runs in a folder
    Down(Down),
    /// Play the main job in a world of its own, told step by step (2 minutes)
    Demo(super::demo::Args),
    /// Print where the programs of the control plane and its clients are; builds
    /// those that are nowhere, which takes about 12 minutes the first time
    Binaries(Wanted),
    /// Pack this program as a plugin of kubectl, with the manifest that krew
    /// installs it by
    Plugin(super::plugin::Args),
}

#[derive(Debug, clap::Args)]
struct Up {
    /// Folder for kubeconfig, env, logs and state
    #[arg(long, default_value = ".local/dev")]
    dir: PathBuf,
    /// Leave a part out, to run it by hand
    #[arg(long, value_enum)]
    without: Vec<Part>,
    /// How many times faster than real time the cloud works
    #[arg(long)]
    speed: Option<f64>,
    /// Simulate the sandboxes' agents instead of starting one per sandbox
    #[arg(long = "virtual")]
    virtual_apps: bool,
    /// Seed of the cloud's timings and faults
    #[arg(long)]
    seed: Option<u64>,
    /// Further flags for the operator, after `--`, such as `-- --listing-period 1s`
    #[arg(last = true, value_name = "OPERATOR FLAG")]
    operator: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The operator
    Operator,
    /// The gateway
    Gateway,
}

#[derive(Debug, clap::Args)]
struct Wanted {
    /// Only these programs
    #[arg(value_enum, default_values_t = [Tool::Etcd, Tool::Apiserver, Tool::ControllerManager, Tool::Kubectl, Tool::Helm])]
    tools: Vec<Tool>,
}

#[derive(Debug, clap::Args)]
struct Down {
    /// The folder given to `sandbar dev up`
    #[arg(long, default_value = ".local/dev")]
    dir: PathBuf,
}

/// Runs a world until it is told to end, or ends one.
///
/// # Errors
/// When the world does not come up, breaks, or there is none to end.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Up(up) => run_up(up).await,
        Command::Down(down) => run_down(down).await,
        Command::Demo(args) => super::demo::run(args).await,
        Command::Binaries(wanted) => run_binaries(wanted).await,
        Command::Plugin(args) => super::plugin::run(&args),
    }
}

async fn run_up(up: Up) -> Result<ExitCode, Failure> {
    let options = WorldOptions {
        dir: up.dir,
        program: std::env::current_exe()?,
        cloud: CloudOptions { token: new_token(), speed: up.speed, virtual_apps: up.virtual_apps, seed: up.seed },
        operator: (!up.without.contains(&Part::Operator)).then_some(up.operator),
        gateway: !up.without.contains(&Part::Gateway),
    };
    let mut end = Box::pin(told_to_end()?);
    let world = tokio::select! {
        started = LocalWorld::start(&options, &tell) => started.map_err(world_failure)?,
        () = &mut end => return Ok(ExitCode::SUCCESS),
    };
    anstream::println!("{}", world.summary());
    let broken = tokio::select! {
        () = &mut end => None,
        (child, status) = world.broken() => Some(Failure::new(format!(
            "{} ended unexpectedly ({status}); the last lines of {}:\n{}",
            child.name(),
            child.log().display(),
            child.tail(15)
        ))),
    };
    world.stop().await;
    broken.map_or(Ok(ExitCode::SUCCESS), Err)
}

async fn run_down(down: Down) -> Result<ExitCode, Failure> {
    let ended = place::end(&down.dir, DOWN_WITHIN).await;
    let pid = ended.map_err(|error| match &error {
        place::PlaceError::Lingers { pid, .. } => {
            let advice = format!("kill -9 {pid}: its children end with it");
            Failure::new(chain(&error)).advice(advice)
        }
        place::PlaceError::Free { .. } => {
            Failure::new(chain(&error)).advice("name the folder given to sandbar dev up with --dir")
        }
        _ => Failure::new(chain(&error)),
    })?;
    anstream::println!("ended: the local world in {} (process {pid})", down.dir.display());
    Ok(ExitCode::SUCCESS)
}

async fn run_binaries(wanted: Wanted) -> Result<ExitCode, Failure> {
    let failure = |error: BinaryError| Failure::new(chain(&error)).advice(error.advice());
    let binaries = Binaries::from_env().map_err(failure)?;
    let mut end = Box::pin(told_to_end()?);
    for tool in wanted.tools {
        tokio::select! {
            path = binaries.path(tool, &tell) => anstream::println!("{}", path.map_err(failure)?.display()),
            () = &mut end => return Err(Failure::new(format!("told to end before {} was there", tool.file()))),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(line: &str) {
    anstream::eprintln!("{line}");
}

/// Why a world did not come up, with the way out where there is one.
pub(super) fn world_failure(error: WorldError) -> Failure {
    let failure = Failure::new(chain(&error));
    match error.advice() {
        Some(advice) => failure.advice(advice),
        None => failure,
    }
}

/// Completes on Ctrl-C, SIGTERM, or when the terminal goes away.
pub(super) fn told_to_end() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
