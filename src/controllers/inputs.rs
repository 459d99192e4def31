//! Reads what a spec takes out of Secrets: values of the environment, and
//! what opens the image's registry. Only Secrets of the object's own namespace
//! are asked for, each by its name, and what they say is kept nowhere.

mod docker_config;
mod error;

pub use error::InputError;

use crate::api::conditions::Reason;
use crate::api::{EnvVar, Image, SecretKeyRef};
use crate::providers::Inputs;
use crate::telemetry::secret::Secret;
use error::Place;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret as SecretObject;
use kube::{Api, Client};
use std::collections::BTreeMap;

/// Something that a spec names cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// In one word.
    pub reason: Reason,
    /// Field, value and way out.
    pub message: String,
}

/// Whether anything is taken out of a Secret at all.
pub fn has_any(image: &Image, env: &[EnvVar]) -> bool {
    references(image, env).next().is_some()
}

/// Reads every Secret that is named, once, from the API server.
///
/// # Errors
/// The first that is missing, lacks its key, holds what cannot be used or
/// cannot be read; the message says how many more there are.
pub async fn read(client: &Client, namespace: &str, image: &Image, env: &[EnvVar]) -> Result<Inputs, Unresolved> {
    let names: std::collections::BTreeSet<&str> = references(image, env).map(|secret| secret.name.as_str()).collect();
    let api: Api<SecretObject> = Api::namespaced(client.clone(), namespace);
    let reads = names.into_iter().map(|name| {
        let api = api.clone();
        async move { (name, api.get_opt(name).await) }
    });
    let found: BTreeMap<&str, Read> = join_all(reads).await.into_iter().collect();
    resolve(&found, namespace, image, env)
}

type Read = Result<Option<SecretObject>, kube::Error>;

fn references<'a>(image: &'a Image, env: &'a [EnvVar]) -> impl Iterator<Item = &'a SecretKeyRef> {
    env.iter().filter_map(EnvVar::secret).chain(&image.pull_secret_ref)
}

/// What was read, as what a create call carries.
fn resolve(found: &BTreeMap<&str, Read>, namespace: &str, image: &Image, env: &[EnvVar]) -> Result<Inputs, Unresolved> {
    let mut inputs = Inputs::default();
    let mut errors = Vec::new();
    for variable in env {
        let Some(secret) = variable.secret() else { continue };
        let place = Place::env(&variable.name, namespace, secret);
        match value(found, &place, secret).and_then(|value| text(value, &place)) {
            Ok(value) => inputs.env.push((variable.name.clone(), value)),
            Err(error) => errors.push(error),
        }
    }
    if let Some(secret) = &image.pull_secret_ref {
        let place = Place::image(namespace, secret);
        match value(found, &place, secret).and_then(|value| credentials(value, &place, image)) {
            Ok(value) => inputs.registry_credentials = Some(value),
            Err(error) => errors.push(error),
        }
    }
    match errors.first() {
        None => Ok(inputs),
        Some(first) => Err(unresolved(first, errors.len() - 1)),
    }
}

fn unresolved(first: &InputError, more: usize) -> Unresolved {
    let message = if more == 0 { first.to_string() } else { format!("{first} (and {more} more)") };
    Unresolved { reason: first.reason(), message }
}

/// The bytes under the key.
fn value<'a>(found: &'a BTreeMap<&str, Read>, place: &Place, secret: &SecretKeyRef) -> Result<&'a [u8], InputError> {
    let object = match found.get(secret.name.as_str()) {
        Some(Ok(Some(object))) => object,
        Some(Ok(None)) | None => return Err(InputError::SecretMissing(place.clone())),
        Some(Err(error)) => {
            return Err(InputError::Unreadable { place: place.clone(), said: crate::failure::chain(error) });
        }
    };
    object.data.as_ref().and_then(|data| data.get(&secret.key)).map(|value| value.0.as_slice()).ok_or_else(|| {
        let keys = object.data.iter().flat_map(|data| data.keys().cloned()).collect();
        InputError::KeyMissing { place: place.clone(), keys }
    })
}

/// A value as a process can have it in its environment, byte for byte.
fn text(value: &[u8], place: &Place) -> Result<Secret<String>, InputError> {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains('\0') => Ok(Secret::new(text.to_owned())),
        _ => Err(InputError::NoText(place.clone())),
    }
}

/// `user:token`, as it stands or out of the file that docker writes.
fn credentials(value: &[u8], place: &Place, image: &Image) -> Result<Secret<String>, InputError> {
    let pair = if place.key == docker_config::KEY {
        docker_config::credentials(value, image)
            .map_err(|what| InputError::DockerConfig { place: place.clone(), what })?
    } else {
        // Editors and `echo` put a line break after it.
        std::str::from_utf8(value).unwrap_or_default().trim().to_owned()
    };
    let visible = pair.bytes().all(|byte| byte.is_ascii_graphic());
    match pair.split_once(':') {
        Some((user, token)) if visible && !user.is_empty() && !token.is_empty() => Ok(Secret::new(pair)),
        _ => Err(InputError::NoCredentials(place.clone())),
    }
}

#[cfg(test)]
mod tests;
