//! Objects as they are read from the API server, without what nobody here reads.

use super::{Sandbox, SandboxPool, SandboxPoolSpec, SandboxPoolStatus, SandboxSpec, SandboxStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What `kubectl apply` keeps for itself: a second copy of the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as the API server gives it. `managedFields`, half of its text, are passed over; one
/// that does not fit its schema still has its metadata, for it counts although nothing can be
/// decided about it. Read from JSON only. Clones share the object.
#[derive(Clone, Debug)]
pub struct Lean<K>(pub Result<Arc<K>, Undecodable>);

/// An object that does not fit its schema.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct Undecodable {
    /// Where, and what is wrong.
    pub error: String,
    /// Who it is.
    pub metadata: ObjectMeta,
}

/// A kind that can be put together from its parts.
pub trait Parts: Resource<DynamicType = ()> + Clone {
    /// What is wanted.
    type Spec: DeserializeOwned;
    /// What is.
    type Status: DeserializeOwned + Serialize;
    /// Puts an object together.
    fn join(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
}

impl Parts for Sandbox {
    type Spec = SandboxSpec;
    type Status = SandboxStatus;

    fn join(metadata: ObjectMeta, spec: SandboxSpec, status: Option<SandboxStatus>) -> Self {
        Self { metadata, spec, status }
    }
}

impl Parts for SandboxPool {
    type Spec = SandboxPoolSpec;
    type Status = SandboxPoolStatus;

    fn join(metadata: ObjectMeta, spec: SandboxPoolSpec, status: Option<SandboxPoolStatus>) -> Self {
        Self { metadata, spec, status }
    }
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let mut annotations = read.annotations;
        if let Some(annotations) = &mut annotations {
            annotations.remove(LAST_APPLIED);
        }
        Self {
            annotations,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            finalizers: read.finalizers,
            generation: read.generation,
            labels: read.labels,
            name: read.name,
            namespace: read.namespace,
            owner_references: read.owner_references,
            resource_version: read.resource_version,
            uid: read.uid,
            ..Self::default()
        }
    }
}

impl<'de, K: Parts> Deserialize<'de> for Lean<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object { metadata, spec, status } = Object::deserialize(deserializer)?;
        let metadata = ObjectMeta::from(metadata);
        let parts = part("spec", spec.as_deref()).and_then(|spec| {
            let status = status.as_deref().map(|status| part("status", Some(status))).transpose()?;
            Ok((spec, status))
        });
        Ok(Self(match parts {
            Ok((spec, status)) => Ok(Arc::new(K::join(metadata, spec, status))),
            Err(error) => Err(Undecodable { error, metadata }),
        }))
    }
}

fn part<T: DeserializeOwned>(name: &str, text: Option<&RawValue>) -> Result<T, String> {
    let text = text.ok_or_else(|| format!("{name}: is missing"))?;
    let reader = &mut serde_json::Deserializer::from_str(text.get());
    serde_path_to_error::deserialize(reader).map_err(|error| {
        // The path of the part itself is written as a dot.
        match error.path().iter().next() {
            Some(_) => format!("{name}.{}: {}", error.path(), error.inner()),
            None => format!("{name}: {}", error.inner()),
        }
    })
}

impl<K: Serialize> Serialize for Lean<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(undecodable) => Err(ser::Error::custom(undecodable)),
        }
    }
}

impl<K> From<K> for Lean<K> {
    fn from(object: K) -> Self {
        Self(Ok(Arc::new(object)))
    }
}

impl<K: Resource + Clone> Resource for Lean<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|undecodable| &undecodable.metadata, |object| object.meta())
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => Arc::make_mut(object).meta_mut(),
            Err(undecodable) => &mut undecodable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::WatchEvent;
    use serde_json::{Value, json};

    fn object(spec: Value) -> Value {
        json!({
            "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
            "metadata": {
                "name": "python-0", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 2,
                "annotations": {LAST_APPLIED: "{}", "sandbar.dev/abandon-instance": "x"},
                "finalizers": ["sandbar.dev/instance"], "deletionTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
            },
            "spec": spec,
            "status": {"phase": "Warm"},
        })
    }

    fn request() -> Value {
        object(json!({"poolRef": {"name": "python"}, "claim": {"id": "a", "holder": "me"}}))
    }

    #[test]
    fn what_is_decided_upon_is_read_and_the_rest_is_not() {
        let Lean(read) = serde_json::from_value::<Lean<Sandbox>>(request()).expect("an object");
        let mut whole: Sandbox = serde_json::from_value(request()).expect("an object");
        whole.metadata.managed_fields = None;
        whole.metadata.annotations.as_mut().expect("some").remove(LAST_APPLIED);
        let json = |sandbox: &Sandbox| serde_json::to_value(sandbox).expect("JSON");
        assert_eq!(json(&read.expect("fits")), json(&whole));
    }

    #[test]
    fn an_event_of_a_watch_is_read() {
        let line = format!(r#"{{"type":"MODIFIED","object":{}}}"#, request());
        let event = serde_json::from_str::<WatchEvent<Lean<Sandbox>>>(&line).expect("an event");
        let WatchEvent::Modified(Lean(Ok(sandbox))) = event else { panic!("another event") };
        assert_eq!(sandbox.metadata.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn one_that_does_not_fit_keeps_its_metadata_and_says_where() {
        for (spec, says) in [
            (json!({"poolRef": {"name": 7}}), "spec.poolRef.name: invalid type"),
            (Value::Null, "spec: is missing"),
            (json!("x"), "spec: invalid type"),
        ] {
            let read: Lean<Sandbox> = serde_json::from_value(object(spec)).expect("metadata fits");
            assert_eq!(read.meta().uid.as_deref(), Some("u"));
            assert!(read.meta().deletion_timestamp.is_some());
            let error = read.0.expect_err("does not fit").error;
            assert!(error.starts_with(says), "{error}");
        }
    }
}
