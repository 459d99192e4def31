//! Removes snapshots that hibernation has left in the store and that no Sandbox speaks of any more: the operator died
//! before it could remove them, the store did not answer, or what a dead process had sent came late.
//! observe → plan → apply, for the whole store at once, again and again, slowly.
//!
//! The store is listed first, then the Sandboxes live: in this order a snapshot without a Sandbox has none. Names say
//! which installation made a snapshot, so another one with the same store loses nothing, and `sandbar snapshot` makes
//! none with such a name.

use super::context::Context;
use super::sandbox::Guarded;
use super::transfers::{Kept, MoveError};
use crate::api::{HibernationStatus, Sandbox};
use crate::artifacts::{hibernated_by, hibernated_prefix};
use crate::failure::chain;
use crate::telemetry::metrics::ReconcileOutcome;
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Most snapshots that one sweep removes, so that a mistake stays small.
const MOST: usize = 10;
/// Sandboxes per page.
const PAGE: u32 = 500;

/// Namespace and name of a snapshot.
type Place = (String, String);

/// Why a sweep ended before its end.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the snapshot store cannot be listed")]
    Store(#[from] MoveError),
    #[error("the Sandboxes cannot be listed")]
    Sandboxes(#[from] kube::Error),
}

/// Everything that one sweep may look at.
#[derive(Clone, Debug)]
struct Observed {
    now: Timestamp,
    installation: String,
    /// What this installation has in the store.
    kept: Vec<Kept>,
    living: Vec<Living>,
    /// What no Sandbox spoke of in the sweep before.
    before: BTreeSet<Place>,
    /// How long it stays.
    keep: Duration,
}

/// A Sandbox that exists.
#[derive(Clone, Debug)]
struct Living {
    namespace: String,
    uid: String,
    /// The snapshots that it speaks of; none where it cannot be read.
    names: Option<Vec<String>>,
}

/// What one sweep does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Plan {
    /// What no Sandbox speaks of.
    left: BTreeSet<Place>,
    /// Those of them that go now.
    remove: Vec<Place>,
}

/// Sweeps until `stop` is cancelled; not at all where there is no store.
pub async fn run(context: std::sync::Arc<Context>, stop: CancellationToken) {
    if !context.transfers.has_store() {
        return;
    }
    let mut sweeper = Sweeper::default();
    let sweeping = async {
        loop {
            tokio::time::sleep(context.timing.snapshot_sweep.mul_f64(rand::random_range(0.9..1.1))).await;
            sweeper.sweep(&context).await;
        }
    };
    tokio::select! { () = stop.cancelled() => {} () = sweeping => {} }
}

/// What lives from sweep to sweep.
#[derive(Default)]
pub struct Sweeper {
    left: BTreeSet<Place>,
}

impl Sweeper {
    /// One sweep. What went wrong is logged; the next sweep begins anew.
    pub async fn sweep(&mut self, context: &Context) {
        let began = Instant::now();
        let outcome = match self.pass(context).await {
            Ok(()) => ReconcileOutcome::Completed,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the sweep for left snapshots failed; nothing was concluded");
                ReconcileOutcome::Failed
            }
        };
        context.metrics.reconcile("leftovers", outcome, began.elapsed());
    }

    async fn pass(&mut self, context: &Context) -> Result<(), Error> {
        let Some(observed) = observe(context, &self.left).await? else {
            self.left.clear();
            return Ok(());
        };
        let plan = plan(&observed);
        self.left = plan.left;
        apply(context, plan.remove).await;
        Ok(())
    }
}

/// Reads what is needed; nothing where the store holds nothing of ours that is old enough.
async fn observe(context: &Context, before: &BTreeSet<Place>) -> Result<Option<Observed>, Error> {
    let Some(depot) = context.transfers.depot() else { return Ok(None) };
    let kept = depot.kept(context.watched.as_deref(), &hibernated_by(&context.installation)).await?;
    let (now, keep) = (context.clock.now(), context.timing.snapshot_keep);
    if !kept.iter().any(|kept| is_old(kept, now, keep)) {
        return Ok(None);
    }
    let living = living(context).await?;
    let (installation, before) = (context.installation.clone(), before.clone());
    Ok(Some(Observed { now, installation, kept, living, before, keep }))
}

async fn living(context: &Context) -> Result<Vec<Living>, Error> {
    let api: Api<Guarded> = match &context.watched {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let (mut living, mut params) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let page = api.list(&params).await?;
        living.extend(page.items.iter().map(speaks));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(living),
        }
    }
}

fn speaks(guarded: &Guarded) -> Living {
    let named = |sandbox: &Sandbox| -> Vec<String> {
        let kept = sandbox.status.as_ref().and_then(|status| status.hibernation.as_ref());
        kept.map(HibernationStatus::names).unwrap_or_default()
    };
    Living {
        namespace: guarded.namespace().unwrap_or_default(),
        uid: guarded.uid().unwrap_or_default(),
        names: guarded.0.as_deref().ok().map(named),
    }
}

fn is_old(kept: &Kept, now: Timestamp, keep: Duration) -> bool {
    Duration::try_from(now.duration_since(kept.written)).is_ok_and(|age| age >= keep)
}

/// Decides what goes: old, ours, spoken of by nobody, and that in two sweeps.
fn plan(observed: &Observed) -> Plan {
    let spoken_of = |kept: &Kept| {
        observed.living.iter().filter(|living| living.namespace == kept.namespace).any(|living| {
            let own = kept.name.starts_with(&hibernated_prefix(&observed.installation, &living.uid));
            own && living.names.as_ref().is_none_or(|names| names.contains(&kept.name))
        })
    };
    let ours = hibernated_by(&observed.installation);
    let mut candidates: Vec<&Kept> = observed.kept.iter().collect();
    candidates.retain(|kept| kept.name.starts_with(&ours) && is_old(kept, observed.now, observed.keep));
    candidates.retain(|kept| !spoken_of(kept));
    let left: BTreeSet<Place> =
        candidates.into_iter().map(|kept| (kept.namespace.clone(), kept.name.clone())).collect();
    let remove = left.intersection(&observed.before).take(MOST).cloned().collect();
    Plan { left, remove }
}

/// Removes them. One that stays is seen by the next sweep.
async fn apply(context: &Context, remove: Vec<Place>) {
    let Some(depot) = context.transfers.depot() else { return };
    for (namespace, snapshot) in remove {
        if !context.lease.is_leader() {
            return;
        }
        match depot.remove(&namespace, &snapshot).await {
            Ok(()) => tracing::info!(namespace, snapshot, "removed a snapshot that no Sandbox speaks of"),
            Err(error) => tracing::warn!(namespace, snapshot, %error, "a left snapshot cannot be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::hibernated_name;

    const UID: &str = "7d9a2c1e-0000-4000-8000-000000000001";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("in range")
    }

    fn snapshot(installation: &str, tries: i32) -> Kept {
        Kept { namespace: "ns".into(), name: hibernated_name(installation, UID, 3, tries), written: at(0) }
    }

    fn living(names: Option<Vec<String>>) -> Living {
        Living { namespace: "ns".into(), uid: UID.into(), names }
    }

    /// What the second of two equal sweeps removes.
    fn removed(kept: &[Kept], living: &[Living], now: i64) -> Vec<String> {
        let keep = Duration::from_secs(100);
        let observed = Observed {
            now: at(now),
            installation: "ours".into(),
            kept: kept.to_vec(),
            living: living.to_vec(),
            before: BTreeSet::new(),
            keep,
        };
        let first = plan(&observed);
        assert_eq!(first.remove, [], "one look is not enough");
        plan(&Observed { before: first.left, ..observed }).remove.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn what_no_sandbox_speaks_of_goes_when_it_is_old() {
        let (own, other) = (snapshot("ours", 1), snapshot("ours", 2));
        assert_eq!(removed(std::slice::from_ref(&own), &[], 99), [""; 0], "too young");
        assert_eq!(removed(std::slice::from_ref(&own), &[], 100), [own.name.as_str()], "its Sandbox is gone");
        let spoken = living(Some(vec![own.name.clone()]));
        assert_eq!(removed(&[own.clone(), other.clone()], &[spoken], 100), [other.name.as_str()]);
        let elsewhere = Living { namespace: "another".into(), ..living(Some(vec![own.name.clone()])) };
        assert_eq!(removed(std::slice::from_ref(&own), &[elsewhere], 100), [own.name.as_str()]);
    }

    #[test]
    fn what_is_not_ours_or_cannot_be_judged_stays_s9() {
        assert_eq!(removed(&[snapshot("theirs", 1)], &[], 1000), [""; 0], "another installation's");
        let person = Kept { name: "notes".into(), ..snapshot("ours", 1) };
        assert_eq!(removed(&[person], &[], 1000), [""; 0], "somebody's own");
        assert_eq!(removed(&[snapshot("ours", 1)], &[living(None)], 1000), [""; 0], "its Sandbox cannot be read");
    }

    #[test]
    fn one_sweep_removes_a_few() {
        let many: Vec<Kept> = (1..=30).map(|tries| snapshot("ours", tries)).collect();
        assert_eq!(removed(&many, &[], 1000).len(), MOST);
    }
}
