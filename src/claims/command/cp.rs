//! `sandbar cp`.

mod download;
mod upload;

use super::gateway::EntryArgs;
use super::names;
use super::remote::Place;
use crate::agent::client::{AgentClient, AgentError};
use crate::failure::Failure;
use clap_complete::engine::ArgValueCompleter;
use indicatif::HumanBytes;
use std::process::ExitCode;

/// Folders inside folders that are followed: more can only be a link that leads back.
const MAX_DEPTH: usize = 64;
/// Files on their way at once. Each holds one piece of its content in memory.
const AT_ONCE: usize = 4;

/// Copy a file or a folder into a sandbox or out of it.
///
/// One of the two is ID:PATH, with PATH below /workspace (also the relative ones), /home/sandbox or /tmp. Into a folder
/// that exists the copy goes under its own name; FOLDER/. means what is in the folder. Links are followed, permissions
/// kept.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to copy: PATH or ID:PATH
    #[arg(value_name = "FROM", add = ArgValueCompleter::new(names::places))]
    from: String,
    /// Where to: PATH or ID:PATH
    #[arg(value_name = "TO", add = ArgValueCompleter::new(names::places))]
    to: String,
    #[command(flatten)]
    entry: EntryArgs,
}

/// What was copied.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    files: u64,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Copies.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let tally = match (Place::parse(&args.from), Place::parse(&args.to)) {
        (Place::Here(from), Place::There(to)) => {
            let source = upload::Source::find(&from)?;
            upload::copy(&args.entry.enter(&to.id).await?, &source, &to).await?
        }
        (Place::There(from), Place::Here(to)) => download::copy(&args.entry.enter(&from.id).await?, &from, &to).await?,
        (Place::Here(_), Place::Here(_)) => {
            return Err(Failure::new(format!("neither {} nor {} is in a sandbox", args.from, args.to))
                .advice("write the one in the sandbox as ID:PATH"));
        }
        (Place::There(_), Place::There(_)) => {
            return Err(Failure::new(format!("{} and {} are both in sandboxes", args.from, args.to))
                .advice("copy here first, then there"));
        }
    };
    let s = if tally.files == 1 { "" } else { "s" };
    eprintln!("copied {} file{s}, {}", tally.files, HumanBytes(tally.bytes));
    Ok(ExitCode::SUCCESS)
}

/// Whether this is a folder in the sandbox.
async fn is_folder(agent: &AgentClient, path: &str) -> Result<bool, Failure> {
    match agent.list_files(path).await {
        Ok(_) => Ok(true),
        Err(AgentError::NotFound { .. } | AgentError::Invalid { .. }) => Ok(false),
        Err(error) => Err(on(path, error)),
    }
}

/// The failure, with the path that it is about.
fn on(path: &str, error: AgentError) -> Failure {
    let text = error.to_string();
    let text = if text.contains(path) { text } else { format!("{path}: {text}") };
    match error {
        AgentError::Unreachable { .. } | AgentError::Unauthorized { .. } => error.into(),
        _ => Failure::new(text),
    }
}

fn too_deep(path: &str) -> Failure {
    Failure::new(format!("{path} is more than {MAX_DEPTH} folders deep"))
        .advice("look for a link that leads back to a folder above it")
}
