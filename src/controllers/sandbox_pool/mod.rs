//! The SandboxPool controller: holds the level, never above the cap, and ends
//! only when nothing is left. observe → plan → apply.

pub mod apply;
pub mod facts;
pub mod memory;
pub mod observe;
pub mod plan;
pub mod share;
pub mod siblings;
mod sizing;
mod watch;

pub use watch::{CONCURRENCY, note};

use super::apply_error::ApplyError;
use super::context::Context;
use crate::api::{Lean, SandboxPool, SandboxPoolStatus};
use crate::telemetry::metrics::{PoolCounts, ReconcileOutcome};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A pool as the watch gives it: one that cannot be read still counts.
pub type GuardedPool = Lean<SandboxPool>;

/// Without any event a pool is looked at this often, as a net under the nets.
const LOOK_ANYWAY: Duration = Duration::from_secs(300);
/// Until the caches are filled.
const FILL_PAUSE: Duration = Duration::from_millis(100);
/// A view that does not show our own last write is not worth a plan.
const STALE_PAUSE: Duration = Duration::from_millis(25);
const CONFLICT_PAUSE: Duration = Duration::from_millis(100);
/// Who found no place is woken when there is one; this is a net under that.
const LANE_PAUSE: Duration = Duration::from_secs(30);

/// One pass over one pool, as kube's controller calls it.
///
/// # Errors
/// None; the type is what a controller takes.
pub async fn reconcile(guarded: Arc<GuardedPool>, context: Arc<Context>) -> Result<Action, Infallible> {
    Ok(Action::requeue(look(guarded, context).await))
}

/// One pass over one pool; gives when to look again. Never fails: an error is a pause and a log line.
pub async fn look(guarded: Arc<GuardedPool>, context: Arc<Context>) -> Duration {
    let pool = match &guarded.0 {
        Ok(pool) => Arc::clone(pool),
        Err(undecodable) => {
            tracing::warn!(
                namespace = undecodable.metadata.namespace,
                name = undecodable.metadata.name,
                error = undecodable.error,
                "this pool does not fit the schema; its members are left as they are"
            );
            return LOOK_ANYWAY;
        }
    };
    // A pass over half a list would make what is there already, or let go what is not gone.
    if !context.filled.is_complete() {
        return FILL_PAUSE;
    }
    let uid = pool.uid().unwrap_or_default();
    if context.gate.is_stale(&uid, &pool.resource_version().unwrap_or_default()) {
        return STALE_PAUSE;
    }
    let Some(_place) = context.pool_lanes.enter(&lane(&pool), &(pool.namespace().unwrap_or_default(), pool.name_any()))
    else {
        return LANE_PAUSE;
    };
    let began = Instant::now();
    let (observed, _turn) = observe::observe(&context, &pool).await;
    let plan = plan::plan(&observed);
    let again = plan.again;
    let shown = plan.status.clone().or_else(|| pool.status.clone()).unwrap_or_default();
    let result = apply::apply(&context, &pool, plan).await;
    show(&context, &pool, &shown);
    let (outcome, pause) = match result {
        Ok(()) => {
            context.backoff.succeeded(&uid);
            (ReconcileOutcome::Completed, again.unwrap_or(LOOK_ANYWAY).min(LOOK_ANYWAY))
        }
        Err(ApplyError::Conflict { what }) => {
            tracing::debug!(pool = %pool.name_any(), what, "changed in between; looking again");
            (ReconcileOutcome::Waiting, CONFLICT_PAUSE)
        }
        Err(error) => {
            let pause = context.backoff.failed(&uid);
            tracing::warn!(
                namespace = pool.namespace(), pool = %pool.name_any(), error = crate::failure::chain(&error), ?pause,
                "pass failed"
            );
            (ReconcileOutcome::Failed, pause)
        }
    };
    context.metrics.reconcile("sandbox_pool", outcome, began.elapsed());
    pause
}

/// The Secret whose account a pass may have to ask.
fn lane(pool: &SandboxPool) -> (String, String) {
    let namespace = pool.namespace().unwrap_or_default();
    let secret = pool.spec.provider.credentials_ref().map(|secret| secret.place(&namespace));
    secret.unwrap_or_else(|| (namespace, String::new()))
}

/// Shows the pool in the metrics.
fn show(context: &Context, pool: &SandboxPool, status: &SandboxPoolStatus) {
    let (namespace, name) = (pool.namespace().unwrap_or_default(), pool.name_any());
    let count = |number: i32| u32::try_from(number).unwrap_or_default();
    let counts = PoolCounts {
        warm: count(status.warm),
        creating: count(status.creating),
        claimed: count(status.claimed),
        failed: count(status.failed),
        total: count(status.total),
        desired_warm: count(status.desired_warm),
    };
    context.pool_memory.shown(&pool.uid().unwrap_or_default(), (namespace.clone(), name.clone()));
    context.metrics.pool(&namespace, &name, counts);
    let cost = status.cost.clone().unwrap_or_default();
    context.metrics.pool_cost(&namespace, &name, cost.usd_per_hour.as_f64());
    context.metrics.pool_cost_to_date(&namespace, &name, cost.to_date(context.clock.now()).as_f64());
}
