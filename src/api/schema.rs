//! Makes a derived schema what an API server wants: rules put in their places,
//! numbers printed as people write them.

use super::rules::{Kind, RULES, Rule};
use super::settled::UNSEEN;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

/// Puts the rules of `kind` into the definition and tidies its schema.
///
/// # Panics
/// If a rule's path is not in the schema; a test generates every definition.
pub(super) fn finish(crd: CustomResourceDefinition, kind: Kind) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(crd).expect("a definition is JSON");
    let schema = value
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .expect("a derived definition has one version with a schema");
    tidy(schema);
    // An API server's own bound; said here so that rules on the name have a cost.
    schema["properties"]["metadata"] =
        json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}});
    // A status that no operator has written yet must not read as one that says all is well.
    schema["properties"]["status"]["default"] = json!({"observedGeneration": UNSEEN});
    for rule in RULES.iter().filter(|rule| rule.kind == kind) {
        put(schema, rule);
    }
    serde_json::from_value(value).expect("what was a definition still is one")
}

fn put(schema: &mut Value, rule: &Rule) {
    let mut at = schema;
    for step in rule.path {
        let next = if *step == "[]" { at.get_mut("items") } else { at.pointer_mut(&format!("/properties/{step}")) };
        at = next.unwrap_or_else(|| panic!("rule {}: no {step} in the schema", rule.id));
    }
    let rules = at
        .as_object_mut()
        .expect("a schema node is an object")
        .entry("x-kubernetes-validations")
        .or_insert_with(|| json!([]));
    rules.as_array_mut().expect("rules are a list").push(json!({
        "rule": rule.holds,
        "messageExpression": rule.message,
        "message": format!("refused by rule {}", rule.id),
    }));
}

/// `minimum: 0.0` becomes `minimum: 0`, and integer formats that an API server
/// does not know go.
fn tidy(node: &mut Value) {
    match node {
        Value::Object(map) => {
            tidy_node(map);
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn tidy_node(map: &mut Map<String, Value>) {
    for bound in ["minimum", "maximum"] {
        if let Some(number) = map.get(bound).and_then(Value::as_f64).filter(|number| number.fract() == 0.0) {
            map.insert(bound.to_owned(), json!(number as i64));
        }
    }
    if map.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
        map.remove("format");
    }
}
