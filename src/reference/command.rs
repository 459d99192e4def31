//! `sandbar reference`: writes references and manual pages.

use super::{api, cli, man};
use crate::failure::Failure;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print or write what can be looked up: manual pages, and the pages of docs/ that are made from the program.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a manual page for every command; man -M or MANPATH finds them in DIR
    Man {
        /// Folder that gets a folder man1
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Print the reference of the command line, in Markdown
    Cli(Page),
    /// Print the reference of the API: every field, rule, condition and reason, in Markdown
    Api(Page),
}

#[derive(Debug, clap::Args)]
struct Page {
    /// Write it into this folder instead
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Writes it.
///
/// # Errors
/// When a folder or a file cannot be written.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Man { to } => {
            let folder = to.join("man1");
            std::fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
            man(&folder).map_err(|error| unwritable(&folder, &error))?;
        }
        Command::Cli(page) => page.write("cli.md", &cli())?,
        Command::Api(page) => page.write("api.md", &api())?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Page {
    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let Some(folder) = &self.to else {
            print!("{text}");
            return Ok(());
        };
        let file = folder.join(name);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, text))
            .map_err(|error| unwritable(&file, &error))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("--to: {}: {error}", path.display()))
}
