//! `sandbar cloudsim`: a simulated DigitalOcean as a process.

use super::admin::{AccountSettings, Limits, Seconds, Timings};
use super::{CloudSim, JournalError, Options, StartError};
use crate::failure::{Failure, chain};
use crate::telemetry::logging::{self, LogArgs};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// The token of the default account, when none is given.
const DEFAULT_TOKEN: &str = "dop_v1_simulated";

/// Serves the App Platform API below /v2, and below /_sim what steers it.
///
/// Apps run as processes, each the agent of this program in a folder of its
/// own. Nothing is left of them when the simulator ends, however it ends.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Loopback address to listen on; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// No processes: answer for the apps, so that thousands fit
    #[arg(long = "virtual")]
    virtual_apps: bool,
    /// How many times faster things happen: deployments, deletes, delays, rate windows
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Decides durations and ids
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder that keeps the state over restarts
    #[arg(long)]
    state: Option<PathBuf>,
    /// An account to begin with; may be repeated, then with one --token each
    #[arg(long, default_value = "default")]
    account: Vec<String>,
    /// A token; all belong to the account if there is one, else one to each in order
    #[arg(long, default_value = DEFAULT_TOKEN)]
    token: Vec<String>,
    /// Seconds from create to ACTIVE instead of the real spread (43 to 97)
    #[arg(long)]
    ready_seconds: Option<f64>,
    /// Seconds from DELETE until GET answers 404
    #[arg(long)]
    delete_seconds: Option<f64>,
    /// Refuse no call, however many come
    #[arg(long)]
    no_limits: bool,
    #[command(flatten)]
    log: LogArgs,
}

impl Args {
    fn accounts(&self) -> Result<BTreeMap<String, AccountSettings>, Failure> {
        let mut timings = Timings::default();
        if let Some(seconds) = self.ready_seconds {
            timings.ready_seconds = Seconds::Fixed(seconds);
        }
        if let Some(seconds) = self.delete_seconds {
            timings.delete_seconds = Seconds::Fixed(seconds);
        }
        let limits = Limits { enabled: !self.no_limits, ..Limits::default() };
        let settings = |tokens: Vec<String>| AccountSettings {
            tokens,
            timings: timings.clone(),
            limits: limits.clone(),
            ..AccountSettings::with_token(DEFAULT_TOKEN)
        };
        if let [only] = self.account.as_slice() {
            return Ok(BTreeMap::from([(only.clone(), settings(self.token.clone()))]));
        }
        if self.account.len() != self.token.len() {
            let (accounts, tokens) = (self.account.len(), self.token.len());
            return Err(Failure::new(format!("{accounts} --account but {tokens} --token"))
                .advice("give one --token after each --account"));
        }
        let pairs = self.account.iter().zip(&self.token);
        Ok(pairs.map(|(name, token)| (name.clone(), settings(vec![token.clone()]))).collect())
    }
}

/// Runs the simulator until SIGINT or SIGTERM.
///
/// # Errors
/// When it cannot start.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let accounts = args.accounts()?;
    logging::init(&args.log)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let options = Options {
        listen: args.listen,
        virtual_apps: args.virtual_apps,
        speed: args.speed,
        seed: args.seed,
        accounts,
        state: args.state,
        agent_program: None,
    };
    let running = CloudSim::start(options).await.map_err(failure)?;
    anstream::println!("cloudsim listening on {}", running.url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn failure(error: StartError) -> Failure {
    let advice = match &error {
        StartError::NotLoopback(_) | StartError::Listen { .. } => "--listen 127.0.0.1:0 takes a free port",
        StartError::Speed(_) => "--speed 60 makes an hour a minute",
        StartError::Account { .. } => "sandbar cloudsim --help",
        StartError::State(JournalError::InUse(_)) => "end the other simulator, or give another --state folder",
        StartError::State(_) | StartError::Folder(_) => "give a --state folder that is empty and may be written to",
    };
    Failure::new(format!("cloudsim: {}", chain(&error))).advice(advice)
}
