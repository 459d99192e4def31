//! `sandbar release`.

use super::cluster::ClusterArgs;
use super::names;
use crate::claims::{ObjectRole, Released};
use crate::failure::Failure;
use clap_complete::engine::ArgValueCandidates;
use std::process::ExitCode;

/// Give runs back: their sandboxes are deleted at the provider. May be repeated.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ids of the runs
    #[arg(required = true, value_name = "ID", add = ArgValueCandidates::new(names::runs))]
    ids: Vec<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Releases each run; one that cannot be released does not keep the others.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let claims = args.cluster.connect().await?.claims();
    let mut last = None;
    for id in &args.ids {
        match claims.release(id).await {
            Ok(released) => println!("{}", told(&released)),
            Err(error) => {
                if let Some(before) = last.replace(Failure::from(error)) {
                    before.report();
                }
            }
        }
    }
    last.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// What a release did, in one line.
fn told(released: &Released) -> String {
    let id = &released.id;
    if released.objects.is_empty() {
        return format!("{id}: already gone");
    }
    let parts: Vec<_> = released
        .objects
        .iter()
        .map(|object| {
            let role = match object.role {
                ObjectRole::Request => "request",
                ObjectRole::Member => "sandbox",
            };
            let how = if object.deleted_now { "deleted" } else { "was being deleted already" };
            format!("{role} {} {how}", object.name)
        })
        .collect();
    format!("{id}: released ({})", parts.join(", "))
}
