//! The environment of a sandbox: literal values, and values out of Secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One environment variable of a sandbox: exactly one of value and valueFrom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name. SANDBAR_*, SANDBOX_* and PORT are the operator's own.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Literal value; everybody who may view the pool sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    /// Where the value is read when an instance is about to be created; it is
    /// kept in no object but the Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvSource>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvSource {
    /// A key of a Secret in the pool's own namespace.
    pub secret_key_ref: SecretKeyRef,
}

/// A key of a Secret in the pool's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    // The name becomes part of a path that the operator asks for: it must not lead elsewhere.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in the Secret's data.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

impl EnvVar {
    /// The key of a Secret that the value is read from, if it is.
    pub fn secret(&self) -> Option<&SecretKeyRef> {
        self.value_from.as_ref().map(|source| &source.secret_key_ref)
    }
}
