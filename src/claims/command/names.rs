//! Names that a shell can complete: pools, runs and what else the cluster has. Short of time and silent: whoever types
//! must not wait for a cluster that does not answer, nor read its excuses.

use super::cluster::{Cluster, ClusterArgs};
use crate::api::{Phase, Sandbox, SandboxPool};
use crate::artifacts::Store;
use crate::command::{Cli, words};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::config::Kubeconfig;
use kube::{Api, ResourceExt};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::mpsc;
use std::time::Duration;

/// Longest wait for a cluster or a store.
const PATIENCE: Duration = Duration::from_secs(2);

type Candidates = Vec<CompletionCandidate>;

/// What of the line is typed already.
struct Line {
    /// The innermost command.
    command: String,
    matches: ArgMatches,
    cluster: ClusterArgs,
}

impl Line {
    /// As far as it can be understood: it is not finished.
    fn typed() -> Option<Self> {
        let mut matches = Cli::command().ignore_errors(true).try_get_matches_from(words()).ok()?;
        let mut command = String::new();
        while let Some((name, deeper)) = matches.remove_subcommand() {
            (command, matches) = (name, deeper);
        }
        let cluster = ClusterArgs::from_arg_matches(&matches).ok()?;
        Some(Self { command, matches, cluster })
    }

    fn value(&self, id: &str) -> Option<String> {
        self.matches.try_get_one::<String>(id).ok().flatten().cloned()
    }
}

/// What `ask` finds within [`PATIENCE`], else nothing.
fn in_time<F>(ask: impl FnOnce(Line) -> F + Send + 'static) -> Candidates
where
    F: Future<Output = Option<Candidates>>,
{
    let Some(line) = Line::typed() else { return Vec::new() };
    let (sender, answer) = mpsc::channel();
    // A thread: a program that a kubeconfig names for tokens may take as long as it likes.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let found = runtime.block_on(async { tokio::time::timeout(PATIENCE, ask(line)).await.ok().flatten() });
        sender.send(found.unwrap_or_default()).ok()
    });
    answer.recv_timeout(PATIENCE).unwrap_or_default()
}

fn candidate(name: impl Into<String>, help: impl Into<String>) -> CompletionCandidate {
    CompletionCandidate::new(name.into()).help(Some(help.into().into()))
}

async fn listed_pools(cluster: &Cluster) -> Option<Vec<SandboxPool>> {
    let (pools, _) = cluster.kinds(false);
    Some(pools.list(&ListParams::default()).await.ok()?.items)
}

/// Pools of the namespace.
pub fn pools() -> Candidates {
    in_time(|line| async move {
        let pools = listed_pools(&line.cluster.connect().await.ok()?).await?;
        let told = |pool: &SandboxPool| {
            let status = pool.status.clone().unwrap_or_default();
            candidate(pool.name_any(), format!("{} warm, {} claimed", status.warm, status.claimed))
        };
        Some(pools.iter().map(told).collect())
    })
}

/// Apps of the pool that is typed already, or of every pool.
pub fn apps() -> Candidates {
    in_time(|line| async move {
        let pools = listed_pools(&line.cluster.connect().await.ok()?).await?;
        let typed = line.value("pool");
        let asked = pools.iter().filter(|pool| typed.as_ref().is_none_or(|typed| pool.name_any() == *typed));
        let apps = asked.flat_map(|pool| pool.spec.apps.iter().map(|app| (app.name.clone(), pool.name_any())));
        let apps: BTreeMap<_, _> = apps.collect();
        Some(apps.into_iter().map(|(app, pool)| candidate(app, format!("of pool {pool}"))).collect())
    })
}

/// Runs of the namespace.
pub fn runs() -> Candidates {
    runs_that(|_, _| true)
}

/// Runs that can be worked in.
pub fn waking_runs() -> Candidates {
    runs_that(|_, phase| is_awake(phase))
}

/// Runs that `wake` and `hibernate` change.
pub fn runs_to_switch() -> Candidates {
    runs_that(|line, phase| match line.command.as_str() {
        "wake" => matches!(phase, Phase::Hibernating | Phase::Hibernated),
        _ => is_awake(phase),
    })
}

fn is_awake(phase: Phase) -> bool {
    matches!(phase, Phase::Claimed | Phase::Launching | Phase::Running)
}

fn runs_that(like: fn(&Line, Phase) -> bool) -> Candidates {
    in_time(move |line| async move {
        let (_, sandboxes) = line.cluster.connect().await.ok()?.kinds(false);
        let claimed = ListParams::default().fields("spec.claim.id!=");
        let mut runs: BTreeMap<String, Sandbox> = BTreeMap::new();
        for sandbox in sandboxes.list(&claimed).await.ok()?.items {
            let Some(id) = sandbox.spec.claim.as_ref().map(|claim| claim.id.clone()) else { continue };
            // A request and the member that it holds are one run; the member knows more.
            if sandbox.is_member() || !runs.contains_key(&id) {
                runs.insert(id, sandbox);
            }
        }
        runs.retain(|_, sandbox| like(&line, sandbox.phase()));
        Some(runs.iter().map(|(id, sandbox)| candidate(id, told(sandbox))).collect())
    })
}

fn told(sandbox: &Sandbox) -> String {
    let holder = sandbox.spec.claim.as_ref().map(|claim| claim.holder.as_str()).unwrap_or_default();
    format!("{:?}, pool {}, held by {holder}", sandbox.phase(), sandbox.spec.pool_ref.name)
}

/// Snapshots of the namespace, in the store that the line or the environment names.
pub fn snapshots() -> Candidates {
    in_time(|line| async move {
        let named = line.value("store").or_else(|| std::env::var("SANDBAR_SNAPSHOT_URL").ok());
        let namespace = line.cluster.connect().await.ok()?.namespace;
        let snapshots = Store::open(&named.filter(|url| !url.is_empty())?).ok()?.of(&namespace).list().await.ok()?;
        let told = |id: &String, text: &Option<String>| candidate(id, text.clone().unwrap_or_default());
        Some(snapshots.snapshots.iter().map(|each| told(&each.snapshot_id, &each.description)).collect())
    })
}

/// Namespaces of the cluster.
pub fn namespaces() -> Candidates {
    in_time(|line| async move {
        let all: Api<Namespace> = Api::all(line.cluster.connect().await.ok()?.client);
        let namespaces = all.list_metadata(&ListParams::default()).await.ok()?;
        Some(namespaces.iter().map(|namespace| CompletionCandidate::new(namespace.name_any())).collect())
    })
}

/// Contexts of the kubeconfig.
pub fn contexts() -> Candidates {
    in_time(|line| async move {
        let kubeconfig = match &line.cluster.kubeconfig {
            Some(file) => Kubeconfig::read_from(file).ok()?,
            None => Kubeconfig::read().ok()?,
        };
        Some(kubeconfig.contexts.into_iter().map(|context| CompletionCandidate::new(context.name)).collect())
    })
}

/// One end of a copy: a path here, or a run and a colon.
pub fn places(current: &OsStr) -> Candidates {
    let typed = current.to_string_lossy();
    let mut places = PathCompleter::any().complete(current);
    if !typed.contains([':', '/']) {
        let here = |run: CompletionCandidate| {
            let id = run.get_value().to_string_lossy().into_owned();
            id.starts_with(typed.as_ref())
                .then(|| CompletionCandidate::new(format!("{id}:")).help(run.get_help().cloned()))
        };
        places.extend(waking_runs().into_iter().filter_map(here));
    }
    places
}
