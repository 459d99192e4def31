//! Statuses are written without the rest of their objects: the server keeps its own of everything
//! else, and a member's template is most of a member.

use crate::api::{Lean, Parts};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::Error as _;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, S> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Version<'a>,
    status: &'a S,
}

/// The very object and version that the status is about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Version<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: &'a str,
    resource_version: &'a str,
}

/// Replaces the status of the version that was seen; gives the object as it is then.
///
/// # Errors
/// 409 if it is not that version any more; whatever else the server says.
pub async fn replace<K>(client: &Client, seen: &K, status: &K::Status) -> kube::Result<Arc<K>>
where
    K: Parts + Resource<Scope = kube::core::NamespaceResourceScope> + std::fmt::Debug,
{
    let (kind, api_version) = (K::kind(&()), K::api_version(&()));
    let metadata = seen.meta();
    let version = Version {
        name: metadata.name.as_deref().unwrap_or_default(),
        namespace: metadata.namespace.as_deref().unwrap_or_default(),
        uid: metadata.uid.as_deref().unwrap_or_default(),
        resource_version: metadata.resource_version.as_deref().unwrap_or_default(),
    };
    let (name, api) = (version.name, Api::<Lean<K>>::namespaced(client.clone(), version.namespace));
    let body = Body { api_version: &api_version, kind: &kind, metadata: version, status };
    let Lean(written) = api.replace_subresource("status", name, &PostParams::default(), &body).await?;
    written.map_err(|undecodable| kube::Error::SerdeError(serde_json::Error::custom(undecodable)))
}
