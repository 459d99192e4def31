//! Why credentials do not open an account.

use crate::api::ALLOWED_NAMESPACES_ANNOTATION;
use crate::api::conditions::Reason;
use crate::providers::{ErrorClass, ProviderError};

/// Why a pool's credentials open no account. Says nothing about instances.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The spec names no provider.
    #[error("provider: none is set; set provider.digitalOcean")]
    NoProvider,
    /// The Secret does not exist.
    #[error(
        "credentialsRef.name: there is no Secret {name:?} in namespace {namespace:?}; create it with the API token \
         under key {key:?}"
    )]
    SecretMissing {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// The key that is asked for.
        key: String,
    },
    /// The Secret lacks the key.
    #[error(
        "credentialsRef.key: Secret {namespace}/{name} has no key {key:?}, it has {}; name one of them or add the API \
         token under {key:?}",
        listed(keys)
    )]
    KeyMissing {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// The key that is asked for.
        key: String,
        /// The keys that are there.
        keys: Vec<String>,
    },
    /// The key's value cannot be a token.
    #[error(
        "credentialsRef.key: the value under {key:?} of Secret {namespace}/{name} is {what}; put the API token there, \
         one line of plain text"
    )]
    TokenMalformed {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
        /// What is wrong with it, without showing it.
        what: &'static str,
    },
    /// The Secret does not allow the pool's namespace.
    #[error(
        "credentialsRef.namespace: Secret {namespace}/{name} does not allow namespace {pool_namespace:?}; add \
         {pool_namespace} to its annotation {ALLOWED_NAMESPACES_ANNOTATION} (names separated by commas, or *)"
    )]
    NotAllowed {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// The pool's namespace.
        pool_namespace: String,
    },
    /// The provider refuses the token.
    #[error(
        "credentialsRef: the provider refuses the token under {key:?} of Secret {namespace}/{name} ({said}); put a \
         token with the scopes app:read, app:create, app:delete and account:read there"
    )]
    Rejected {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
        /// The provider's words.
        said: String,
    },
    /// The provider could not be asked.
    #[error("the provider cannot be asked which account the credentials open: {0}; it is tried again")]
    Unavailable(#[source] ProviderError),
    /// The API server could not be asked.
    #[error(
        "credentialsRef.name: Secret {namespace}/{name} cannot be read ({source}); check that the operator may get it"
    )]
    Api {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
}

fn listed(keys: &[String]) -> String {
    if keys.is_empty() { "no keys at all".to_owned() } else { keys.join(", ") }
}

impl CredentialsError {
    /// The reason for a condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoProvider => Reason::InvalidSpec,
            Self::SecretMissing { .. } | Self::KeyMissing { .. } | Self::TokenMalformed { .. } => {
                Reason::CredentialsMissing
            }
            Self::NotAllowed { .. } => Reason::CredentialsNotAllowed,
            Self::Rejected { .. } => Reason::CredentialsRejected,
            Self::Unavailable(ProviderError { class: ErrorClass::Limited { .. }, .. }) => Reason::RateLimited,
            Self::Unavailable(_) | Self::Api { .. } => Reason::ProviderUnavailable,
        }
    }
}
