//! Starts the operator: permissions, lease, caches, controllers; and stops it.

pub mod start;

use super::consoles::MemberConsoles;
use super::context::Context;
use super::orphans::facts::OrphanMode;
use super::pokes::Pokes;
use super::runtime::client::{build_client, build_fenced_client};
use super::runtime::clock::ServerClock;
use super::runtime::election::Timings;
use super::runtime::lease::{Leadership, unique_identity};
use super::runtime::preflight::{self, Needs};
use super::runtime::ticks::Ticks;
use super::sandbox::Guarded;
use super::sandbox_pool::GuardedPool;
use super::wiring::wire;
use crate::api::SandboxPool;
use crate::console::server::{Desk, Guard};
use crate::console::{self, ConsoleArgs};
use crate::failure::{Failure, chain};
use crate::providers::Timing;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::readiness::{Check, Readiness};
use crate::telemetry::server;
use futures::StreamExt;
use kube::ResourceExt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace that it runs in.
    pub namespace: String,
    /// Only this namespace is watched; absent = all.
    pub watch_namespace: Option<String>,
    /// Name of the Lease.
    pub lease_name: String,
    /// How long a lease holds.
    pub lease_duration: Duration,
    /// Marks what it makes; absent = derived.
    pub installation_id: Option<String>,
    /// What to do about orphans.
    pub orphan_mode: OrphanMode,
    /// Where DigitalOcean's API is.
    pub digitalocean_url: String,
    /// Where snapshots are kept; absent = nowhere.
    pub snapshot_url: Option<String>,
    /// Where metrics and readiness are served.
    pub metrics_listen: SocketAddr,
    /// Where consoles are served.
    pub console: ConsoleArgs,
    /// Periods and limits.
    pub timing: Timing,
}

/// How long passes may take to end; shorter than what a Pod is given.
const STOP_PATIENCE: Duration = Duration::from_secs(12);
/// Between two looks at whether a store is filled.
const STORE_PERIOD: Duration = Duration::from_millis(50);
/// Between two looks at credentials Secrets that nothing needs any more.
const SECRETS_PERIOD: Duration = Duration::from_secs(30);
/// Between two looks at the rate budgets for the metrics.
const BUDGET_PERIOD: Duration = Duration::from_secs(5);

/// Runs the operator until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot start, or its lease is lost.
pub async fn run(settings: Settings) -> Result<ExitCode, Failure> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let listener = TcpListener::bind(settings.metrics_listen).await.map_err(|error| {
        Failure::new(format!("--metrics-listen: cannot listen on {}: {error}", settings.metrics_listen))
            .advice("another address, such as --metrics-listen 127.0.0.1:0")
    })?;
    tokio::spawn(server::serve(listener, metrics.clone(), readiness.clone(), stop.clone()));
    let (begin, working) = watch::channel(false);
    tokio::select! {
        result = lead(&settings, metrics, readiness, stop.clone(), begin) => result,
        // What waits for a lease or a CRD just ends; what works ends its passes and gives the lease back.
        () = give_up_waiting(stop, working) => Ok(ExitCode::SUCCESS),
    }
}

/// Resolves when the process is told to stop while it does not work yet.
async fn give_up_waiting(stop: CancellationToken, working: watch::Receiver<bool>) {
    stop.cancelled().await;
    if *working.borrow() {
        std::future::pending::<()>().await;
    }
}

/// Cancels `stop` at the first SIGTERM or Ctrl-C.
pub async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    tracing::info!("stopping");
    stop.cancel();
}

/// Waits for the lease, then works until it is told to stop.
async fn lead(
    settings: &Settings,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
    begin: watch::Sender<bool>,
) -> Result<ExitCode, Failure> {
    let clock = ServerClock::new(Ticks::real());
    let config = kube::Config::infer().await.map_err(|error| {
        Failure::new(format!("no way to an API server: {}", chain(&error))).advice("set KUBECONFIG, or run in a Pod")
    })?;
    // A client of its own: a busy one must not delay a renewal.
    let lease_client = build_client(config.clone(), "lease", &clock)?;
    let needs = Needs::of_operator(&settings.namespace, settings.watch_namespace.as_deref());
    preflight::wait(&lease_client, &readiness, &needs).await;
    let timings = Timings::of(settings.lease_duration)
        .check()
        .map_err(|error| Failure::new(format!("--lease-duration: {error}")).advice("--lease-duration 15s"))?;
    readiness.set("leader", Check::Standby("another operator leads".to_owned()));
    let identity = unique_identity(&std::env::var("HOSTNAME").unwrap_or_else(|_| "sandbar".to_owned()));
    let leadership =
        Leadership::acquire(lease_client, &settings.namespace, &settings.lease_name, &identity, timings).await;
    let lost = leadership.lost();
    let client = build_fenced_client(config, "controller", &clock, leadership.handle())?;
    let parts = start::parts(settings, client, clock, leadership.handle(), metrics, &identity).await?;
    serve_consoles(settings, &parts.context, stop.clone()).await?;
    // Nobody listens any more once the process is stopping.
    let _ = begin.send(true);
    let overdue = overdue(Arc::clone(&parts.context), stop.clone());
    let work = work(parts, readiness.clone(), stop.clone());
    tokio::select! {
        () = work => {
            leadership.release().await;
            Ok(ExitCode::SUCCESS)
        }
        () = overdue => {
            leadership.release().await;
            Ok(ExitCode::SUCCESS)
        }
        () = lost => Err(Failure::new("the lease is lost; another operator leads or nobody could be asked").code(75)),
    }
}

/// Only who leads may ask the provider for a console: whoever waits for the lease does not even listen.
async fn serve_consoles(settings: &Settings, context: &Arc<Context>, stop: CancellationToken) -> Result<(), Failure> {
    let Some(listening) = console::server::listen(&settings.console).await? else { return Ok(()) };
    let consoles = Arc::new(MemberConsoles(Arc::clone(context)));
    let desk = Desk::new(consoles, Guard::new(context.client.clone()));
    tokio::spawn(async move {
        if let Err(error) = listening.serve(desk, stop).await {
            tracing::error!(error = chain(&error), "consoles are served no more");
        }
    });
    Ok(())
}

/// Resolves when the passes had time enough to end. A controller that was stopped before its cache
/// was read waits for it for ever; nothing is lost with either, for nothing is kept in memory alone.
async fn overdue(context: Arc<Context>, stop: CancellationToken) {
    stop.cancelled().await;
    let patience = if context.filled.is_complete() { STOP_PATIENCE } else { Duration::ZERO };
    tokio::time::sleep(patience).await;
}

/// Runs the controllers until they are told to stop and have ended their passes.
async fn work(parts: start::Parts, readiness: Readiness, stop: CancellationToken) {
    let start::Parts { context, sandboxes, pools } = parts;
    tokio::spawn(forward(Arc::clone(&context)));
    let synced = Arc::clone(&context);
    tokio::spawn(async move {
        for name in ["sandboxes", "sandboxpools"] {
            readiness.set(&format!("store {name}"), Check::Missing("not read yet".to_owned()));
        }
        readiness.set("leader", Check::Ok);
        until(|| synced.filled.has_sandboxes()).await;
        readiness.set("store sandboxes", Check::Ok);
        until(|| synced.filled.has_pools()).await;
        readiness.set("store sandboxpools", Check::Ok);
    });
    let stopping = || stop.clone().cancelled_owned();
    tokio::join!(
        wire(Arc::clone(&context), sandboxes, super::sandbox::reconcile, stopping()),
        wire(Arc::clone(&context), pools, super::sandbox_pool::reconcile, stopping()),
        super::orphans::run(Arc::clone(&context), stop.clone()),
        super::leftovers::run(Arc::clone(&context), stop.clone()),
    );
}

async fn until(filled: impl Fn() -> bool) {
    while !filled() {
        tokio::time::sleep(STORE_PERIOD).await;
    }
}

/// Carries news of the inventory and of the budgets to whom they concern; does not end.
pub async fn forward(context: Arc<Context>) {
    let (changes, listings) = (context.inventory.changes(), context.inventory.listings());
    let changed = changes.for_each(|change| {
        context.poke_sandbox.poke(&change.namespace, &change.name);
        std::future::ready(())
    });
    let listed = listings.for_each(|account| {
        poke_pools(&context, &account.0, |pool| pool.metadata.deletion_timestamp.is_some());
        std::future::ready(())
    });
    let turned = context.inventory.turns().for_each(|account| {
        poke_pools(&context, &account.0, |_| true);
        std::future::ready(())
    });
    tokio::join!(changed, listed, turned, release_secrets(&context), show_budgets(&context));
}

async fn release_secrets(context: &Context) {
    loop {
        tokio::time::sleep(SECRETS_PERIOD).await;
        if context.filled.is_complete()
            && let Err(error) = super::sandbox_pool::apply::release_all_unused(context).await
        {
            tracing::warn!(error = chain(&error), "a credentials Secret is kept longer than it is needed");
        }
    }
}

async fn show_budgets(context: &Context) {
    loop {
        for (label, budget) in context.accounts.budgets() {
            let left = budget.left();
            context.metrics.budget("digitalocean", &label, "minute", left.minute.into());
            context.metrics.budget("digitalocean", &label, "hour", left.hour.into());
        }
        show_cost(context);
        tokio::time::sleep(BUDGET_PERIOD).await;
    }
}

/// Cost grows without any event: status holds what it is computed from, the metric is kept up to date here.
fn show_cost(context: &Context) {
    let now = context.clock.now();
    for guarded in context.pools.state() {
        let Ok(pool) = &guarded.0 else { continue };
        let Some(cost) = pool.status.as_ref().and_then(|status| status.cost.as_ref()) else { continue };
        let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
        context.metrics.pool_cost_to_date(&namespace, &name, cost.to_date(now).as_f64());
    }
}

/// A pool on its way out waits for a listing of its account, and every pool says whether its account can be listed.
fn poke_pools(context: &Context, account: &str, which: impl Fn(&SandboxPool) -> bool) {
    for guarded in context.pools.state() {
        let Ok(pool) = &guarded.0 else { continue };
        let here = pool.status.as_ref().and_then(|status| status.account.as_deref()) == Some(account);
        if here && which(pool) {
            let metadata = &pool.metadata;
            context
                .poke_pool
                .poke(metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default());
        }
    }
}

type SandboxPokes = Pokes<Guarded>;
type PoolPokes = Pokes<GuardedPool>;
