//! The credentials Secret is kept while an instance may need it: without it nothing could be deleted.

use super::ApplyError;
use crate::api::{CredentialsRef, IN_USE_FINALIZER, SandboxPool};
use crate::controllers::context::Context;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

type Place = (String, String);

fn place(secret: &CredentialsRef, namespace: &str) -> Place {
    (secret.namespace.clone().unwrap_or_else(|| namespace.to_owned()), secret.name.clone())
}

fn of(pool: &SandboxPool) -> Option<Place> {
    Some(place(pool.spec.provider.credentials_ref()?, &pool.namespace()?))
}

/// Puts the in-use finalizer on the pool's Secret.
pub(super) async fn hold(context: &Context, pool: &SandboxPool) -> Result<(), ApplyError> {
    let Some((namespace, name)) = of(pool) else { return Ok(()) };
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let secret = api.get(&name).await.map_err(ApplyError::api("the credentials Secret"))?;
    let mut finalizers = secret.finalizers().to_vec();
    if !finalizers.iter().any(|finalizer| finalizer == IN_USE_FINALIZER) {
        finalizers.push(IN_USE_FINALIZER.to_owned());
        patch(&api, &secret, finalizers).await?;
    }
    context.pool_memory.secret_held(&namespace, &name, true);
    Ok(())
}

/// Takes the finalizer off if no other pool and no member uses the Secret.
pub(super) async fn release(context: &Context, pool: &SandboxPool) -> Result<(), ApplyError> {
    let Some((namespace, name)) = of(pool) else { return Ok(()) };
    if used_elsewhere(context, pool, &(namespace.clone(), name.clone())) {
        return Ok(());
    }
    context.pool_memory.secret_held(&namespace, &name, false);
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    let Some(secret) = api.get_opt(&name).await.map_err(ApplyError::api("the credentials Secret"))? else {
        return Ok(());
    };
    let mut finalizers = secret.finalizers().to_vec();
    let before = finalizers.len();
    finalizers.retain(|finalizer| finalizer != IN_USE_FINALIZER);
    if finalizers.len() < before { patch(&api, &secret, finalizers).await } else { Ok(()) }
}

fn used_elsewhere(context: &Context, pool: &SandboxPool, secret: &Place) -> bool {
    let by_pool = context.pools.state().iter().any(|guarded| match &guarded.0 {
        Ok(other) => other.uid() != pool.uid() && of(other).as_ref() == Some(secret),
        // It cannot be told what it uses.
        Err(_) => true,
    });
    by_pool
        || context.sandboxes.state().iter().any(|guarded| {
            let Ok(sandbox) = &guarded.0 else { return true };
            let reference = sandbox.spec.template.as_ref().and_then(|template| template.provider.credentials_ref());
            let namespace = sandbox.namespace().unwrap_or_default();
            reference.is_some_and(|reference| place(reference, &namespace) == *secret)
        })
}

async fn patch(api: &Api<Secret>, secret: &Secret, finalizers: Vec<String>) -> Result<(), ApplyError> {
    let patch = json!({"metadata": {
        "uid": secret.uid(), "resourceVersion": secret.resource_version(), "finalizers": finalizers,
    }});
    match api.patch_metadata(&secret.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(ApplyError::api("the credentials Secret's finalizer")(error)),
    }
}
