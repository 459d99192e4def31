//! The credentials Secret is kept while an instance may need it: without it nothing could be deleted.

use crate::api::{IN_USE_FINALIZER, Sandbox, SandboxPool};
use crate::controllers::apply_error::ApplyError;
use crate::controllers::context::Context;
use crate::controllers::index::readable;
use crate::controllers::sandbox_pool::siblings::place as of;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

type Place = (String, String);

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
    context.pool_memory.secret_held((namespace, name));
    Ok(())
}

/// The pool was proved empty: its Secret goes if nobody else needs it.
pub(super) async fn release(context: &Context, pool: &SandboxPool) -> Result<(), ApplyError> {
    // Two pools that end together must not each take the other for a reason to keep it.
    context.pool_memory.ended(&pool.uid().unwrap_or_default());
    match of(pool) {
        Some(place) => release_unused(context, &place).await,
        None => Ok(()),
    }
}

/// Takes the finalizer off every Secret that something named while this process ran and nothing
/// needs any more: a pool may have moved to another one, also before this process began.
///
/// # Errors
/// The first write that failed; all of them are tried again later.
pub async fn release_all_unused(context: &Context) -> Result<(), ApplyError> {
    note_named(context);
    let mut result = Ok(());
    for place in context.pool_memory.secrets() {
        let released = release_unused(context, &place).await;
        result = result.and(released);
    }
    result
}

/// What pools and members name may have the finalizer, whoever put it on.
fn note_named(context: &Context) {
    let pools = context.pools.state();
    let by_pools = pools.iter().filter_map(|guarded| of(guarded.0.as_ref().ok()?));
    let sandboxes = context.sandboxes.state();
    for place in by_pools.chain(readable(&sandboxes).filter_map(named_by)) {
        context.pool_memory.secret_named(place);
    }
}

fn named_by(sandbox: &Sandbox) -> Option<Place> {
    let reference = sandbox.spec.template.as_ref()?.provider.credentials_ref()?;
    Some(reference.place(&sandbox.namespace().unwrap_or_default()))
}

async fn release_unused(context: &Context, place: &Place) -> Result<(), ApplyError> {
    if is_used(context, place) {
        return Ok(());
    }
    context.pool_memory.secret_releasing(place);
    let (namespace, name) = place;
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    if let Some(secret) = api.get_opt(name).await.map_err(ApplyError::api("the credentials Secret"))? {
        let mut finalizers = secret.finalizers().to_vec();
        let before = finalizers.len();
        finalizers.retain(|finalizer| finalizer != IN_USE_FINALIZER);
        if finalizers.len() < before {
            patch(&api, &secret, finalizers).await?;
        }
    }
    context.pool_memory.secret_released(place);
    Ok(())
}

fn is_used(context: &Context, secret: &Place) -> bool {
    // What cannot be read may use a Secret of its own namespace.
    let near = |metadata: &ObjectMeta| metadata.namespace.as_ref() == Some(&secret.0);
    let by_pool = context.pools.state().iter().any(|guarded| match &guarded.0 {
        Ok(pool) => {
            !context.pool_memory.has_ended(&pool.uid().unwrap_or_default()) && of(pool).as_ref() == Some(secret)
        }
        Err(unreadable) => near(&unreadable.metadata),
    });
    by_pool
        || context.sandboxes.state().iter().any(|guarded| {
            let sandbox = match &guarded.0 {
                Ok(sandbox) => sandbox,
                Err(unreadable) => return near(&unreadable.metadata),
            };
            named_by(sandbox).as_ref() == Some(secret)
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
