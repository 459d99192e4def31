//! `sandbar completions`.

use crate::command::{Completions, Invoked};
use crate::failure::Failure;
use std::io::Write;
use std::process::ExitCode;

/// Print what makes a shell complete commands, flags, and the names of pools, runs, apps and snapshots.
///
/// For bash, add to ~/.bashrc: source <(sandbar completions bash). Zsh alike; fish: sandbar completions fish | source.
/// kubectl completes its plugin by a file of its own in PATH: kubectl sandbar completions kubectl
/// >~/.local/bin/kubectl_complete-sandbar, then chmod +x on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Who is to complete
    #[arg(value_enum)]
    shell: Completions,
}

/// Prints the script.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    if Invoked::now() == Invoked::Plugin && args.shell != Completions::Kubectl {
        return Err(Failure::new("kubectl's own completions complete its plugins, in every shell").advice(
            "kubectl sandbar completions kubectl >~/.local/bin/kubectl_complete-sandbar && \
             chmod +x ~/.local/bin/kubectl_complete-sandbar",
        ));
    }
    let mut script = Vec::new();
    args.shell.script(&mut script)?;
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
