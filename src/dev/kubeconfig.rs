//! Kubeconfig texts: who speaks to the local API server, and how.

use data_encoding::BASE64;
use kube::config::Kubeconfig;

use super::pki::Pair;

/// How a client of the API server proves who it is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A client certificate.
    Certificate(Pair),
    /// A bearer token, such as a service account's.
    Token(String),
}

/// The text of a kubeconfig with one cluster, one user and one context.
/// `ca` is PEM.
pub fn text(server: &str, ca: &str, identity: &Identity, namespace: &str) -> String {
    let user = match identity {
        Identity::Certificate(pair) => serde_json::json!({
            "client-certificate-data": BASE64.encode(pair.certificate.as_bytes()),
            "client-key-data": BASE64.encode(pair.key.as_bytes()),
        }),
        Identity::Token(token) => serde_json::json!({ "token": token }),
    };
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbar", "cluster": {
            "server": server, "certificate-authority-data": BASE64.encode(ca.as_bytes())}}],
        "users": [{"name": "sandbar", "user": user}],
        "contexts": [{"name": "sandbar",
            "context": {"cluster": "sandbar", "user": "sandbar", "namespace": namespace}}],
        "current-context": "sandbar",
    });
    // JSON is YAML, and every client reads it.
    format!("{config:#}\n")
}

/// A client from the text of a kubeconfig.
///
/// # Errors
/// When the text is no kubeconfig or names credentials that cannot be used.
pub async fn client(text: &str) -> Result<kube::Client, kube::Error> {
    kube::Client::try_from(config(text).await?)
}

/// A client from an administrator's kubeconfig that the API server takes for somebody else with all rights.
///
/// # Errors
/// When the text is no kubeconfig or names credentials that cannot be used.
pub async fn client_as(text: &str, user: String) -> Result<kube::Client, kube::Error> {
    let mut config = config(text).await?;
    config.auth_info.impersonate = Some(user);
    config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    kube::Client::try_from(config)
}

async fn config(text: &str) -> Result<kube::Config, kube::Error> {
    let config = Kubeconfig::from_yaml(text).map_err(|error| kube::Error::Service(Box::new(error)))?;
    kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default())
        .await
        .map_err(|error| kube::Error::Service(Box::new(error)))
}
