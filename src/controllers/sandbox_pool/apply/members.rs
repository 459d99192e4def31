//! Members made and deleted: a name per slot, a version per deletion.

use crate::api::conditions::Reason;
use crate::api::{MEMBER_FINALIZER, POOL_LABEL, PoolRef, Sandbox, SandboxPool, SandboxSpec, Template};
use crate::controllers::apply_error::ApplyError;
use crate::controllers::context::Context;
use crate::controllers::runtime::events::EventKind;
use crate::controllers::sandbox::Guarded;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use std::collections::BTreeMap;

fn sandboxes(context: &Context, pool: &SandboxPool) -> Api<Guarded> {
    Api::namespaced(context.client.clone(), &pool.namespace().unwrap_or_default())
}

/// Makes the member of a slot, finalizer included (S2).
pub(super) async fn create(
    context: &Context,
    pool: &SandboxPool,
    slot: i32,
    template: Template,
) -> Result<(), ApplyError> {
    let name = format!("{}-{slot}", pool.name_any());
    let uid = pool.uid().unwrap_or_default();
    let api = sandboxes(context, pool);
    match api.create(&PostParams::default(), &Guarded::from(member(pool, &name, slot, template))).await {
        Ok(_) => {
            context.pool_memory.made(&uid, slot, &name);
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => taken(context, pool, &api, &name, slot).await,
        Err(error) => Err(ApplyError::api("a member")(error)),
    }
}

/// The name is in use: by a member that this view is too old to show, or by something else.
async fn taken(
    context: &Context,
    pool: &SandboxPool,
    api: &Api<Guarded>,
    name: &str,
    slot: i32,
) -> Result<(), ApplyError> {
    let found = api.get_opt(name).await.map_err(ApplyError::api("the member that has the name"))?;
    let ours = found.as_ref().is_none_or(|found| match &found.0 {
        Ok(found) => found.spec.slot == Some(slot) && found.spec.pool_ref.name == pool.name_any(),
        // It cannot be read, so it cannot be told apart: it counts.
        Err(_) => true,
    });
    if ours {
        return Err(ApplyError::Conflict { what: "the set of members" });
    }
    context.pool_memory.blocked(&pool.uid().unwrap_or_default(), slot);
    let note = format!("another Sandbox has the name {name}; slot {slot} stays unused until it goes");
    context.events.publish(&pool.object_ref(&()), EventKind::Warning, Reason::SlotBlocked, note);
    Ok(())
}

fn member(pool: &SandboxPool, name: &str, slot: i32, template: Template) -> Sandbox {
    let owner = OwnerReference {
        api_version: SandboxPool::api_version(&()).into_owned(),
        kind: SandboxPool::kind(&()).into_owned(),
        name: pool.name_any(),
        uid: pool.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    Sandbox {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: pool.namespace(),
            labels: Some(BTreeMap::from([(POOL_LABEL.to_owned(), pool.name_any())])),
            owner_references: Some(vec![owner]),
            finalizers: Some(vec![MEMBER_FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: SandboxSpec {
            pool_ref: PoolRef { name: pool.name_any() },
            slot: Some(slot),
            template: Some(template),
            claim: None,
            operating_mode: None,
        },
        status: None,
    }
}

/// Deletes exactly the version that was decided upon: a claim that came first wins (S7).
pub(super) async fn delete(
    context: &Context,
    pool: &SandboxPool,
    name: &str,
    uid: String,
    resource_version: String,
    reason: Reason,
) -> Result<(), ApplyError> {
    let preconditions = Preconditions { uid: Some(uid), resource_version: Some(resource_version) };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match sandboxes(context, pool).delete(name, &params).await {
        Ok(_) => {
            tracing::info!(pool = %pool.name_any(), member = name, %reason, "member deleted");
            Ok(())
        }
        // Gone, or changed since: the next pass decides anew.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(ApplyError::api("a member's deletion")(error)),
    }
}
