//! `GET /openapi.json`: what can be asked and what is answered, as OpenAPI 3.1. The shapes are made from the types that
//! are read and written; which types a route has stands in `operations`, and a test compares it with the router.

mod operations;

use super::caller::Right;
use super::refused::ErrorBody;
use crate::agent::wire::Violation;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use operations::{Content, Operation, operations};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Methods that a route of any method is told with.
const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

/// `GET /openapi.json`.
pub async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], DOCUMENT.clone())
}

/// The shapes of what is read and of what is written: they differ in which fields must be there.
struct Shapes {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Shapes {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        let (read, written) = (settings().for_deserialize(), settings().for_serialize());
        Self { read: read.into_generator(), written: written.into_generator() }
    }

    /// All that were named, by name.
    fn named(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(true);
        all.extend(self.written.take_definitions(true));
        all
    }
}

/// The whole document.
fn document() -> Value {
    let mut shapes = Shapes::new();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        // One star is axum's for all that is left.
        let path = operation.path.replace("{*", "{");
        let methods: Vec<&str> = if operation.method == "ANY" { METHODS.to_vec() } else { vec![operation.method] };
        for method in methods {
            let told = told(&operation, method, &path, &mut shapes);
            let place = paths.entry(path.clone()).or_insert_with(|| json!({}));
            place[method.to_lowercase()] = told;
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Sandbar gateway", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": "Launch apps in sandboxes, watch what happens to them, and work in them. Rights are those of the cluster."},
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "The token of the kubeconfig."}},
            "schemas": shapes.named(),
        },
    })
}

fn told(operation: &Operation, method: &str, path: &str, shapes: &mut Shapes) -> Value {
    let mut told = json!({
        "operationId": id(method, path),
        "summary": operation.summary,
        "parameters": parameters(operation, path, shapes),
        "responses": responses(operation, path, shapes),
    });
    if let Some(right) = operation.right {
        let open =
            if operation.is_open() { " Without a token in demo mode, for what was launched without one." } else { "" };
        told["description"] = json!(format!("Needs `{}` of `{}`.{open}", right.verb(), right.what()));
        told["security"] = if operation.is_open() { json!([{"bearer": []}, {}]) } else { json!([{"bearer": []}]) };
    }
    if operation.right == Some(Right::Launch) {
        let key = json!({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 128},
            "description": "A launch that is asked for again with the same key is the same."});
        told["parameters"].as_array_mut().into_iter().for_each(|all| all.push(key.clone()));
    }
    let takes = !matches!(method.to_lowercase().as_str(), "get" | "head" | "options");
    if let Some(content) = content(&operation.body, &mut shapes.read).filter(|_| takes) {
        told["requestBody"] = json!({"required": !matches!(operation.body, Content::Anything), "content": content});
    }
    told
}

fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut id = std::iter::once(method.to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_");
    if path.len() > 1 && path.ends_with('/') {
        id.push_str("_root");
    }
    id
}

fn parameters(operation: &Operation, path: &str, shapes: &mut Shapes) -> Vec<Value> {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = named
        .map(|name| {
            let schema = match name {
                "port" => json!({"type": "integer", "minimum": 1, "maximum": 65535}),
                "pid" => json!({"type": "integer", "format": "int32"}),
                _ => json!({"type": "string"}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    let Some(query) = operation.query else { return all };
    let schema = query(&mut shapes.read).to_value();
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, shape) in schema["properties"].as_object().into_iter().flatten() {
        let mut shape = shape.clone();
        let says = shape.as_object_mut().and_then(|shape| shape.remove("description"));
        let mut told = json!({"name": name, "in": "query", "required": required(name), "schema": shape});
        if let Some(says) = says {
            told["description"] = says;
        }
        all.push(told);
    }
    all
}

fn responses(operation: &Operation, path: &str, shapes: &mut Shapes) -> Value {
    let mut all = Map::new();
    let mut answer = json!({"description": operation.answer_says()});
    if let Some(content) = content(&operation.answer, &mut shapes.written) {
        answer["content"] = content;
    }
    all.insert(operation.status.to_string(), answer);
    let inside = operation.asks_agent();
    let refusal = match inside {
        // An agent says in a sentence what is wrong, or in a list what does not fit.
        true => {
            let list = json!({"type": "object", "required": ["detail"], "properties": {"detail":
                {"type": "array", "items": shapes.written.subschema_for::<Violation>()}}});
            json!({"anyOf": [shapes.written.subschema_for::<ErrorBody>(), list]})
        }
        false => json!(shapes.written.subschema_for::<ErrorBody>()),
    };
    let always: &[(u16, &str)] = match operation.right {
        None => &[],
        Some(_) => &[
            (401, "no token, or one that the cluster does not know"),
            (403, "without the right"),
            (431, "headers too long"),
            (503, "the API server did not do its part"),
        ],
    };
    let of_run: &[(u16, &str)] = match path.contains("{run_id}") {
        true => &[(404, "no such run"), (422, "no id of a run, or a value that does not fit")],
        false => &[],
    };
    let of_agent: &[(u16, &str)] = match inside {
        true => &[
            (408, "the body, or the command, took too long"),
            (409, "the run is not up; or the agent is busy"),
            (502, "the agent is not there"),
            (504, "the agent is silent"),
        ],
        false => &[],
    };
    for (status, says) in always.iter().chain(of_run).chain(of_agent).chain(operation.errors) {
        let refused = json!({"description": says, "content": {"application/json": {"schema": refusal}}});
        all.insert(status.to_string(), refused);
    }
    Value::Object(all)
}

fn content(content: &Content, shapes: &mut SchemaGenerator) -> Option<Value> {
    let bytes = json!({"schema": {}});
    let events = || json!({"schema": {"type": "string", "description": "Server-sent events; a comment whenever it is silent for 15 s."}});
    match content {
        Content::None | Content::Socket => None,
        Content::Json(shape) => Some(json!({"application/json": {"schema": shape(shapes)}})),
        Content::JsonOrEvents(shape) => {
            Some(json!({"application/json": {"schema": shape(shapes)}, "text/event-stream": events()}))
        }
        Content::Events => Some(json!({"text/event-stream": events()})),
        Content::Text => Some(json!({"text/plain": {"schema": {"type": "string"}}})),
        Content::Bytes => Some(json!({"application/octet-stream": bytes})),
        Content::Anything => Some(json!({"*/*": bytes})),
    }
}

/// The shape of a type, by its name where it has one.
fn shape<T: JsonSchema>(shapes: &mut SchemaGenerator) -> Schema {
    shapes.subschema_for::<T>()
}

/// The shape of a query: its fields.
fn fields<T: JsonSchema>(shapes: &mut SchemaGenerator) -> Schema {
    T::json_schema(shapes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::serve::routes;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_told_and_nothing_else() {
        let known: BTreeSet<(String, String)> = routes()
            .known()
            .iter()
            .map(|(method, path)| (method.as_ref().map_or("ANY", |method| method.as_str()).to_owned(), path.clone()))
            .collect();
        let told: BTreeSet<(String, String)> =
            operations().iter().map(|operation| (operation.method.to_owned(), operation.path.clone())).collect();
        assert_eq!(told, known);
        assert_eq!(operations().len(), told.len(), "each once");
    }

    #[test]
    fn what_is_inside_is_told_with_the_rights_that_are_asked_for() {
        for route in &super::super::inside::ROUTES {
            let path = format!("/v1/runs/{{run_id}}{}", route.path);
            let told = operations().into_iter().find(|told| told.method == route.method.as_str() && told.path == path);
            assert_eq!(told.expect("it is told").right, Some(route.right), "{path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_id_is_one() {
        let document = document();
        let text = document.to_string();
        let named = document["components"]["schemas"].as_object().expect("schemas");
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().expect("a name");
            assert!(named.contains_key(name), "{name}");
        }
        let operations = document["paths"]
            .as_object()
            .expect("paths")
            .values()
            .flat_map(|path| path.as_object().expect("a path").values());
        let ids: Vec<&str> = operations.map(|told| told["operationId"].as_str().expect("an id")).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    }

    #[test]
    fn what_is_read_and_written_under_one_name_has_one_shape() {
        let mut shapes = Shapes::new();
        for operation in operations() {
            content(&operation.body, &mut shapes.read);
            content(&operation.answer, &mut shapes.written);
        }
        let (read, written) = (shapes.read.take_definitions(true), shapes.written.take_definitions(true));
        for (name, shape) in read {
            assert!(written.get(&name).is_none_or(|other| *other == shape), "{name}");
        }
    }
}
