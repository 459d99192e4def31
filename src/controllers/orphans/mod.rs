//! The orphan controller: deletes instances that carry our marks and whose Sandbox no longer exists.
//! observe → plan → apply, for everything at once, again and again.
//!
//! It reaches the accounts that pools and members name, and those that this process once reached and still can. An
//! orphan in an account whose credentials no pool names any more, when the operator was restarted since, cannot be
//! seen: make a pool (`warm.target: 0` will do) that names them.

mod apply;
pub mod facts;
mod list;
mod observe;
pub mod plan;

use super::context::Context;
use crate::failure::chain;
use crate::telemetry::metrics::ReconcileOutcome;
use facts::{Key, Memory};
use observe::Handles;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a sweep ended before its end.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Observe(#[from] observe::ObserveError),
    #[error(transparent)]
    Apply(#[from] apply::ApplyError),
}

/// Sweeps until `stop` is cancelled. One at a time, and only while this process leads: every write and delete is
/// fenced by the lease. A sweep that is dropped half-way is repeated by the next.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut sweeper = Sweeper::default();
    let sweeping = async {
        loop {
            // Spread, so that operators that began together do not list together.
            tokio::time::sleep(context.timing.orphan_sweep.mul_f64(rand::random_range(0.9..1.1))).await;
            sweeper.sweep(&context).await;
        }
    };
    tokio::select! { () = stop.cancelled() => {} () = sweeping => {} }
}

/// What lives from sweep to sweep.
#[derive(Default)]
pub struct Sweeper {
    handles: Handles,
    memory: Memory,
}

impl Sweeper {
    /// One sweep over every account. What went wrong is logged; the next sweep begins anew.
    pub async fn sweep(&mut self, context: &Context) {
        let began = Instant::now();
        let outcome = match self.pass(context).await {
            Ok(()) => ReconcileOutcome::Completed,
            Err(Error::Apply(apply::ApplyError::List(list::ListError::Conflict(name)))) => {
                tracing::debug!(config_map = name, "changed in between; the next sweep sees it");
                ReconcileOutcome::Waiting
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the sweep for orphans failed; nothing was concluded from it");
                ReconcileOutcome::Failed
            }
        };
        context.metrics.reconcile("orphans", outcome, began.elapsed());
    }

    async fn pass(&mut self, context: &Context) -> Result<(), Error> {
        let (observed, list) = observe::observe(context, &mut self.handles, &self.memory).await?;
        let plan = plan::plan(&observed);
        // What was seen was seen, whatever becomes of the rest.
        self.memory = plan.memory.clone();
        let asked = apply::apply(context, &self.handles, &list, &plan).await?;
        self.note(&asked);
        Ok(())
    }

    fn note(&mut self, asked: &[Key]) {
        for key in asked {
            if let Some(seen) = self.memory.seen.get_mut(key) {
                seen.asked = seen.asked.saturating_add(1);
            }
        }
    }
}
