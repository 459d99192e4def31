//! Whether what a pool's spec names is there, before a member is made in vain.

use crate::api::SandboxPool;
use crate::controllers::context::Context;
use crate::controllers::inputs::{self, Unresolved};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox_pool::facts::RefsFact;
use crate::providers::Fit;
use crate::providers::accounts::Connection;
use kube::ResourceExt;

/// Looks for the Secrets, then for size and region. A pool that ends needs none of them.
pub(super) async fn read(
    context: &Context,
    pool: &SandboxPool,
    namespace: &str,
    provider: &ProviderFact,
    connection: Option<&Connection>,
) -> RefsFact {
    if pool.metadata.deletion_timestamp.is_some() {
        return RefsFact::Unknown;
    }
    if let Err(unresolved) = secrets(context, pool, namespace).await {
        return RefsFact::Unresolved(unresolved);
    }
    let (ProviderFact::Open { .. }, Some(connection)) = (provider, connection) else { return RefsFact::Unknown };
    match connection.provider.fit(&pool.spec.provider).await {
        Ok(Fit::Offered) => RefsFact::Resolved { leaving: None },
        Ok(Fit::Leaving { message }) => RefsFact::Resolved { leaving: Some(message) },
        Ok(Fit::NotOffered { reason, message }) => RefsFact::Unresolved(Unresolved { reason, message }),
        Err(error) => {
            tracing::debug!(pool = %pool.name_any(), %error, "size and region cannot be checked");
            RefsFact::Unknown
        }
    }
}

/// A pool is looked at far more often than its Secrets change; what they say is not kept.
async fn secrets(context: &Context, pool: &SandboxPool, namespace: &str) -> Result<(), Unresolved> {
    let spec = &pool.spec;
    if !inputs::has_any(&spec.image, &spec.env) {
        return Ok(());
    }
    let uid = pool.uid().unwrap_or_default();
    let generation = pool.metadata.generation.unwrap_or_default();
    if let Some(known) = context.pool_memory.secrets_looked_for(&uid, generation) {
        return known;
    }
    let result = inputs::read(&context.client, namespace, &spec.image, &spec.env).await.map(drop);
    context.pool_memory.looked_for_secrets(&uid, generation, result.clone());
    result
}
