//! Tokens out of Secrets, read seldom and by one reader at a time.

use super::error::CredentialsError;
use super::limits::{self, AccountLimits};
use super::lock;
use crate::api::{ALLOWED_NAMESPACES_ANNOTATION, CredentialsRef};
use crate::telemetry::secret::Secret;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A Secret as it was read; None = there was none.
type Read = Option<Arc<core::Secret>>;

/// Held while its Secret is read, so that it is read once.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Read)>>>;

/// More references than this are never in use; the rest is forgotten.
const MOST: usize = 1_000;

pub(super) struct Secrets {
    client: Client,
    ttl: Duration,
    slots: Mutex<HashMap<(String, String), Slot>>,
}

impl Secrets {
    pub(super) fn new(client: Client, ttl: Duration) -> Self {
        Self { client, ttl, slots: Mutex::default() }
    }

    /// The token that a pool in this namespace names, and the limits that its Secret tells.
    pub(super) async fn token(
        &self,
        pool_namespace: &str,
        reference: &CredentialsRef,
    ) -> Result<(Secret<String>, AccountLimits), CredentialsError> {
        let namespace = reference.namespace.as_deref().unwrap_or(pool_namespace);
        let secret = self.read(namespace, &reference.name).await?;
        let token = token_in(secret.as_deref(), pool_namespace, reference)?;
        Ok((token, limits_in(secret.as_deref(), namespace, &reference.name)))
    }

    /// The limits that the Secret tells which a pool in this namespace names; none of one that it may not use.
    pub(super) async fn limits(
        &self,
        pool_namespace: &str,
        reference: &CredentialsRef,
    ) -> Result<AccountLimits, CredentialsError> {
        let namespace = reference.namespace.as_deref().unwrap_or(pool_namespace);
        let secret = self.read(namespace, &reference.name).await?;
        let allowed = secret.as_deref().filter(|secret| is_allowed(secret, namespace, pool_namespace));
        Ok(limits_in(allowed, namespace, &reference.name))
    }

    pub(super) fn forget(&self, namespace: &str, name: &str) {
        lock(&self.slots).remove(&(namespace.to_owned(), name.to_owned()));
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Read, CredentialsError> {
        let slot = self.slot(namespace, name);
        let mut kept = slot.lock().await;
        if let Some((at, secret)) = kept.as_ref().filter(|(at, _)| at.elapsed() < self.ttl) {
            tracing::trace!(namespace, name, age_ms = at.elapsed().as_millis(), "credentials from memory");
            return Ok(secret.clone());
        }
        let api: Api<core::Secret> = Api::namespaced(self.client.clone(), namespace);
        let secret = api.get_opt(name).await.map_err(|error| CredentialsError::Api {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            source: Box::new(error),
        })?;
        let secret = secret.map(Arc::new);
        *kept = Some((Instant::now(), secret.clone()));
        Ok(secret)
    }

    fn slot(&self, namespace: &str, name: &str) -> Slot {
        let mut slots = lock(&self.slots);
        if slots.len() >= MOST {
            slots.clear();
        }
        slots.entry((namespace.to_owned(), name.to_owned())).or_default().clone()
    }
}

fn limits_in(secret: Option<&core::Secret>, namespace: &str, name: &str) -> AccountLimits {
    let annotations = secret.and_then(|secret| secret.metadata.annotations.as_ref());
    limits::read(annotations, &format!("{namespace}/{name}"))
}

/// Whether a Secret in `secret_namespace` may be used by pools in `pool_namespace`.
fn is_allowed(secret: &core::Secret, secret_namespace: &str, pool_namespace: &str) -> bool {
    let annotations = secret.metadata.annotations.as_ref();
    let allowed = annotations.and_then(|all| all.get(ALLOWED_NAMESPACES_ANNOTATION)).map_or("", String::as_str);
    secret_namespace == pool_namespace
        || allowed.split(',').map(str::trim).any(|allowed| allowed == "*" || allowed == pool_namespace)
}

fn token_in(
    secret: Option<&core::Secret>,
    pool_namespace: &str,
    reference: &CredentialsRef,
) -> Result<Secret<String>, CredentialsError> {
    let namespace = reference.namespace.clone().unwrap_or_else(|| pool_namespace.to_owned());
    let (name, key) = (reference.name.clone(), reference.key.clone());
    let Some(secret) = secret else {
        return Err(CredentialsError::SecretMissing { namespace, name, key });
    };
    if !is_allowed(secret, &namespace, pool_namespace) {
        return Err(CredentialsError::NotAllowed { namespace, name, pool_namespace: pool_namespace.to_owned() });
    }
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(&key)) else {
        let keys = secret.data.iter().flat_map(|data| data.keys().cloned()).collect();
        return Err(CredentialsError::KeyMissing { namespace, name, key, keys });
    };
    match token(&value.0) {
        Ok(token) => Ok(Secret::new(token.to_owned())),
        Err(what) => Err(CredentialsError::TokenMalformed { namespace, name, key, what }),
    }
}

/// A token goes into a header: one line of visible characters. Editors and
/// `echo` put a line break after it.
fn token(value: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "no text")?.trim();
    match text {
        "" => Err("empty"),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err("more than one word of plain letters"),
        _ => Ok(text),
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
