//! `sandbar extend`.

use super::cluster::ClusterArgs;
use super::names;
use super::output::{from_now, rough};
use crate::api::Span;
use crate::claims::Extension;
use crate::failure::Failure;
use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::process::ExitCode;

/// Keep a run longer, up to the pool's claims.maxTTL. A run cannot be made shorter: release it.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::runs))]
    id: String,
    /// How long it lives in all, counted from its start, such as 1h
    #[arg(long, value_name = "SPAN", required_unless_present = "by", conflicts_with = "by")]
    ttl: Option<Span>,
    /// How much longer than now, such as 30m
    #[arg(long, value_name = "SPAN")]
    by: Option<Span>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Extends the run.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let extension = match (args.ttl, args.by) {
        (Some(ttl), _) => Extension::To(ttl),
        (None, Some(more)) => Extension::By(more),
        (None, None) => return Err(Failure::new("neither --ttl nor --by is given").advice("--by 30m")),
    };
    let claims = args.cluster.connect().await?.claims();
    let extended = claims.extend(&args.id, extension).await?;
    let status = extended.sandbox.status.unwrap_or_default();
    let end = status.claimed_at.and_then(|start| start.0.checked_add(extended.ttl.signed()).ok());
    let expires = match end {
        Some(end) => format!("expires {}", from_now(Some(&Time(end)), Timestamp::now())),
        None => "counted from its start".to_owned(),
    };
    println!("{}: lives {} ({expires})", args.id, rough(i64::try_from(extended.ttl.duration().as_secs()).unwrap_or(0)));
    Ok(ExitCode::SUCCESS)
}
