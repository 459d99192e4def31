//! Answers against the official API description.

use jsonschema::Draft;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Members that the real API sends and its description does not have.
const UNDESCRIBED: [&str; 1] = ["max_free_static_apps"];

static DESCRIPTION: LazyLock<Option<Value>> = LazyLock::new(|| {
    let found = path().and_then(|path| std::fs::read(path).ok());
    match found {
        Some(bytes) => Some(serde_json::from_slice(&bytes).expect("the API description is JSON")),
        None => {
            println!(
                "SKIPPED: answers are not checked against the API description: it is absent, set SANDBAR_DO_OPENAPI"
            );
            None
        }
    }
});

fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SANDBAR_DO_OPENAPI") {
        return Some(path.into());
    }
    let beside = |folder: &Path| folder.join("shared/reference/digitalocean-apps-openapi.json");
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(beside).find(|path| path.is_file())
}

/// Panics if an answer is not one that the API description allows.
pub fn check(method: &str, path: &str, status: u16, body: &Value) {
    let Some(description) = DESCRIPTION.as_ref() else { return };
    let path = path.split('?').next().unwrap_or(path);
    let Some(operation) = operation(description, method, path) else {
        assert!(path == "/v2/account" || status == 404, "{method} {path} is not in the API description");
        return;
    };
    let responses = &operation["responses"];
    let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
    let schema = &resolve(description, response)["content"]["application/json"]["schema"];
    // Draft 4 is the one that OpenAPI 3.0 builds on.
    let whole = json!({ "allOf": [schema], "components": description["components"] });
    let validator = jsonschema::options().with_draft(Draft::Draft4).build(&whole).expect("a usable schema");
    let problems: Vec<String> =
        validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{method} {path} {status} breaks the API description: {problems:#?}\n{body:#}");
    let mut unknown = Vec::new();
    unknown_members(description, schema, body, "", &mut unknown);
    assert!(unknown.is_empty(), "{method} {path} {status} has members the API does not know: {unknown:?}");
}

/// The operation of the path template that fits; fixed parts win over parameters.
fn operation<'a>(description: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted.iter().zip(&parts).all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let paths = description["paths"].as_object()?;
    let mut templates: Vec<&String> = paths.keys().filter(|template| fits(template)).collect();
    templates.sort_by_key(|template| template.matches('{').count());
    templates.iter().find_map(|template| paths[*template].get(method.to_ascii_lowercase()))
}

fn resolve<'a>(description: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => {
            let target = description.pointer(reference.trim_start_matches('#')).expect("references are whole");
            resolve(description, target)
        }
        None => value,
    }
}

/// All members a schema describes, over its combinations.
fn members<'a>(description: &'a Value, schema: &'a Value, found: &mut Map<String, Value>) {
    let schema = resolve(description, schema);
    if let Some(properties) = schema["properties"].as_object() {
        found.extend(properties.clone());
    }
    for combination in ["allOf", "anyOf", "oneOf"] {
        for part in schema[combination].as_array().into_iter().flatten() {
            members(description, part, found);
        }
    }
}

/// A misspelt member would pass every schema: nothing forbids unknown ones.
fn unknown_members(description: &Value, schema: &Value, body: &Value, place: &str, unknown: &mut Vec<String>) {
    match body {
        Value::Object(object) => {
            let mut known = Map::new();
            members(description, schema, &mut known);
            if known.is_empty() {
                return;
            }
            for (name, value) in object {
                let place = format!("{place}/{name}");
                match known.get(name) {
                    Some(schema) => unknown_members(description, schema, value, &place, unknown),
                    None if UNDESCRIBED.contains(&name.as_str()) => {}
                    None => unknown.push(place),
                }
            }
        }
        Value::Array(items) => {
            let schema = &resolve(description, schema)["items"];
            for (index, item) in items.iter().enumerate() {
                unknown_members(description, schema, item, &format!("{place}/{index}"), unknown);
            }
        }
        _ => {}
    }
}

#[test]
fn a_wrong_answer_is_noticed() {
    if DESCRIPTION.is_none() {
        return;
    }
    let check_app = |app: Value| std::panic::catch_unwind(|| check("GET", "/v2/apps/x", 200, &json!({ "app": app })));
    assert!(check_app(json!({ "spec": { "name": "web" } })).is_ok());
    assert!(check_app(json!({ "spec": { "name": "Web!" } })).is_err(), "a name against the pattern");
    assert!(check_app(json!({ "spec": { "name": "web" }, "liveurl": "x" })).is_err(), "a misspelt member");
    let phase = json!({ "spec": { "name": "web" }, "active_deployment": { "phase": "RUNNING" } });
    assert!(check_app(phase).is_err(), "a phase that does not exist");
}
