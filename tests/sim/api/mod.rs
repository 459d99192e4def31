//! An API server in memory: versions, preconditions, finalizers, merge patches, status subresource, a Date header.

pub mod objects;
mod rules;

use jiff::Timestamp;
use objects::{Key, Objects, partial, text};
use serde_json::{Value, json};
use std::sync::Arc;

/// An answer: status code and body.
pub type Answer = (u16, Value);

/// What a request asks for, out of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub status: bool,
}

impl Target {
    /// Reads `/apis/sandbar.dev/v1alpha1/namespaces/ns/sandboxes/name/status` and its like.
    pub fn of(path: &str) -> Self {
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        parts.drain(..if parts.first() == Some(&"api") { 2 } else { 3 });
        let namespace = (parts.first() == Some(&"namespaces") && parts.len() > 2).then(|| parts[1].to_owned());
        if namespace.is_some() {
            parts.drain(..2);
        }
        let part = |at: usize| parts.get(at).map(|part| (*part).to_owned());
        Self {
            plural: part(0).unwrap_or_default(),
            namespace,
            name: part(1),
            status: part(2).as_deref() == Some("status"),
        }
    }

    pub fn key(&self) -> Key {
        let (namespace, name) = (self.namespace.clone().unwrap_or_default(), self.name.clone().unwrap_or_default());
        (self.plural.clone(), namespace, name)
    }
}

/// One request, taken apart.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: http::Method,
    pub target: Target,
    pub query: String,
    /// The client wants metadata only.
    pub metadata_only: bool,
    pub body: Value,
}

/// A Status object, as errors are answered.
pub fn failure(code: u16, reason: &str, message: &str) -> Answer {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

fn conflict(message: &str) -> Answer {
    failure(409, "Conflict", message)
}

/// Carries a request out.
pub fn answer(objects: &mut Objects, request: &Request, now: Timestamp) -> Answer {
    let (code, body) = match request.method.as_str() {
        "GET" if request.target.name.is_none() => return list(objects, request),
        "GET" => match objects.get(&request.target.key()) {
            Some(found) => (200, Value::clone(found)),
            None => missing(request),
        },
        "POST" => create(objects, request, now),
        "PUT" => replace(objects, request),
        "PATCH" => patch(objects, request),
        "DELETE" => delete(objects, request, now),
        other => failure(405, "MethodNotAllowed", other),
    };
    if request.metadata_only && code < 300 { (code, partial(&body)) } else { (code, body) }
}

fn missing(request: &Request) -> Answer {
    let name = request.target.name.clone().unwrap_or_default();
    failure(404, "NotFound", &format!("{} {name:?} not found", request.target.plural))
}

fn list(objects: &Objects, request: &Request) -> Answer {
    let all = objects.list(&request.target.plural, request.target.namespace.as_deref());
    let query: Vec<(String, String)> = form(&request.query);
    let wanted = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let labelled = |object: &Value| {
        wanted("labelSelector").is_none_or(|selector| {
            selector.split(',').all(|pair| match pair.split_once('=') {
                Some((key, value)) => object["metadata"]["labels"][key] == value.trim_start_matches('='),
                None => object["metadata"]["labels"].get(pair).is_some(),
            })
        })
    };
    let selected = |object: &Value| {
        wanted("fieldSelector").is_none_or(|selector| {
            selector.split(',').all(|pair| {
                let (path, value) = pair.split_once('=').unwrap_or_default();
                text(object, &path.split('.').collect::<Vec<_>>()) == value.trim_start_matches('=')
            })
        })
    };
    let shown = all.iter().filter(|object| labelled(object) && selected(object));
    let items: Vec<Value> =
        shown.map(|object| if request.metadata_only { partial(object) } else { Value::clone(object) }).collect();
    let metadata = json!({"resourceVersion": objects.version().to_string()});
    (200, json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}))
}

fn form(query: &str) -> Vec<(String, String)> {
    let url = format!("http://x/?{query}");
    let Ok(url) = reqwest::Url::parse(&url) else { return Vec::new() };
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

fn create(objects: &mut Objects, request: &Request, now: Timestamp) -> Answer {
    let mut object = request.body.clone();
    let name = text(&object, &["metadata", "name"]).to_owned();
    let key = (request.target.plural.clone(), request.target.namespace.clone().unwrap_or_default(), name.clone());
    if objects.get(&key).is_some() {
        return failure(409, "AlreadyExists", &format!("{} {name:?} already exists", request.target.plural));
    }
    if request.target.plural.starts_with("sandbox")
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
    if let Some(plain) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) {
        object["data"] = encoded(&plain);
    }
    let uid = objects.fresh_uid();
    let metadata = &mut object["metadata"];
    metadata["uid"] = uid.into();
    metadata["namespace"] = key.1.clone().into();
    metadata["generation"] = 1.into();
    metadata["creationTimestamp"] = second(now).into();
    (201, Value::clone(&objects.put(&key, object)))
}

fn encoded(plain: &Value) -> Value {
    let encode = |value: &Value| data_encoding::BASE64.encode(value.as_str().unwrap_or_default().as_bytes());
    let pairs = plain.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), Value::from(encode(value)))).collect::<serde_json::Map<_, _>>().into()
}

pub fn second(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// What the writer says about the version that it means.
fn meant(old: &Value, metadata: &Value) -> Result<(), Answer> {
    for field in ["uid", "resourceVersion"] {
        if metadata.get(field).is_some_and(|said| !said.is_null() && *said != old["metadata"][field]) {
            return Err(conflict(&format!("the object has another {field}")));
        }
    }
    Ok(())
}

fn replace(objects: &mut Objects, request: &Request) -> Answer {
    let key = request.target.key();
    let Some(old) = objects.get(&key).cloned() else { return missing(request) };
    if let Err(answer) = meant(&old, &request.body["metadata"]) {
        return answer;
    }
    let mut new = Value::clone(&old);
    let field = if request.target.status { "status" } else { "spec" };
    new[field] = request.body[field].clone();
    store(objects, &key, &old, new)
}

fn patch(objects: &mut Objects, request: &Request) -> Answer {
    let key = request.target.key();
    let Some(old) = objects.get(&key).cloned() else { return missing(request) };
    if let Err(answer) = meant(&old, &request.body["metadata"]) {
        return answer;
    }
    let mut new = Value::clone(&old);
    merge(&mut new, &request.body);
    new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    if let (Some(status), Some(fields)) = (old.get("status").cloned(), new.as_object_mut()) {
        fields.insert("status".to_owned(), status);
    }
    if key.0 == "sandboxes"
        && let Some(message) = rules::refused(&old, &new)
    {
        return failure(422, "Invalid", &message);
    }
    store(objects, &key, &old, new)
}

/// Keeps a changed object; one that did not change keeps its version.
fn store(objects: &mut Objects, key: &Key, old: &Arc<Value>, mut new: Value) -> Answer {
    if **old == new {
        return (200, new);
    }
    if old.get("spec") != new.get("spec") {
        new["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(1) + 1).into();
    }
    (200, Value::clone(&objects.put(key, new)))
}

/// JSON merge patch (RFC 7396); an empty list in metadata is as good as none.
fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (key, value) in changes {
        let empty =
            matches!(key.as_str(), "ownerReferences" | "finalizers") && value.as_array().is_some_and(Vec::is_empty);
        if value.is_null() || empty {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn delete(objects: &mut Objects, request: &Request, now: Timestamp) -> Answer {
    let key = request.target.key();
    let Some(old) = objects.get(&key).cloned() else { return missing(request) };
    if let Err(answer) = meant(&old, &request.body["preconditions"]) {
        return answer;
    }
    let kept = old["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    if !kept {
        objects.remove(&key);
        return (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}));
    }
    if old["metadata"].get("deletionTimestamp").is_some() {
        return (200, Value::clone(&old));
    }
    let mut new = Value::clone(&old);
    new["metadata"]["deletionTimestamp"] = second(now).into();
    new["metadata"]["deletionGracePeriodSeconds"] = 0.into();
    (200, Value::clone(&objects.put(&key, new)))
}
