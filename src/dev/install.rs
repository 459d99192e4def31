//! What a cluster needs before the operator can work in it: definitions,
//! roles, the admission policy, a namespace and credentials. The texts are
//! the ones in `deploy/` that people apply to their own clusters.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use tokio::time::Instant;

/// The namespace that the shipped manifests give the operator.
pub const NAMESPACE: &str = "sandbar-system";
/// The operator's service account in [`NAMESPACE`].
pub const SERVICE_ACCOUNT: &str = "sandbar";
/// The gateway's service account in [`NAMESPACE`]; it serves the namespaces in which ClusterRole `sandbar-gateway` is
/// bound to it.
pub const GATEWAY_ACCOUNT: &str = "sandbar-gateway";
/// The Secret with the provider's token in [`NAMESPACE`].
pub const CREDENTIALS: &str = "digitalocean";
/// The key of the token in that Secret.
pub const CREDENTIALS_KEY: &str = "token";
/// Says which namespaces' pools may use a Secret of another namespace.
pub const ALLOWED_NAMESPACES: &str = "sandbar.dev/allowed-namespaces";

const MANIFESTS: [(&str, &str); 4] = [
    ("deploy/rbac/operator.yaml", include_str!("../../deploy/rbac/operator.yaml")),
    ("deploy/rbac/gateway.yaml", include_str!("../../deploy/rbac/gateway.yaml")),
    ("deploy/rbac/users.yaml", include_str!("../../deploy/rbac/users.yaml")),
    ("deploy/admission/slot-policy.yaml", include_str!("../../deploy/admission/slot-policy.yaml")),
];

const WITHIN: Duration = Duration::from_secs(60);

/// Why the cluster could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A shipped manifest is not readable.
    #[error("{file} is no manifest")]
    Manifest {
        /// The file it ships as.
        file: &'static str,
        /// The cause.
        source: serde_yaml::Error,
    },
    /// The API server refused an object.
    #[error("cannot install {what}")]
    Refused {
        /// Kind and name.
        what: String,
        /// The cause.
        source: Box<kube::Error>,
    },
    /// Something was accepted and does not work yet.
    #[error("{what} does not work {} s after it was installed; last answer: {last}", WITHIN.as_secs())]
    Late {
        /// Kind and name.
        what: String,
        /// What the server said last.
        last: String,
    },
}

fn refused(what: impl Into<String>) -> impl FnOnce(kube::Error) -> InstallError {
    let what = what.into();
    move |source| InstallError::Refused { what, source: Box::new(source) }
}

/// Installs the custom resource definitions and waits until they are served.
///
/// # Errors
/// When the server refuses one or does not serve it in time.
pub async fn definitions(client: &Client) -> Result<(), InstallError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crds = crate::api::crds();
    for crd in &crds {
        let name = crd.name_any();
        api.patch(&name, &params(), &Patch::Apply(crd)).await.map_err(refused(format!("definition {name}")))?;
    }
    for crd in &crds {
        let name = crd.name_any();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        let late = |last: String| InstallError::Late { what: format!("definition {name}"), last };
        match tokio::time::timeout(WITHIN, established).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(late(crate::failure::chain(&error))),
            Err(_) => return Err(late("not established".to_owned())),
        }
    }
    Ok(())
}

/// Makes the operator's namespace, its identity, the roles and the admission
/// policy, and waits until the policy is enforced.
///
/// # Errors
/// When the server refuses one of them or does not enforce the policy in time.
pub async fn manifests(client: &Client) -> Result<(), InstallError> {
    let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    api.patch(NAMESPACE, &params(), &Patch::Apply(&namespace)).await.map_err(refused("namespace"))?;
    for (file, text) in MANIFESTS {
        for document in serde_yaml::Deserializer::from_str(text) {
            let object = DynamicObject::deserialize(document);
            apply(client, &object.map_err(|source| InstallError::Manifest { file, source })?).await?;
        }
    }
    policy_enforced(client).await
}

/// Lets the gateway serve a namespace.
///
/// # Errors
/// When the server refuses it.
pub async fn gateway_serves(client: &Client, namespace: &str) -> Result<(), InstallError> {
    let binding = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": GATEWAY_ACCOUNT},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": GATEWAY_ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": GATEWAY_ACCOUNT, "namespace": NAMESPACE}],
    });
    let api: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    api.patch(GATEWAY_ACCOUNT, &params(), &Patch::Apply(&binding)).await.map_err(refused("the gateway's binding"))?;
    Ok(())
}

/// Stores the provider's token where the examples look for it, open to the
/// pools of every namespace.
///
/// # Errors
/// When the server refuses it.
pub async fn credentials(client: &Client, token: &str) -> Result<(), InstallError> {
    let secret = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CREDENTIALS, "annotations": {ALLOWED_NAMESPACES: "*"}},
        "stringData": {CREDENTIALS_KEY: token},
    });
    let api: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    api.patch(CREDENTIALS, &params(), &Patch::Apply(&secret)).await.map_err(refused("the credentials Secret"))?;
    Ok(())
}

/// A token of a service account that outlives every local world (a year).
///
/// # Errors
/// When the account does not exist or the server refuses.
pub async fn service_account_token(client: &Client, namespace: &str, name: &str) -> Result<String, InstallError> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(365 * 24 * 3600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = api.create_token_request(name, &PostParams::default(), &request).await;
    let answer = answer.map_err(refused(format!("a token of service account {namespace}/{name}")))?;
    Ok(answer.status.and_then(|status| status.token).unwrap_or_default())
}

fn params() -> PatchParams {
    PatchParams::apply("sandbar-dev").force()
}

async fn apply(client: &Client, object: &DynamicObject) -> Result<(), InstallError> {
    let types = object.types.clone().unwrap_or_default();
    let what = format!("{} {}", types.kind, object.name_any());
    let kind =
        GroupVersionKind::try_from(&types).map_err(|error| refused(&what)(kube::Error::Service(Box::new(error))))?;
    let found = kube::discovery::pinned_kind(client, &kind).await;
    let (resource, _) = found.map_err(refused(&what))?;
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(&object.name_any(), &params(), &Patch::Apply(object)).await.map_err(refused(&what))?;
    Ok(())
}

/// A policy takes effect some time after it was stored: asks (without
/// storing anything) for what it must refuse until it does.
async fn policy_enforced(client: &Client) -> Result<(), InstallError> {
    let resource = ApiResource::erase::<crate::api::Sandbox>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    // Valid but for its maker: the schema speaks before the policy does.
    let probe = DynamicObject::new("probe-0", &resource).data(serde_json::json!({"spec": {
        "poolRef": {"name": "probe"},
        "slot": 0,
        "template": {
            "poolUid": "probe",
            "poolGeneration": 1,
            "provider": {"digitalOcean": {"credentialsRef": {"name": "probe", "key": "probe"}, "region": "nyc"}},
            "image": {"registryType": "DOCR", "repository": "probe", "tag": "1"},
        },
    }}));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let until = Instant::now() + WITHIN;
    loop {
        let last = match api.create(&dry, &probe).await {
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(()),
            Err(error) => return Err(refused("the probe of the slot policy")(error)),
            Ok(_) => "a member made by somebody else than the operator was accepted".to_owned(),
        };
        if Instant::now() >= until {
            return Err(InstallError::Late { what: "policy sandbar-slot".to_owned(), last });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
