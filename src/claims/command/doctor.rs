//! `sandbar doctor`: is everything there that Sandbar needs, and if not, what is to be done.

mod clock;
mod credentials;
mod definitions;
mod lease;
mod line;
mod pools;
mod rights;
mod server;

use super::cluster::Cluster;
use super::listing::ListArgs;
use super::output::{Format, print};
use crate::api::SandboxPool;
use crate::api::orphans::DEFAULT_LEASE;
use crate::controllers::runtime::client::build_client;
use crate::controllers::runtime::clock::ServerClock;
use crate::controllers::runtime::ticks::Ticks;
use crate::failure::Failure;
use kube::api::ListParams;
use kube::{Api, Client};
use line::{Line, State};
use std::process::ExitCode;

/// Look for what is wrong with an installation, and say what to do about it.
///
/// It only reads: definitions, rights, the operator's Lease, clocks, and for every pool its credentials, which the
/// provider is asked about where you may read the Secret. What you may not see is told as not checked. Ends with exit
/// code 1 if something failed; -o name prints the names of what did.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operator's namespace
    #[arg(long, value_name = "NAME", default_value = "sandbar-system")]
    system_namespace: String,
    /// The one namespace that the operator watches [default: all]
    #[arg(long, value_name = "NAME")]
    watch_namespace: Option<String>,
    /// Where DigitalOcean's API is
    #[arg(long, value_name = "URL", default_value = "https://api.digitalocean.com")]
    digitalocean_url: String,
    /// Name of the operator's Lease
    #[arg(long, value_name = "NAME", default_value = DEFAULT_LEASE, hide_short_help = true)]
    lease_name: String,
    /// The operator's service account
    #[arg(long, value_name = "NAME", default_value = "sandbar", hide_short_help = true)]
    operator_account: String,
    /// The gateway's service account
    #[arg(long, value_name = "NAME", default_value = "sandbar-gateway", hide_short_help = true)]
    gateway_account: String,
    #[command(flatten)]
    list: ListArgs,
}

/// What every check has.
struct Patient<'a> {
    args: &'a Args,
    client: Client,
    /// The API server's.
    clock: ServerClock,
    namespace: String,
}

/// Checks everything.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Cluster { config, namespace, .. } = args.list.cluster.connect().await?;
    let clock = ServerClock::new(Ticks::real());
    let client = build_client(config, "doctor", &clock)?;
    let lines = examine(&Patient { args: &args, client, clock, namespace }).await;
    match args.list.output.output {
        Format::Json => print(&lines, false)?,
        Format::Yaml => print(&lines, true)?,
        Format::Name => {
            lines.iter().filter(|line| line.state == State::Failed).for_each(|line| println!("{}", line.check))
        }
        Format::Table => line::show(&lines)?,
    }
    let failed = lines.iter().any(|line| line.state == State::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(patient: &Patient<'_>) -> Vec<Line> {
    let server = match server::check(patient).await {
        Ok(server) => server,
        Err(silent) => return vec![silent],
    };
    let mut lines = vec![server, clock::check(patient.clock.skew())];
    lines.extend(definitions::check(patient).await);
    lines.extend(rights::check(patient).await);
    lines.push(lease::check(patient).await);
    let all: Api<SandboxPool> = match patient.args.list.all_namespaces {
        true => Api::all(patient.client.clone()),
        false => Api::namespaced(patient.client.clone(), &patient.namespace),
    };
    match all.list(&ListParams::default()).await {
        Ok(pools) => {
            lines.extend(pools::check(patient, &pools.items));
            lines.extend(credentials::check(patient, &pools.items).await);
        }
        Err(error) => lines.push(pools::unseen(&error)),
    }
    lines
}
