//! `sandbar controller`: the flags of the operator.

use super::orphans::facts::OrphanMode;
use super::run::{Settings, run as run_operator};
use crate::api::orphans::DEFAULT_LEASE;
use crate::console::ConsoleArgs;
use crate::failure::Failure;
use crate::providers::Timing;
use crate::telemetry::logging::{self, LogArgs};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Runs the operator until it is told to stop, or loses its lease.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Namespace that the operator runs in: its Lease and its reports are there
    #[arg(long, env = "POD_NAMESPACE", default_value = "sandbar-system")]
    namespace: String,
    /// Watch only this namespace [default: all]
    #[arg(long, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// Name of the Lease that lets one of several operators work
    #[arg(long, default_value = DEFAULT_LEASE)]
    lease_name: String,
    /// How long a lease holds after its holder was last seen
    #[arg(long, value_name = "TIME", default_value = "15s", hide_short_help = true)]
    lease_duration: crate::api::Span,
    /// Marks what this installation makes [default: derived from cluster, namespace and Lease]
    #[arg(long, value_name = "ID")]
    installation_id: Option<String>,
    /// What to do about instances of ours whose Sandbox is gone
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    orphans: OrphanMode,
    /// Where DigitalOcean's API is
    #[arg(long, value_name = "URL", default_value = "https://api.digitalocean.com")]
    digitalocean_url: String,
    /// Where snapshots are kept, such as s3://BUCKET/FOLDER; keys come from AWS_ACCESS_KEY_ID and the like. Each
    /// namespace has its own folder in it
    #[arg(long, env = "SANDBAR_SNAPSHOT_URL", value_name = "URL")]
    snapshot_url: Option<String>,
    /// Where /metrics, /healthz and /readyz are served
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    metrics_listen: SocketAddr,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    timing: Timing,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs the operator.
///
/// # Errors
/// When it cannot start, or lost its lease: it must then start anew.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::init(&args.log)?;
    if let Some(id) = args.installation_id.as_deref().filter(|id| !is_installation_id(id)) {
        let what = format!("--installation-id: {id:?} is not 1 to 32 lower-case letters, digits and dashes");
        return Err(Failure::new(what).advice("--installation-id blue, or leave it out"));
    }
    let settings = Settings {
        namespace: args.namespace,
        watch_namespace: args.watch_namespace,
        lease_name: args.lease_name,
        lease_duration: args.lease_duration.duration(),
        installation_id: args.installation_id,
        orphan_mode: args.orphans,
        digitalocean_url: args.digitalocean_url,
        snapshot_url: args.snapshot_url.filter(|url| !url.is_empty()),
        metrics_listen: args.metrics_listen,
        console: args.console.checked()?,
        timing: args.timing,
    };
    run_operator(settings).await
}

fn is_installation_id(id: &str) -> bool {
    (1..=32).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
