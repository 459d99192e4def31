//! Does what a plan for one pool says: the status first, then the effects in
//! their order. Decides nothing.

mod members;
mod secret;

pub use secret::release_all_unused;

use super::GuardedPool;
use super::plan::{Effect, Plan};
use crate::api::{POOL_FINALIZER, SandboxPool, SandboxPoolStatus, StartKind};
use crate::controllers::apply_error::ApplyError;
use crate::controllers::context::Context;
use crate::controllers::runtime::events::EventKind;
use crate::controllers::runtime::status;
use crate::telemetry::metrics::ClaimOutcome;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;
use std::sync::Arc;

/// Carries out a plan.
///
/// # Errors
/// The first write that failed.
pub async fn apply(context: &Context, pool: &Arc<SandboxPool>, plan: Plan) -> Result<(), ApplyError> {
    let Plan { status, effects, again: _ } = plan;
    let mut current = Arc::clone(pool);
    if let Some(status) = status {
        current = write_status(context, &current, status).await?;
    }
    for effect in effects {
        perform(context, &mut current, effect).await?;
    }
    Ok(())
}

async fn perform(context: &Context, current: &mut Arc<SandboxPool>, effect: Effect) -> Result<(), ApplyError> {
    if !context.lease.is_leader() {
        return Err(ApplyError::NotLeading);
    }
    match effect {
        Effect::AddFinalizer => {
            let mut finalizers = current.finalizers().to_vec();
            finalizers.push(POOL_FINALIZER.to_owned());
            patch_finalizers(context, current, finalizers).await
        }
        Effect::LiftFinalizer => {
            let mut finalizers = current.finalizers().to_vec();
            finalizers.retain(|finalizer| finalizer != POOL_FINALIZER);
            patch_finalizers(context, current, finalizers).await
        }
        Effect::HoldSecret => secret::hold(context, current).await,
        Effect::ReleaseSecret => secret::release(context, current).await,
        Effect::CreateMember { slot, template } => members::create(context, current, slot, *template).await,
        Effect::DeleteMember { name, uid, resource_version, reason } => {
            members::delete(context, current, &name, uid, resource_version, reason).await
        }
        Effect::WakePools { pools } => {
            pools.iter().for_each(|(namespace, name)| context.poke_pool.poke(namespace, name));
            Ok(())
        }
        Effect::CountClaim { kind, waited } => {
            let outcome = match kind {
                StartKind::Warm => ClaimOutcome::Warm,
                StartKind::Cold => ClaimOutcome::Cold,
            };
            context.metrics.claim(&current.namespace().unwrap_or_default(), &current.name_any(), outcome, waited);
            Ok(())
        }
        Effect::Event { warning, reason, note } => {
            let kind = if warning { EventKind::Warning } else { EventKind::Normal };
            context.events.publish(&current.object_ref(&()), kind, reason, note);
            Ok(())
        }
    }
}

fn pools(context: &Context, pool: &SandboxPool) -> Api<GuardedPool> {
    Api::namespaced(context.client.clone(), &pool.namespace().unwrap_or_default())
}

fn wrote(context: &Context, written: &impl ResourceExt) {
    if let (Some(uid), Some(version)) = (written.uid(), written.resource_version()) {
        context.gate.wrote(&uid, &version);
    }
}

async fn write_status(
    context: &Context,
    pool: &SandboxPool,
    status: SandboxPoolStatus,
) -> Result<Arc<SandboxPool>, ApplyError> {
    if !context.lease.is_leader() {
        return Err(ApplyError::NotLeading);
    }
    let written = status::replace(&context.client, pool, &status).await.map_err(ApplyError::api("the status"))?;
    wrote(context, &*written);
    context.pool_memory.status_written(&pool.uid().unwrap_or_default());
    Ok(written)
}

async fn patch_finalizers(
    context: &Context,
    current: &mut Arc<SandboxPool>,
    finalizers: Vec<String>,
) -> Result<(), ApplyError> {
    let patch = json!({"metadata": {
        "uid": current.uid(), "resourceVersion": current.resource_version(), "finalizers": finalizers,
    }});
    let answer =
        pools(context, current).patch(&current.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await;
    match answer {
        Ok(written) => {
            wrote(context, &written);
            if let Ok(written) = written.0 {
                *current = written;
            }
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ApplyError::api("the finalizer")(error)),
    }
}
