//! What every controller shares.

use super::filled::Filled;
use super::index::PoolIndex;
use super::lanes::Lanes;
use super::launches::Launches;
use super::memory::Memory;
use super::orphans::facts::OrphanMode;
use super::pokes::Pokes;
use super::probes::Probes;
use super::runtime::backoff::Backoff;
use super::runtime::clock::ServerClock;
use super::runtime::events::Publisher;
use super::runtime::follow_ups::FollowUps;
use super::runtime::gate::Gate;
use super::runtime::lease::LeaseHandle;
use super::sandbox::Guarded;
use super::sandbox_pool::GuardedPool;
use super::sandbox_pool::memory::PoolMemory;
use super::sandbox_pool::siblings::Bounded;
use super::transfers::Transfers;
use crate::providers::Timing;
use crate::providers::accounts::Accounts;
use crate::providers::inventory::Inventory;
use crate::telemetry::metrics::Metrics;
use kube::runtime::reflector::Store;
use std::sync::Arc;

/// What every controller shares. One per process, behind an `Arc`.
pub struct Context {
    /// The API server.
    pub client: kube::Client,
    /// Its clock.
    pub clock: ServerClock,
    /// The installation that this process is.
    pub installation: String,
    /// Namespace that the operator runs in.
    pub system_namespace: String,
    /// Only this namespace is watched; absent = all.
    pub watched: Option<String>,
    /// Name of the Lease.
    pub lease_name: String,
    /// What to do about orphans.
    pub orphan_mode: OrphanMode,
    /// For how long this process may still write.
    pub lease: LeaseHandle,
    /// Periods and limits.
    pub timing: Timing,
    /// Credentials and the accounts that they open.
    pub accounts: Accounts,
    /// What the accounts contain.
    pub inventory: Inventory,
    /// What agents answer.
    pub probes: Probes,
    /// Files on their way to and from the snapshot store.
    pub transfers: Transfers,
    /// Apps on their way up, and those that run.
    pub launches: Launches,
    /// Where people reach the consoles that the operator opens for them; None = nowhere.
    pub console_url: Option<String>,
    /// This process's own provider calls.
    pub memory: Memory,
    /// What this process wrote and has not read back yet.
    pub gate: Gate,
    /// Per-object back-off after errors.
    pub backoff: Backoff,
    /// Writes that can wait.
    pub follow_ups: FollowUps,
    /// Kubernetes Events.
    pub events: Publisher,
    /// Prometheus.
    pub metrics: Metrics,
    /// Whether the stores below hold a whole list.
    pub filled: Filled,
    /// Every Sandbox.
    pub sandboxes: Store<Guarded>,
    /// Every pool.
    pub pools: Store<GuardedPool>,
    /// Pools this process wrote to.
    pub pool_memory: PoolMemory,
    /// Accounts whose owner bounds them.
    pub bounded: Bounded,
    /// Sandboxes by pool.
    pub index: PoolIndex,
    /// Workers of the Sandbox controller, by credentials.
    pub sandbox_lanes: Arc<Lanes>,
    /// Workers of the pool controller, by credentials.
    pub pool_lanes: Arc<Lanes>,
    /// Makes the Sandbox controller look.
    pub poke_sandbox: Pokes<Guarded>,
    /// Makes the pool controller look.
    pub poke_pool: Pokes<GuardedPool>,
}
