//! The command line: one variant per command, each handled by its own room.

mod complete;
mod invoked;

pub use complete::{Completions, answer as answer_completion, words};
pub use invoked::Invoked;

use crate::failure::Failure;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::process::ExitCode;

/// Keeps cloud sandboxes level: warm pools, claims, and what runs in them.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator
    Controller(Box<crate::controllers::command::Args>),
    /// Serve the HTTP API: launch apps, watch them, stop them
    Gateway(crate::gateway::command::Args),
    /// Run the daemon inside a sandbox
    Agent(crate::agent::command::Args),
    /// Run a simulated DigitalOcean
    Cloudsim(crate::cloudsim::command::Args),
    /// Run a whole local world: control plane, cloud, operator
    Dev(crate::dev::command::Args),
    /// Print the custom resource definitions
    Crds(crate::api::command::Args),
    /// Print or write manual pages and references
    Reference(crate::reference::command::Args),
    /// Ask an operator or a gateway whether it is ready
    Ready(crate::telemetry::ready::Args),
    #[command(flatten)]
    Claims(crate::claims::command::Command),
}

/// The parser, under the name that people type.
pub fn parser() -> clap::Command {
    Cli::command().bin_name(Invoked::now().typed())
}

/// Reads the command line; help, versions and mistakes are told and end the process.
pub fn parse() -> Cli {
    let mut parser = parser();
    let matches = parser.get_matches_mut();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut parser).exit())
}

/// Nothing here computes much: more threads than this would only cost memory.
const MOST_WORKERS: usize = 4;

/// Runs one command to its end.
///
/// # Errors
/// Whatever the command could not do, with advice where there is some.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(cores.min(MOST_WORKERS)).enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Controller(args) => crate::controllers::command::run(*args).await,
            Command::Gateway(args) => crate::gateway::command::run(args).await,
            Command::Agent(args) => crate::agent::command::run(args).await,
            Command::Cloudsim(args) => crate::cloudsim::command::run(args).await,
            Command::Dev(args) => crate::dev::command::run(args).await,
            Command::Crds(args) => crate::api::command::run(args),
            Command::Reference(args) => crate::reference::command::run(args),
            Command::Ready(args) => crate::telemetry::ready::run(args).await,
            Command::Claims(command) => crate::claims::command::run(command).await,
        }
    })
}
