//! `sandbar orphans`.

use super::cluster::ClusterArgs;
use super::output::{Format, OutputArgs, print, rough, show, table};
use crate::api::orphans::{APPROVE_ANNOTATION, DATA_KEY, DEFAULT_LEASE, Orphan, approval, config_map_name};
use crate::claims::Fault;
use crate::claims::fault::patiently;
use crate::failure::Failure;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::process::ExitCode;

/// Show instances at the provider whose Sandbox is gone, as of the operator's last sweep.
///
/// The operator deletes them itself, a few at a time; many at once, it holds back until somebody approves.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Approve the deletion of exactly the listed ones; with a DIGEST only if the list still is the one it belongs to
    #[arg(long, value_name = "DIGEST", num_args = 0..=1, default_missing_value = "")]
    approve: Option<String>,
    /// The operator's namespace
    #[arg(long, value_name = "NAME", default_value = "sandbar-system")]
    system_namespace: String,
    /// Name of the operator's Lease
    #[arg(long, value_name = "NAME", default_value = DEFAULT_LEASE, hide_short_help = true)]
    lease_name: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Lists, and approves.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let cluster = args.cluster.connect().await?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &args.system_namespace);
    let name = config_map_name(&args.lease_name);
    let map = patiently(|| maps.get_opt(&name)).await.map_err(|fault| no_list(fault, &args))?;
    let orphans = match &map {
        Some(map) => parse(map, &args.system_namespace, &name)?,
        None => Vec::new(),
    };
    match args.output.output {
        Format::Json => print(&orphans, false)?,
        Format::Yaml => print(&orphans, true)?,
        Format::Name => orphans.iter().for_each(|orphan| println!("{}", orphan.name)),
        Format::Table => shown(&orphans)?,
    }
    if let (Some(digest), Some(map), false) = (&args.approve, &map, orphans.is_empty()) {
        approve(&maps, map, &name, &orphans, digest).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn no_list(fault: Fault, args: &Args) -> Failure {
    let denied = matches!(fault, Fault::Denied(_));
    let failure = Failure::from(fault);
    if !denied {
        return failure;
    }
    failure.advice(format!(
        "the list is for those who run the operator: it needs get (and, to approve, patch) on ConfigMap {} in \
         namespace {}; name another one with --system-namespace",
        config_map_name(&args.lease_name),
        args.system_namespace
    ))
}

fn parse(map: &ConfigMap, namespace: &str, name: &str) -> Result<Vec<Orphan>, Failure> {
    let text = map.data.as_ref().and_then(|data| data.get(DATA_KEY)).map_or("[]", String::as_str);
    serde_json::from_str(text).map_err(|error| {
        Failure::new(format!("ConfigMap {namespace}/{name}, key {DATA_KEY}, is no list of orphans: {error}"))
            .advice("use the sandbar program of the same version as the operator")
    })
}

fn shown(orphans: &[Orphan]) -> Result<(), Failure> {
    if orphans.is_empty() {
        println!("no orphans");
        return Ok(());
    }
    let mut rows = table(&["INSTANCE", "ID", "ACCOUNT", "SANDBOX", "AGE", "SWEEPS", "STATE", "REASON"]);
    let now = Timestamp::now();
    for orphan in orphans {
        let age = |made: Timestamp| rough(now.duration_since(made).as_secs());
        rows.add_row([
            orphan.name.clone(),
            orphan.id.clone(),
            orphan.account.clone(),
            format!("{}/{}", orphan.sandbox_namespace, orphan.sandbox_name),
            orphan.created_at.map_or_else(|| "-".to_owned(), age),
            orphan.seen_sweeps.to_string(),
            orphan.state.as_str().to_owned(),
            orphan.reason.clone(),
        ]);
    }
    show(&rows)?;
    println!("\nto approve the deletion of exactly these: sandbar orphans --approve {}", approval(orphans));
    Ok(())
}

async fn approve(
    maps: &Api<ConfigMap>,
    map: &ConfigMap,
    name: &str,
    orphans: &[Orphan],
    digest: &str,
) -> Result<(), Failure> {
    let listed = approval(orphans);
    if !digest.is_empty() && digest != listed {
        return Err(Failure::new(format!("nothing was approved: the list is another one now ({listed})"))
            .advice("look at it again and approve it by its own digest"));
    }
    let patch = json!({"metadata": {"uid": map.metadata.uid, "annotations": {APPROVE_ANNOTATION: listed}}});
    let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
    patiently(|| maps.patch(name, &params, &patch)).await?;
    eprintln!("approved: the operator's next sweep deletes these {} and no others", orphans.len());
    Ok(())
}
