//! `sandbar snapshot`: the files of a run, kept in a store and put back.

mod size;

use super::cluster::ClusterArgs;
use super::entry::enter;
use super::names;
use super::output::{Format, OutputArgs, from_now, print, show, table};
use crate::artifacts::{
    AddressError, HIBERNATED, Manifest, SaveOptions, SnapshotError, Snapshots, Store, TransferError, Unpack, restore,
    save,
};
use crate::failure::{Failure, chain};
use clap_complete::engine::ArgValueCandidates;
use indicatif::HumanBytes;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use size::Size;
use std::process::ExitCode;
use std::time::Instant;

/// Keep the files of a run in a store, and put them back into this run or another
///
/// The store is s3://BUCKET/FOLDER, a Spaces address or file:///FOLDER; keys and endpoint come from AWS_ACCESS_KEY_ID,
/// AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL. Every namespace has its own folder in it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep the files of a run
    Create(Create),
    /// Show the snapshots of the namespace
    Ls(List),
    /// Remove snapshots
    Rm(Remove),
    /// Put the files of a snapshot into a run
    Restore(Restore),
}

/// Which store, and which namespace in it.
#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    /// Address of the store
    #[arg(long, env = "SANDBAR_SNAPSHOT_URL", value_name = "URL")]
    store: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Name of the snapshot [default: snap- and 12 letters]
    #[arg(long)]
    name: Option<String>,
    /// Take the place of the snapshot of this name
    #[arg(long, requires = "name")]
    replace: bool,
    /// Folder in or below /workspace or /home/sandbox; may be repeated
    #[arg(long, value_name = "DIR", default_value = crate::agent::wire::WORKSPACE)]
    path: Vec<String>,
    /// What to leave out, as tar has it; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// The most that the files may have, such as 500MiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    max_size: Size,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// For people's tools; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    tag: Vec<(String, String)>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// Names of snapshots
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(names::snapshots))]
    names: Vec<String>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, clap::Args)]
struct Restore {
    /// Name of the snapshot
    #[arg(add = ArgValueCandidates::new(names::snapshots))]
    name: String,
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Empty the snapshot's folders first; else its files go over those that are there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    store: StoreArgs,
}

fn tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "write NAME=VALUE".to_owned())
}

/// Does it.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.command {
        Command::Create(args) => create(args).await,
        Command::Ls(args) => list(args).await,
        Command::Rm(args) => remove(args).await,
        Command::Restore(args) => put_back(args).await,
    }
}

impl StoreArgs {
    /// The namespace's snapshots; nothing is asked of the store yet.
    pub async fn open(&self) -> Result<Snapshots, Failure> {
        let address = self.store.as_deref().ok_or_else(|| {
            Failure::new("no snapshot store is named")
                .advice("--store s3://BUCKET/FOLDER, or set SANDBAR_SNAPSHOT_URL; file:///FOLDER keeps them here")
        })?;
        let namespace = self.cluster.connect().await?.namespace;
        Ok(Store::open(address)?.of(&namespace))
    }
}

async fn create(args: Create) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let snapshots = args.store.open().await?;
    let name = args.name.clone().unwrap_or_else(|| format!("snap-{:012x}", rand::random::<u64>() >> 16));
    free(&snapshots, &name, args.replace, "--name").await?;
    let member = args.store.cluster.connect().await?.claims().held(&args.id).await?;
    let agent = enter(&args.store.cluster, &args.id).await?;
    let image = member.spec.template.as_ref().map(|template| template.image.repository.clone());
    let options = SaveOptions {
        folders: args.path,
        exclude: args.exclude,
        limit: args.max_size.bytes(),
        image,
        description: args.description,
        tags: args.tag.into_iter().collect(),
    };
    let manifest = save(&agent, &snapshots, &name, &options, || true).await?;
    match args.output.output {
        Format::Json => print(&manifest, false)?,
        Format::Yaml => print(&manifest, true)?,
        Format::Name => println!("{name}"),
        Format::Table => {
            let (size, took) = (HumanBytes(manifest.size_bytes), begun.elapsed().as_secs_f64());
            println!("snapshot {name} of {}: {size} in {took:.1} s", member.name_any());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A name that a new snapshot may have.
pub async fn free(snapshots: &Snapshots, name: &str, replace: bool, flag: &str) -> Result<(), Failure> {
    if name.starts_with(HIBERNATED) {
        return Err(Failure::new(format!("{flag}: names that begin with {HIBERNATED} are the operator's own"))
            .advice("use another name"));
    }
    match snapshots.get(name).await {
        Ok(_) if !replace => Err(Failure::new(format!("{flag}: snapshot {name} exists in {}", snapshots.place()))
            .advice("use another name, or --replace")),
        Ok(_) | Err(SnapshotError::Missing { .. } | SnapshotError::Corrupt { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn list(args: List) -> Result<ExitCode, Failure> {
    let snapshots = args.store.open().await?;
    let listed = snapshots.list().await?;
    match args.output.output {
        Format::Json => print(&listed.snapshots, false)?,
        Format::Yaml => print(&listed.snapshots, true)?,
        Format::Name => listed.snapshots.iter().for_each(|manifest| println!("{}", manifest.snapshot_id)),
        Format::Table => rows(&listed.snapshots)?,
    }
    for name in listed.damaged {
        eprintln!(
            "snapshot {name} is damaged: its metadata.json cannot be read; sandbar snapshot rm {name} removes it"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(snapshots: &[Manifest]) -> Result<(), Failure> {
    let now = Timestamp::now();
    let mut rows = table(&["NAME", "SIZE", "MADE", "IMAGE", "PATHS", "DESCRIPTION"]);
    for manifest in snapshots {
        let made = Timestamp::from_millisecond((manifest.created_at * 1000.0) as i64).ok().map(Time);
        rows.add_row([
            manifest.snapshot_id.clone(),
            HumanBytes(manifest.size_bytes).to_string(),
            from_now(made.as_ref(), now),
            manifest.sandbox_image.clone().unwrap_or_else(|| "-".to_owned()),
            manifest.paths.join(","),
            manifest.description.clone().unwrap_or_default(),
        ]);
    }
    show(&rows)
}

async fn remove(args: Remove) -> Result<ExitCode, Failure> {
    let snapshots = args.store.open().await?;
    let mut missing = Vec::new();
    for name in args.names {
        match snapshots.remove(&name).await? {
            true => println!("snapshot {name} removed"),
            false => missing.push(name),
        }
    }
    match missing.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Failure::new(format!("there is no snapshot {} in {}", missing.join(", "), snapshots.place()))
            .advice("sandbar snapshot ls shows the snapshots; another namespace is named with -n")),
    }
}

async fn put_back(args: Restore) -> Result<ExitCode, Failure> {
    let begun = Instant::now();
    let snapshots = args.store.open().await?;
    // A mistyped name fails before anything is asked of the sandbox.
    let manifest = snapshots.get(&args.name).await?;
    if manifest.sha256.is_none() {
        eprintln!("snapshot {} has no digest: only its size is checked", args.name);
    }
    let agent = enter(&args.store.cluster, &args.id).await?;
    let how = if args.replace { Unpack::Instead } else { Unpack::Over };
    let manifest = restore(&agent, &snapshots, &args.name, how, || true).await?;
    let (size, took) = (HumanBytes(manifest.size_bytes), begun.elapsed().as_secs_f64());
    println!("restored {} into {}: {size} in {took:.1} s", args.name, args.id);
    Ok(ExitCode::SUCCESS)
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::new(format!("--store: {}", chain(&error)))
    }
}

impl From<SnapshotError> for Failure {
    fn from(error: SnapshotError) -> Self {
        let failure = Self::new(chain(&error));
        match error {
            SnapshotError::Missing { .. } => {
                failure.advice("sandbar snapshot ls shows the snapshots; another namespace is named with -n")
            }
            SnapshotError::Corrupt { .. } => failure.advice("take another one: what is damaged is never unpacked"),
            SnapshotError::Store { .. } => {
                failure.advice("see whether address and AWS_* variables are right; the same command may be repeated")
            }
            SnapshotError::BadName(_) => failure,
        }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        use crate::artifacts::PackError;
        match error {
            TransferError::Snapshot(error) => error.into(),
            TransferError::Pack(PackError::Agent(error)) => error.into(),
            TransferError::Pack(PackError::TooLarge { .. }) => {
                Self::new(error.to_string()).advice("leave something out with --exclude, or raise --max-size")
            }
            error => Self::new(error.to_string()),
        }
    }
}
