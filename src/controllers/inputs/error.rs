//! Why a value cannot be taken out of its Secret.

use crate::api::SecretKeyRef;
use crate::api::conditions::Reason;

/// Where a value is asked for, and where it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The field that names the Secret.
    field: String,
    /// Namespace of the Secret.
    namespace: String,
    /// Its name.
    name: String,
    /// The key in its data.
    pub(super) key: String,
}

impl Place {
    /// Of an environment variable.
    pub(super) fn env(variable: &str, namespace: &str, secret: &SecretKeyRef) -> Self {
        Self::new(format!("env[{variable}].valueFrom.secretKeyRef"), namespace, secret)
    }

    /// Of the image's registry.
    pub(super) fn image(namespace: &str, secret: &SecretKeyRef) -> Self {
        Self::new("image.pullSecretRef".to_owned(), namespace, secret)
    }

    fn new(field: String, namespace: &str, secret: &SecretKeyRef) -> Self {
        Self { field, namespace: namespace.to_owned(), name: secret.name.clone(), key: secret.key.clone() }
    }
}

/// Why a value cannot be taken out of its Secret. Never shows what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The Secret does not exist.
    #[error(
        "{}.name: there is no Secret {:?} in namespace {:?}; create it with key {:?}, and it goes on by itself",
        .0.field, .0.name, .0.namespace, .0.key
    )]
    SecretMissing(Place),
    /// The Secret lacks the key.
    #[error(
        "{}.key: Secret {}/{} has no key {:?}, it has {}; name one of them or add {:?}",
        place.field, place.namespace, place.name, place.key, listed(keys), place.key
    )]
    KeyMissing {
        /// Where.
        place: Place,
        /// The keys that are there.
        keys: Vec<String>,
    },
    /// No process can have the value in its environment.
    #[error(
        "{}.key: the value under {:?} of Secret {}/{} is no UTF-8 text without NUL, and an environment holds nothing \
         else; encode it, for example with base64",
        .0.field, .0.key, .0.namespace, .0.name
    )]
    NoText(Place),
    /// The value opens no registry.
    #[error(
        "{}.key: the value under {:?} of Secret {}/{} is not of the form user:token; put one line such as \
         octocat:ghp_... there, or name a Secret of type kubernetes.io/dockerconfigjson with key .dockerconfigjson",
        .0.field, .0.key, .0.namespace, .0.name
    )]
    NoCredentials(Place),
    /// The file that docker writes has nothing for the image's registry.
    #[error(
        "{}.key: the docker configuration in Secret {}/{} {what}; make it with kubectl create secret docker-registry",
        place.field, place.namespace, place.name
    )]
    DockerConfig {
        /// Where.
        place: Place,
        /// What is wrong with it.
        what: String,
    },
    /// The API server could not be asked.
    #[error(
        "{}.name: Secret {}/{} cannot be read ({said}); if that lasts, check that the operator may get it",
        place.field, place.namespace, place.name
    )]
    Unreadable {
        /// Where.
        place: Place,
        /// What the API server said.
        said: String,
    },
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() { "no keys at all".to_owned() } else { keys.join(", ") }
}

impl InputError {
    /// The reason for a condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreadable { .. } => Reason::SecretUnreadable,
            Self::SecretMissing(_)
            | Self::KeyMissing { .. }
            | Self::NoText(_)
            | Self::NoCredentials(_)
            | Self::DockerConfig { .. } => Reason::SecretMissing,
        }
    }
}
