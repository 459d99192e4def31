//! What Prometheus reads. Names are listed in [`Metrics`]; counters get their
//! `_total` from the exposition format.

mod labels;

use labels::{Budget, Build, Claim, Operation, Pool, PoolStates, Provider, Reconcile, Reconciled};
pub use labels::{ClaimOutcome, PoolState, ReconcileOutcome};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

type Amount = Gauge<f64, AtomicU64>;
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the operator. Clones are cheap and share the values.
///
/// | name | labels |
/// | --- | --- |
/// | `sandbar_pool_sandboxes` | namespace, pool, state (warm, creating, claimed, failed, total) |
/// | `sandbar_pool_desired_warm` | namespace, pool |
/// | `sandbar_pool_usd_per_hour`, `sandbar_pool_usd_to_date` | namespace, pool |
/// | `sandbar_claims_total` | namespace, pool, outcome (warm, cold, timeout, failed) |
/// | `sandbar_claim_duration_seconds` | namespace, pool, outcome |
/// | `sandbar_provider_calls_total` | provider, operation, class (ok or an error class) |
/// | `sandbar_provider_budget_remaining` | provider, token (a hash), window (minute, hour) |
/// | `sandbar_orphans_seen_total`, `sandbar_orphans_deleted_total` | provider |
/// | `sandbar_reconciles_total` | controller, outcome |
/// | `sandbar_reconcile_duration_seconds` | controller |
/// | `sandbar_build_info` | version |
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    sandboxes: Family<PoolStates, Gauge>,
    desired: Family<Pool, Gauge>,
    usd_per_hour: Family<Pool, Amount>,
    usd_to_date: Family<Pool, Amount>,
    claims: Family<Claim, Counter>,
    claim_seconds: Durations<Claim>,
    calls: Family<Operation, Counter>,
    budget: Family<Budget, Gauge>,
    orphans_seen: Family<Provider, Counter>,
    orphans_deleted: Family<Provider, Counter>,
    reconciles: Family<Reconciled, Counter>,
    reconcile_seconds: Durations<Reconcile>,
}

/// How many Sandboxes of one pool there are, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Ready and unclaimed.
    pub warm: u32,
    /// On the way to warm.
    pub creating: u32,
    /// Taken.
    pub claimed: u32,
    /// Given up, with a reason.
    pub failed: u32,
    /// All members, whatever their phase.
    pub total: u32,
    /// The warm level to hold.
    pub desired_warm: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Every metric at zero, `sandbar_build_info` set.
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("sandbar"),
            sandboxes: Family::default(),
            desired: Family::default(),
            usd_per_hour: Family::default(),
            usd_to_date: Family::default(),
            claims: Family::default(),
            // 5 ms (one write) to 11 min (a cold start at its deadline).
            claim_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 18))),
            calls: Family::default(),
            budget: Family::default(),
            orphans_seen: Family::default(),
            orphans_deleted: Family::default(),
            reconciles: Family::default(),
            // 0.1 ms (nothing to do) to 26 s (an API server near its time-out).
            reconcile_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0001, 4.0, 10))),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// Everything as OpenMetrics text.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }

    /// Sets the counts of one pool.
    pub fn pool(&self, namespace: &str, name: &str, counts: PoolCounts) {
        let pool = Pool::new(namespace, name);
        for (state, count) in [
            (PoolState::Warm, counts.warm),
            (PoolState::Creating, counts.creating),
            (PoolState::Claimed, counts.claimed),
            (PoolState::Failed, counts.failed),
            (PoolState::Total, counts.total),
        ] {
            self.0.sandboxes.get_or_create(&pool.clone().state(state)).set(count.into());
        }
        self.0.desired.get_or_create(&pool).set(counts.desired_warm.into());
    }

    /// Sets what one pool costs now, in USD per hour.
    pub fn pool_cost(&self, namespace: &str, name: &str, usd_per_hour: f64) {
        self.0.usd_per_hour.get_or_create(&Pool::new(namespace, name)).set(usd_per_hour);
    }

    /// Sets what one pool cost until now, in USD.
    pub fn pool_cost_to_date(&self, namespace: &str, name: &str, usd: f64) {
        self.0.usd_to_date.get_or_create(&Pool::new(namespace, name)).set(usd);
    }

    /// Counts one claim and how long it took, from its object or first write
    /// to its holder having a sandbox or an answer.
    pub fn claim(&self, namespace: &str, pool: &str, outcome: ClaimOutcome, took: Duration) {
        let labels = Pool::new(namespace, pool).outcome(outcome);
        self.0.claim_seconds.get_or_create(&labels.clone()).observe(took.as_secs_f64());
        self.0.claims.get_or_create(&labels).inc();
    }

    /// Removes every series of a deleted pool.
    pub fn remove_pool(&self, namespace: &str, name: &str) {
        let pool = Pool::new(namespace, name);
        for &state in PoolState::ALL {
            self.0.sandboxes.remove(&pool.clone().state(state));
        }
        for &outcome in ClaimOutcome::ALL {
            let labels = pool.clone().outcome(outcome);
            self.0.claims.remove(&labels);
            self.0.claim_seconds.remove(&labels);
        }
        self.0.desired.remove(&pool);
        self.0.usd_per_hour.remove(&pool);
        self.0.usd_to_date.remove(&pool);
    }

    /// Counts one provider call; `class` is `ok` or the label of an error class.
    pub fn provider_call(&self, provider: &'static str, operation: &'static str, class: &'static str) {
        self.0.calls.get_or_create(&Operation { provider, operation, class }).inc();
    }

    /// Sets how many calls a token has left in a window (`minute`, `hour`).
    /// The label is a hash of the token; see [`token_label`].
    pub fn budget(&self, provider: &'static str, token_label: &str, window: &'static str, left: u64) {
        let labels = Budget { provider, token: token_label.to_owned(), window };
        self.0.budget.get_or_create(&labels).set(i64::try_from(left).unwrap_or(i64::MAX));
    }

    /// Removes the budget of a token that is no longer used.
    pub fn remove_budget(&self, provider: &'static str, token_label: &str) {
        for window in ["minute", "hour"] {
            self.0.budget.remove(&Budget { provider, token: token_label.to_owned(), window });
        }
    }

    /// Counts instances found without their Sandbox.
    pub fn orphans_seen(&self, provider: &'static str, count: u64) {
        self.0.orphans_seen.get_or_create(&Provider { provider }).inc_by(count);
    }

    /// Counts such instances deleted.
    pub fn orphans_deleted(&self, provider: &'static str, count: u64) {
        self.0.orphans_deleted.get_or_create(&Provider { provider }).inc_by(count);
    }

    /// Counts one pass of a controller and how long it took.
    pub fn reconcile(&self, controller: &'static str, outcome: ReconcileOutcome, took: Duration) {
        self.0.reconciles.get_or_create(&Reconciled { controller, outcome }).inc();
        self.0.reconcile_seconds.get_or_create(&Reconcile { controller }).observe(took.as_secs_f64());
    }
}

impl Inner {
    fn register(&mut self) {
        let Self { registry: r, .. } = self;
        r.register("build", "What runs here", Info::new(Build { version: env!("CARGO_PKG_VERSION") }));
        r.register("pool_sandboxes", "Members of a pool by state", self.sandboxes.clone());
        r.register("pool_desired_warm", "Warm level to hold", self.desired.clone());
        r.register("pool_usd_per_hour", "What a pool costs now, in USD per hour", self.usd_per_hour.clone());
        r.register("pool_usd_to_date", "What a pool cost until now, in USD", self.usd_to_date.clone());
        r.register("claims", "Claims by outcome", self.claims.clone());
        let seconds = Unit::Seconds;
        r.register_with_unit("claim_duration", "Time to a sandbox", seconds.clone(), self.claim_seconds.clone());
        r.register("provider_calls", "Provider calls by class of answer", self.calls.clone());
        r.register("provider_budget_remaining", "Calls left in a window", self.budget.clone());
        r.register("orphans_seen", "Instances found without their Sandbox", self.orphans_seen.clone());
        r.register("orphans_deleted", "Such instances deleted", self.orphans_deleted.clone());
        r.register("reconciles", "Passes of a controller by outcome", self.reconciles.clone());
        r.register_with_unit("reconcile_duration", "Time of a pass", seconds, self.reconcile_seconds.clone());
    }
}

/// What stands for a token in labels: eight hex digits of its hash.
pub fn token_label(token: &super::secret::Secret<String>) -> String {
    let digest = Sha256::digest(token.expose().as_bytes());
    data_encoding::HEXLOWER.encode(&digest[..4])
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
