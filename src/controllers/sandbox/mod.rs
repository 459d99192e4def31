//! The Sandbox controller: one member is one instance for its whole life; a
//! request gets a member and keeps it. observe → plan → apply.

pub mod apply;
pub mod existence;
pub mod facts;
pub mod observe;
pub mod plan;
pub mod settle;
mod watch;

pub use watch::{CONCURRENCY, note};

use super::apply_error::ApplyError;
use super::context::Context;
use super::lanes::Place;
use super::runtime::backoff::Backoff;
use crate::api::{Lean, Sandbox};
use crate::telemetry::metrics::ReconcileOutcome;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A Sandbox as the watch gives it: one that cannot be read still counts.
pub type Guarded = Lean<Sandbox>;

/// Without any event an object is looked at this often, as a net under the nets.
const LOOK_ANYWAY: Duration = Duration::from_secs(300);
/// Until the caches are filled.
const FILL_PAUSE: Duration = Duration::from_millis(100);
/// A view that does not show our own last write is not worth a plan.
const STALE_PAUSE: Duration = Duration::from_millis(25);
/// Who found no place is woken when there is one; this is a net under that.
const LANE_PAUSE: Duration = Duration::from_secs(30);

/// Why a pass ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// While reading.
    #[error(transparent)]
    Observe(#[from] observe::ObserveError),
    /// While writing.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// One pass over one Sandbox, as kube's controller calls it.
///
/// # Errors
/// None; the type is what a controller takes.
pub async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Infallible> {
    Ok(Action::requeue(look(guarded, context).await))
}

/// One pass over one Sandbox; gives when to look again. Never fails: an error is a pause and a log line.
pub async fn look(guarded: Arc<Guarded>, context: Arc<Context>) -> Duration {
    let sandbox = match &guarded.0 {
        Ok(sandbox) => Arc::clone(sandbox),
        Err(undecodable) => {
            // It counts for its pool and for orphans; nothing can be decided about it.
            tracing::warn!(
                namespace = undecodable.metadata.namespace,
                name = undecodable.metadata.name,
                error = undecodable.error,
                "this Sandbox does not fit the schema"
            );
            return LOOK_ANYWAY;
        }
    };
    // A pass over half a list would make what is there already, or let go what is not gone.
    if !context.filled.is_complete() {
        return FILL_PAUSE;
    }
    let uid = sandbox.uid().unwrap_or_default();
    if context.gate.is_stale(&uid, sandbox.metadata.resource_version.as_deref().unwrap_or_default()) {
        return STALE_PAUSE;
    }
    let Ok(_place) = enter(&context, &sandbox) else { return LANE_PAUSE };
    let began = Instant::now();
    let result = pass(&context, &sandbox).await;
    let outcome = match &result {
        Ok(_) => ReconcileOutcome::Completed,
        Err(Error::Apply(ApplyError::Conflict { .. })) => ReconcileOutcome::Waiting,
        Err(_) => ReconcileOutcome::Failed,
    };
    context.metrics.reconcile("sandbox", outcome, began.elapsed());
    finish(result, &context.backoff, &uid, &sandbox)
}

/// A place among the workers for the account that the pass may have to ask; a request asks none.
fn enter(context: &Context, sandbox: &Sandbox) -> Result<Option<Place>, LaneFull> {
    let namespace = sandbox.namespace().unwrap_or_default();
    let secret = sandbox.spec.template.as_ref().and_then(|template| template.provider.credentials_ref());
    let Some(secret) = secret else { return Ok(None) };
    context.sandbox_lanes.enter(&secret.place(&namespace), &(namespace, sandbox.name_any())).map(Some).ok_or(LaneFull)
}

/// Every worker that the account may have is busy.
struct LaneFull;

async fn pass(context: &Context, sandbox: &Arc<Sandbox>) -> Result<Option<Duration>, Error> {
    let (observed, connection) = observe::observe(context, sandbox).await?;
    let plan = plan::plan(&observed);
    let again = plan.again;
    apply::apply(context, sandbox, connection.as_ref(), plan).await?;
    Ok(again)
}

fn finish(result: Result<Option<Duration>, Error>, backoff: &Backoff, uid: &str, sandbox: &Sandbox) -> Duration {
    match result {
        Ok(again) => {
            backoff.succeeded(uid);
            again.unwrap_or(LOOK_ANYWAY).min(LOOK_ANYWAY)
        }
        Err(Error::Apply(ApplyError::Conflict { what })) => {
            tracing::debug!(sandbox = %sandbox.name_any(), what, "changed in between; looking again");
            STALE_PAUSE
        }
        Err(error) => {
            let pause = backoff.failed(uid);
            tracing::warn!(
                namespace = sandbox.namespace(), sandbox = %sandbox.name_any(),
                error = crate::failure::chain(&error), ?pause, "pass failed"
            );
            pause
        }
    }
}
