//! `sandbar app`: what pools launch.

use super::output::{Format, OutputArgs, print};
use super::snapshot::{StoreArgs, free};
use crate::artifacts::{PublishError, publish};
use crate::failure::{Failure, chain};
use indicatif::HumanBytes;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Make what pools launch
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep a folder of this machine as the snapshot that an app is launched from
    Publish(Publish),
}

#[derive(Debug, clap::Args)]
struct Publish {
    /// The app's folder; .git, node_modules, __pycache__ and .venv are left out
    dir: PathBuf,
    /// Name of the app in spec.apps of the pool
    #[arg(long, value_name = "NAME", value_parser = app_name)]
    app: String,
    /// Name of the snapshot [default: the app's]
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    /// Take the place of the snapshot of this name
    #[arg(long)]
    replace: bool,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The names that `spec.apps` takes.
fn app_name(text: &str) -> Result<String, String> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good =
        (1..=40).contains(&text.len()) && text.chars().all(inside) && !text.starts_with('-') && !text.ends_with('-');
    match good {
        true => Ok(text.to_owned()),
        false => Err("use 1 to 40 small letters, digits and dashes, none of them at an end".to_owned()),
    }
}

/// Does it.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Publish(args) => keep(args).await,
    }
}

async fn keep(args: Publish) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let name = args.snapshot.as_ref().unwrap_or(&args.app);
    let snapshots = args.store.open().await?;
    free(&snapshots, name, args.replace, "--snapshot").await?;
    let manifest = publish(&args.dir, &args.app, &snapshots, name, args.description).await?;
    match args.output.output {
        Format::Json => print(&manifest, false)?,
        Format::Yaml => print(&manifest, true)?,
        Format::Name => println!("{name}"),
        Format::Table => {
            let (size, took) = (HumanBytes(manifest.size_bytes), begun.elapsed().as_secs_f64());
            println!("app {} is in snapshot {name}: {size} in {took:.1} s", args.app);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Snapshot(error) => error.into(),
            other => Self::new(format!("DIR: {}", chain(&other))).advice("name the folder that the app runs in"),
        }
    }
}
