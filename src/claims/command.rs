//! What a person types: `sandbar claim`, `release`, `extend`, `ls`, `cost`, `exec`, `shell`, `cp`, `checkout`,
//! `logs`, `port-forward`, `snapshot`, `doctor`, `orphans`, `drain`.
//!
//! The commands use the person's kubeconfig and rights, and need no access to the provider.

mod advice;
mod app;
mod checkout;
mod claim;
mod cluster;
mod completions;
mod cost;
mod cp;
mod doctor;
mod drain;
mod entry;
mod exec;
mod extend;
mod forward;
mod gateway;
mod hibernate;
mod listing;
mod logs;
mod ls;
mod names;
mod orphans;
mod output;
mod release;
mod remote;
mod shell;
mod snapshot;
mod waiting;

use crate::failure::Failure;
use std::process::ExitCode;

/// Commands about runs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Take a sandbox of a pool
    Claim(claim::Args),
    /// Give runs back
    Release(release::Args),
    /// Keep a run longer
    Extend(extend::Args),
    /// Show pools and runs
    Ls(ls::Args),
    /// Show what pools, sandboxes and holders cost
    Cost(cost::Args),
    /// Run a command in a sandbox
    Exec(exec::Args),
    /// Open a terminal in a sandbox
    Shell(shell::Args),
    /// Copy files and folders into a sandbox or out of it
    Cp(cp::Args),
    /// Check out a git repository in a sandbox; a token for it stays on no disk there
    Checkout(checkout::Args),
    /// Print what a background process in a sandbox has written
    Logs(logs::Args),
    /// Reach ports of a sandbox through ports of this machine
    PortForward(forward::Args),
    /// Keep the files of a run and end its instance; the claim stays
    Hibernate(hibernate::Args),
    /// Make a hibernated run a new instance with its files
    Wake(hibernate::Args),
    /// Keep the files of a run in a store, and put them back
    Snapshot(snapshot::Args),
    /// Make what pools launch
    App(app::Args),
    /// Look for what is wrong with an installation, and say what to do about it
    Doctor(doctor::Args),
    /// Show, and approve the deletion of, instances whose Sandbox is gone
    Orphans(orphans::Args),
    /// Delete every pool, and wait until nothing of it is left at the provider
    Drain(drain::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs one of the commands to its end.
///
/// # Errors
/// What it could not do, with advice.
pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Claim(args) => claim::run(args).await,
        Command::Release(args) => release::run(args).await,
        Command::Extend(args) => extend::run(args).await,
        Command::Ls(args) => ls::run(args).await,
        Command::Cost(args) => cost::run(args).await,
        Command::Exec(args) => exec::run(args).await,
        Command::Shell(args) => shell::run(args).await,
        Command::Cp(args) => cp::run(args).await,
        Command::Checkout(args) => checkout::run(args).await,
        Command::Logs(args) => logs::run(args).await,
        Command::PortForward(args) => forward::run(args).await,
        Command::Hibernate(args) => hibernate::hibernate(args).await,
        Command::Wake(args) => hibernate::wake(args).await,
        Command::Snapshot(args) => snapshot::run(args).await,
        Command::App(args) => app::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Orphans(args) => orphans::run(args).await,
        Command::Drain(args) => drain::run(args).await,
        Command::Completions(args) => completions::run(&args),
    }
}
