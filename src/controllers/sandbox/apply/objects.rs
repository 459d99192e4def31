//! Writes to the API server: each guarded by the version that the plan saw.

use crate::api::{
    AGENT_TOKEN_KEY, Claim, MEMBER_FINALIZER, ObjectUid, Sandbox, SandboxStatus, Span, agent_secret_name,
};
use crate::claims::claim_patch;
use crate::controllers::apply_error::ApplyError;
use crate::controllers::context::Context;
use crate::controllers::runtime::status;
use crate::controllers::sandbox::Guarded;
use crate::telemetry::secret::Secret;
use data_encoding::BASE64URL_NOPAD;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

fn sandboxes(context: &Context, sandbox: &Sandbox) -> Api<Guarded> {
    Api::namespaced(context.client.clone(), sandbox.metadata.namespace.as_deref().unwrap_or_default())
}

fn secrets(context: &Context, sandbox: &Sandbox) -> Api<SecretObject> {
    Api::namespaced(context.client.clone(), sandbox.metadata.namespace.as_deref().unwrap_or_default())
}

fn name(sandbox: &Sandbox) -> &str {
    sandbox.metadata.name.as_deref().unwrap_or_default()
}

fn uid(sandbox: &Sandbox) -> &str {
    sandbox.metadata.uid.as_deref().unwrap_or_default()
}

fn wrote(context: &Context, written: &impl Resource) {
    if let (Some(uid), Some(version)) = (&written.meta().uid, &written.meta().resource_version) {
        context.gate.wrote(uid, version);
    }
}

/// Replaces the status of the version that was seen; gives the object as it is then.
pub(super) async fn write_status(
    context: &Context,
    sandbox: &Sandbox,
    status: SandboxStatus,
) -> Result<Arc<Sandbox>, ApplyError> {
    if !context.lease.is_leader() {
        return Err(ApplyError::NotLeading);
    }
    let written = status::replace(&context.client, sandbox, &status).await.map_err(ApplyError::api("the status"))?;
    wrote(context, &*written);
    Ok(written)
}

async fn patch_metadata(
    context: &Context,
    current: &mut Arc<Sandbox>,
    finalizers: Vec<String>,
) -> Result<(), ApplyError> {
    let patch = json!({"metadata": {
        "uid": uid(current), "resourceVersion": current.metadata.resource_version, "finalizers": finalizers,
    }});
    let api = sandboxes(context, current);
    match api.patch(name(current), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(written) => {
            wrote(context, &written);
            if let Ok(written) = written.0 {
                *current = written;
            }
            Ok(())
        }
        // Nothing is left to keep.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ApplyError::api("the finalizer")(error)),
    }
}

pub(super) async fn add_finalizer(context: &Context, current: &mut Arc<Sandbox>) -> Result<(), ApplyError> {
    let mut finalizers = current.metadata.finalizers.clone().unwrap_or_default();
    finalizers.push(MEMBER_FINALIZER.to_owned());
    patch_metadata(context, current, finalizers).await
}

pub(super) async fn lift_finalizer(context: &Context, current: &mut Arc<Sandbox>) -> Result<(), ApplyError> {
    let mut finalizers = current.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != MEMBER_FINALIZER);
    patch_metadata(context, current, finalizers).await
}

/// Deletes exactly the version that was decided upon: a claim or an extension that came first wins (S7).
pub(super) async fn delete(context: &Context, current: &Sandbox) -> Result<(), ApplyError> {
    let preconditions = Preconditions {
        uid: current.metadata.uid.clone(),
        resource_version: current.metadata.resource_version.clone(),
    };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match sandboxes(context, current).delete(name(current), &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ApplyError::api("the deletion")(error)),
    }
}

/// Claims a member in the version that was seen; losing it to another is no error, the next pass sees it (S6).
pub(super) async fn claim(
    context: &Context,
    request: &Sandbox,
    member: &ObjectUid,
    resource_version: &str,
    claim: Claim,
) -> Result<(), ApplyError> {
    let patch = claim_patch(&member.uid, resource_version, &claim);
    match sandboxes(context, request).patch(&member.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(written) => {
            wrote(context, &written);
            Ok(())
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(()),
        Err(error) => Err(ApplyError::api("the claim")(error)),
    }
}

pub(super) async fn extend(
    context: &Context,
    request: &Sandbox,
    member: &ObjectUid,
    ttl: Span,
) -> Result<(), ApplyError> {
    let patch = json!({"metadata": {"uid": member.uid}, "spec": {"claim": {"ttl": ttl}}});
    match sandboxes(context, request).patch(&member.name, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(written) => {
            wrote(context, &written);
            Ok(())
        }
        // Longer already, or gone.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(()),
        Err(error) => Err(ApplyError::api("the extension")(error)),
    }
}

/// The agent's token: made if the attempt is new, else only read.
pub(super) async fn token(
    context: &Context,
    sandbox: &Sandbox,
    make: bool,
) -> Result<Option<Secret<String>>, ApplyError> {
    let secret_name = agent_secret_name(uid(sandbox));
    let api = secrets(context, sandbox);
    if make {
        let token = BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>());
        match api.create(&PostParams::default(), &token_secret(sandbox, &secret_name, &token)).await {
            Ok(_) => return Ok(Some(Secret::new(token))),
            // A pass before this one made it and did not come further.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(ApplyError::api("the token")(error)),
        }
    }
    let Some(found) = api.get_opt(&secret_name).await.map_err(ApplyError::api("the token"))? else { return Ok(None) };
    if !found.metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid(sandbox)) {
        return Err(ApplyError::ForeignSecret { name: secret_name });
    }
    let value = found.data.and_then(|mut data| data.remove(AGENT_TOKEN_KEY));
    Ok(value.and_then(|value| String::from_utf8(value.0).ok()).map(Secret::new))
}

fn token_secret(sandbox: &Sandbox, secret_name: &str, token: &str) -> SecretObject {
    let owner = OwnerReference {
        api_version: Sandbox::api_version(&()).into_owned(),
        kind: Sandbox::kind(&()).into_owned(),
        name: name(sandbox).to_owned(),
        uid: uid(sandbox).to_owned(),
        controller: Some(true),
        block_owner_deletion: None,
    };
    SecretObject {
        metadata: ObjectMeta {
            name: Some(secret_name.to_owned()),
            namespace: sandbox.metadata.namespace.clone(),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        string_data: Some(BTreeMap::from([(AGENT_TOKEN_KEY.to_owned(), token.to_owned())])),
        ..SecretObject::default()
    }
}

pub(super) async fn delete_token(context: &Context, sandbox: &Sandbox) -> Result<(), ApplyError> {
    match secrets(context, sandbox).delete(&agent_secret_name(uid(sandbox)), &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ApplyError::api("the token's deletion")(error)),
    }
}
