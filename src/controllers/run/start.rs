//! The parts that the operator is made of.

use super::{PoolPokes, SandboxPokes, Settings};
use crate::api::short_hash;
use crate::artifacts::Store;
use crate::controllers::agents::Agents;
use crate::controllers::context::Context;
use crate::controllers::filled::Filled;
use crate::controllers::index::PoolIndex;
use crate::controllers::lanes::Lanes;
use crate::controllers::launches::Launches;
use crate::controllers::memory::Memory;
use crate::controllers::probes::{Ask, Probes};
use crate::controllers::runtime::backoff::Backoff;
use crate::controllers::runtime::clock::ServerClock;
use crate::controllers::runtime::events::Publisher;
use crate::controllers::runtime::follow_ups::FollowUps;
use crate::controllers::runtime::gate::Gate;
use crate::controllers::runtime::lease::LeaseHandle;
use crate::controllers::sandbox::{self, Guarded};
use crate::controllers::sandbox_pool::memory::PoolMemory;
use crate::controllers::sandbox_pool::siblings::Bounded;
use crate::controllers::sandbox_pool::{self, GuardedPool};
use crate::controllers::transfers::{Depot, StoreDepot, Transfers};
use crate::controllers::wiring::Wiring;
use crate::failure::{Failure, chain};
use crate::providers::accounts::{Accounts, Endpoints};
use crate::providers::inventory::Inventory;
use crate::providers::{Fence, Timing};
use crate::telemetry::metrics::Metrics;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, store};
use kube::{Api, Client};
use std::sync::Arc;
use std::time::Duration;

/// Pokes of the same Sandbox are joined within this.
const SANDBOX_SPACING: Duration = Duration::from_millis(10);
/// Pokes of the same pool are joined within this.
const POOL_SPACING: Duration = Duration::from_millis(100);

/// Everything that runs.
pub(super) struct Parts {
    pub(super) context: Arc<Context>,
    pub(super) sandboxes: Wiring<Guarded, BoxStream<'static, ObjectRef<Guarded>>>,
    pub(super) pools: Wiring<GuardedPool, BoxStream<'static, ObjectRef<GuardedPool>>>,
}

/// What an operator is given from outside: another one each in a simulation.
pub struct Outside {
    /// The API server.
    pub client: Client,
    /// Its clock; the operator's monotonic clock is below it.
    pub clock: ServerClock,
    /// For how long the operator may write.
    pub lease: LeaseHandle,
    /// The installation that it is.
    pub installation: String,
    /// Says which process tells Events.
    pub identity: String,
    /// The ways to the providers.
    pub accounts: Accounts,
    /// The way to agents; None = the network.
    pub agents: Option<Ask>,
    /// Where files are kept; None = what the settings say.
    pub depot: Option<Arc<dyn Depot>>,
    /// Prometheus.
    pub metrics: Metrics,
}

/// What every controller shares, and the ends that its watches and pokes are tied to.
pub struct Assembled {
    /// What every controller shares.
    pub context: Arc<Context>,
    /// Fills the store of Sandboxes.
    pub sandboxes: Writer<Guarded>,
    /// Fills the store of pools.
    pub pools: Writer<GuardedPool>,
    /// Sandboxes to look at.
    pub sandbox_pokes: BoxStream<'static, ObjectRef<Guarded>>,
    /// Pools to look at.
    pub pool_pokes: BoxStream<'static, ObjectRef<GuardedPool>>,
}

/// Makes one operator's parts. Must be called within a tokio runtime.
///
/// # Errors
/// When the system's TLS or the snapshot store cannot be used.
pub fn assemble(settings: &Settings, outside: Outside) -> Result<Assembled, Failure> {
    let Outside { client, clock, lease, installation, identity, accounts, agents, depot, metrics } = outside;
    let ticks = clock.ticks().clone();
    let timing = settings.timing.clone();
    let (poke_sandbox, sandbox_pokes) = SandboxPokes::new(SANDBOX_SPACING);
    let (poke_pool, pool_pokes) = PoolPokes::new(POOL_SPACING);
    let (sandboxes, sandbox_writer) = store();
    let (pools, pool_writer) = store();
    let probes = probing(agents, poke_sandbox.clone(), &timing)?;
    let follow_ups = FollowUps::standard(ticks.clone());
    let (wake_sandbox, wake_pool) = (poke_sandbox.clone(), poke_pool.clone());
    let ways = Agents::new(client.clone());
    let depot = match depot {
        Some(depot) => Some(depot),
        None => snapshot_store(settings, &ways)?,
    };
    let launches = Launches::new(depot.clone(), ways, lease.clone(), poke_sandbox.clone(), timing.probe_claimed);
    let transfers = Transfers::new(depot, lease.clone(), poke_sandbox.clone());
    let context = Arc::new(Context {
        sandbox_lanes: Lanes::new(sandbox::CONCURRENCY, move |namespace, name| wake_sandbox.poke(namespace, name)),
        pool_lanes: Lanes::new(sandbox_pool::CONCURRENCY, move |namespace, name| wake_pool.poke(namespace, name)),
        accounts,
        inventory: Inventory::new(&installation, &timing),
        events: Publisher::start(client.clone(), clock.clone(), follow_ups.clone(), &identity),
        gate: Gate::new(ticks.clone()),
        backoff: Backoff::new(ticks),
        follow_ups,
        memory: Memory::default(),
        pool_memory: PoolMemory::default(),
        bounded: Bounded::default(),
        index: PoolIndex::default(),
        filled: Filled::default(),
        system_namespace: settings.namespace.clone(),
        console_url: settings.console.url.clone(),
        watched: settings.watch_namespace.clone(),
        lease_name: settings.lease_name.clone(),
        orphan_mode: settings.orphan_mode,
        sandboxes,
        pools,
        client,
        clock,
        installation,
        lease,
        timing,
        probes,
        transfers,
        launches,
        metrics,
        poke_sandbox,
        poke_pool,
    });
    Ok(Assembled {
        context,
        sandboxes: sandbox_writer,
        pools: pool_writer,
        sandbox_pokes: Box::pin(sandbox_pokes),
        pool_pokes: Box::pin(pool_pokes),
    })
}

/// Asks agents by the given way, else over the network.
fn probing(agents: Option<Ask>, pokes: SandboxPokes, timing: &Timing) -> Result<Probes, Failure> {
    match agents {
        Some(well) => Ok(Probes::asking(pokes, timing.replace_unreachable, well)),
        None => Probes::new(pokes, timing.probe_timeout, timing.replace_unreachable)
            .map_err(|error| Failure::new(format!("no HTTP client: {}", chain(&error)))),
    }
}

/// Joins the parts to the network.
pub(super) async fn parts(
    settings: &Settings,
    client: Client,
    clock: ServerClock,
    lease: LeaseHandle,
    metrics: Metrics,
    identity: &str,
) -> Result<Parts, Failure> {
    let installation = installation(settings, &client).await?;
    tracing::info!(installation, "starting");
    let endpoints = Endpoints { digitalocean_url: settings.digitalocean_url.clone() };
    let outside = Outside {
        accounts: Accounts::fenced(client.clone(), endpoints, &settings.timing, metrics.clone(), fence(&lease)),
        client: client.clone(),
        identity: identity.to_owned(),
        agents: None,
        depot: None,
        clock,
        lease,
        installation,
        metrics,
    };
    let Assembled { context, sandboxes, pools, sandbox_pokes, pool_pokes } = assemble(settings, outside)?;
    let sandboxes = Wiring {
        api: scoped(settings, &client),
        writer: sandboxes,
        store: context.sandboxes.clone(),
        pokes: sandbox_pokes,
        concurrency: sandbox::CONCURRENCY,
        note: sandbox::note,
    };
    let pools = Wiring {
        api: scoped(settings, &client),
        writer: pools,
        store: context.pools.clone(),
        pokes: pool_pokes,
        concurrency: sandbox_pool::CONCURRENCY,
        note: sandbox_pool::note,
    };
    Ok(Parts { context, sandboxes, pools })
}

/// Provider calls are fenced like writes to the API server.
fn fence(lease: &LeaseHandle) -> Fence {
    let lease = lease.clone();
    Fence::new(move || lease.valid_for())
}

/// The store of snapshots, if one is named.
fn snapshot_store(settings: &Settings, agents: &Agents) -> Result<Option<Arc<dyn Depot>>, Failure> {
    let Some(address) = &settings.snapshot_url else { return Ok(None) };
    let store = Store::open(address).map_err(|error| Failure::new(format!("--snapshot-url: {}", chain(&error))))?;
    Ok(Some(Arc::new(StoreDepot::new(store, agents.clone()))))
}

fn scoped<K>(settings: &Settings, client: &Client) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    match &settings.watch_namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The installation's id: derived from what cannot be lost, or given.
async fn installation(settings: &Settings, client: &Client) -> Result<String, Failure> {
    if let Some(id) = &settings.installation_id {
        return Ok(id.clone());
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let cluster = namespaces.get("kube-system").await.map_err(|error| {
        Failure::new(format!("cannot read namespace kube-system, whose UID is the cluster's: {}", chain(&error)))
            .advice("--installation-id ID, or allow get of namespace kube-system")
    })?;
    let cluster = cluster.metadata.uid.unwrap_or_default();
    Ok(short_hash(&[&cluster, &settings.namespace, &settings.lease_name], 20))
}
