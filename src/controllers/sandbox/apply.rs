//! Does what a plan for one Sandbox says: the intent first, then the effects
//! in their order, then what came of them. Decides nothing.

mod cloud;
mod objects;

use super::plan::{Effect, Plan};
use super::settle::{Outcome, settle};
use crate::api::Sandbox;
use crate::controllers::apply_error::ApplyError;
use crate::controllers::context::Context;
use crate::controllers::runtime::events::EventKind;
use crate::controllers::transfers::Target;
use crate::providers::accounts::Connection;
use crate::telemetry::secret::Secret;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use std::sync::Arc;

/// Carries out a plan.
///
/// # Errors
/// The first write to the API server that failed; provider calls that failed
/// are outcomes, no errors.
pub async fn apply(
    context: &Context,
    sandbox: &Arc<Sandbox>,
    connection: Option<&Connection>,
    plan: Plan,
) -> Result<(), ApplyError> {
    let Plan { status, needs_token, can_wait, effects, again: _ } = plan;
    let mut current = Arc::clone(sandbox);
    let token = if needs_token { objects::token(context, sandbox, true).await? } else { None };
    if sandbox.status.clone().unwrap_or_default() != status {
        let _turn = if can_wait { Some(context.follow_ups.turn().await) } else { None };
        current = objects::write_status(context, &current, status).await?;
    }
    let mut outcomes = Vec::new();
    for effect in effects {
        if let Some(outcome) = perform(context, &mut current, connection, token.as_ref(), effect).await? {
            outcomes.push(outcome);
        }
    }
    let before = current.status.clone().unwrap_or_default();
    let after = settle(before.clone(), outcomes, current.metadata.generation, context.clock.now());
    if after != before {
        objects::write_status(context, &current, after).await?;
    }
    Ok(())
}

async fn perform(
    context: &Context,
    current: &mut Arc<Sandbox>,
    connection: Option<&Connection>,
    token: Option<&Secret<String>>,
    effect: Effect,
) -> Result<Option<Outcome>, ApplyError> {
    if !context.lease.is_leader() {
        return Err(ApplyError::NotLeading);
    }
    match effect {
        Effect::AddFinalizer => objects::add_finalizer(context, current).await?,
        Effect::Create { name, marks, inputs, fresh } => {
            let call = cloud::Create { name, marks, inputs, fresh, token: token.cloned() };
            return cloud::create(context, current, connection, call).await;
        }
        Effect::Delete { id } => cloud::delete(context, current, connection, &id).await,
        Effect::ResetProbe => context.probes.forget(current.metadata.uid.as_deref().unwrap_or_default()),
        Effect::Transfer { order } => context.transfers.start(target(current), order),
        Effect::Launch { order, pid } => context.launches.start(target(current), order, pid),
        Effect::EndLaunch => context.launches.forget(current.metadata.uid.as_deref().unwrap_or_default()),
        Effect::EndTransfer => context.transfers.forget(current.metadata.uid.as_deref().unwrap_or_default()),
        Effect::DiscardSnapshot { snapshot } => {
            context.transfers.discard(current.metadata.namespace.as_deref().unwrap_or_default(), snapshot);
        }
        Effect::DeleteToken => objects::delete_token(context, current).await?,
        Effect::LiftFinalizer => objects::lift_finalizer(context, current).await?,
        Effect::DeleteSelf => objects::delete(context, current).await?,
        Effect::ClaimMember { member, resource_version, claim } => {
            objects::claim(context, current, &member, &resource_version, claim).await?;
        }
        Effect::ExtendMember { member, ttl } => objects::extend(context, current, &member, ttl).await?,
        Effect::Event { warning, reason, note } => {
            let kind = if warning { EventKind::Warning } else { EventKind::Normal };
            context.events.publish(&reference(current), kind, reason, note);
        }
    }
    Ok(None)
}

/// The sandbox, for those who work in it beside the passes.
fn target(sandbox: &Sandbox) -> Target {
    Target {
        uid: sandbox.metadata.uid.clone().unwrap_or_default(),
        namespace: sandbox.metadata.namespace.clone().unwrap_or_default(),
        name: sandbox.metadata.name.clone().unwrap_or_default(),
        url: sandbox.status.as_ref().and_then(|status| status.url.clone()).unwrap_or_default(),
        image: sandbox.spec.template.as_ref().map(|template| template.image.repository.clone()),
    }
}

fn reference(sandbox: &Sandbox) -> ObjectReference {
    sandbox.object_ref(&())
}
