//! What an instance needs for its whole life: provider, image, environment.

use super::{ClaimPolicy, CreatePolicy, EnvVar, Mode, SecretKeyRef, SnapshotRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where instances are made. Exactly one provider is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSpec {
    /// DigitalOcean App Platform: one app per sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digital_ocean: Option<DigitalOceanProvider>,
}

impl ProviderSpec {
    /// The Secret that opens the provider's account.
    pub fn credentials_ref(&self) -> Option<&CredentialsRef> {
        self.digital_ocean.as_ref().map(|provider| &provider.credentials_ref)
    }

    /// Whether sandboxes have no address, and are entered through the provider's console.
    pub fn is_worker(&self) -> bool {
        self.digital_ocean.as_ref().is_some_and(|provider| provider.mode == Mode::Worker)
    }
}

/// DigitalOcean App Platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DigitalOceanProvider {
    /// The Secret that holds an API token with the scopes app:read, app:create and app:delete;
    /// mode Worker needs app:access_console too.
    pub credentials_ref: CredentialsRef,
    /// Region slug, short form. Cannot be changed.
    #[schemars(extend("enum" = ["ams", "atl", "blr", "fra", "lon", "nyc", "sfo", "sgp", "syd", "tor"]))]
    pub region: String,
    /// Instance size slug; prices come from the provider.
    #[serde(default = "default_size")]
    #[schemars(length(min = 1, max = 64))]
    pub size: String,
    /// Whether sandboxes have an address of their own.
    #[serde(default, skip_serializing_if = "Mode::is_service")]
    pub mode: Mode,
    /// DigitalOcean project that new apps are put into.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub project_id: Option<String>,
}

fn default_size() -> String {
    "apps-s-1vcpu-1gb".to_owned()
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// Namespace of the Secret; absent = the pool's own. Another namespace's Secret must name the
    /// pool's namespace in its annotation sandbar.dev/allowed-namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// Name of the Secret.
    // Name and namespace become part of a path that the operator asks for: they must not lead elsewhere.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

impl CredentialsRef {
    /// Namespace and name of the Secret, as something in `namespace` refers to it.
    pub fn place(&self, namespace: &str) -> (String, String) {
        (self.namespace.clone().unwrap_or_else(|| namespace.to_owned()), self.name.clone())
    }
}

/// Registry that an image is pulled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegistryType {
    /// GitHub's container registry.
    #[serde(rename = "GHCR")]
    Ghcr,
    /// DigitalOcean's container registry.
    #[serde(rename = "DOCR")]
    Docr,
    /// Docker Hub.
    #[serde(rename = "DOCKER_HUB")]
    DockerHub,
}

/// The image that a sandbox runs; it must serve the agent's API on port 8080.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Kind of registry.
    pub registry_type: RegistryType,
    /// Owner in the registry; must be absent for DOCR, which knows it from the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 192))]
    pub registry: Option<String>,
    /// Repository name.
    #[schemars(length(min = 1, max = 192), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]*$"))]
    pub repository: String,
    /// Tag; exactly one of tag and digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"))]
    pub tag: Option<String>,
    /// Digest such as sha256:…; exactly one of tag and digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 71, max = 71), regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
    /// Credentials of a private registry, user:token or a .dockerconfigjson; not for DOCR, whose
    /// images the account may pull. Read when an instance is about to be created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_secret_ref: Option<SecretKeyRef>,
}

/// A copy, taken when the member was made, of everything its instance needs
/// for its whole life: no later step needs the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// UID of the pool, for the marks.
    #[schemars(length(min = 1, max = 64))]
    pub pool_uid: String,
    /// Generation of the pool that this copy was taken from.
    pub pool_generation: i64,
    /// Where the instance is made.
    pub provider: ProviderSpec,
    /// What it runs.
    pub image: Image,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Ports besides the agent's that are reachable inside the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)), extend("x-kubernetes-list-type" = "set"))]
    pub ports: Vec<i32>,
    /// Files that its instance begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// Deadline, attempts and back-off of its creation.
    #[serde(default)]
    pub create: CreatePolicy,
    /// Limits of a claim on it.
    #[serde(default)]
    pub claims: ClaimPolicy,
}
