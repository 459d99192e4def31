//! The words of the book are those of the API: phases, conditions, reasons, invariants, tests.

use std::collections::BTreeSet;
use std::path::Path;

use sandbar::api::conditions::{Reason, Type};
use serde::Deserialize;
use serde_json::Value;

use super::{all_pages, files, page};
use crate::typed::ROOT;

/// Words between backquotes that are no value of ours: kinds of objects, answers of Kubernetes, an alert.
const OTHERS: [&str; 5] = ["AlreadyExists", "SandboxPool", "Sandbox", "SandbarDown", "False"];
/// Pages that explain the words of the API.
const EXPLAIN: [&str; 2] = ["concepts/", "operations/troubleshooting.md"];

fn crd(name: &str) -> Value {
    let file = Path::new(ROOT).join("crds").join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    Value::deserialize(serde_yaml::Deserializer::from_str(&text)).expect("YAML")
}

/// Every value that a schema lists.
fn listed(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let values = fields.get("enum").and_then(Value::as_array).into_iter().flatten();
            found.extend(values.filter_map(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| listed(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| listed(item, found)),
        _ => {}
    }
}

fn definitions() -> Vec<Value> {
    let names = files(&Path::new(ROOT).join("crds"));
    let names = names.iter().filter_map(|file| file.file_name()?.to_str());
    let all = names.map(crd).filter(|object| object["kind"] == "CustomResourceDefinition");
    let all: Vec<Value> = all.collect();
    assert_eq!(all.len(), 2, "a definition for each kind");
    all
}

fn phases() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let of_status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/phase";
    definitions().iter().filter_map(|crd| crd.pointer(of_status)).for_each(|schema| listed(schema, &mut found));
    assert!(found.contains("Warm") && found.len() > 8, "{found:?}");
    found
}

/// What stands between single backquotes, outside fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let mut fenced = false;
    let prose = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && !line.starts_with("```")
    });
    let prose = prose.collect::<Vec<_>>().join("\n");
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// First cells of a table's rows, without backquotes, below a heading.
fn first_cells(text: &str, heading: &str) -> Vec<String> {
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    rows.filter_map(|row| row.split('|').nth(1)).map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
        && text.chars().any(|c| c.is_ascii_lowercase())
}

#[test]
fn phases_and_conditions_are_explained_and_no_others() {
    let life = page("concepts/sandbox-life.md");
    let mut told: BTreeSet<String> = first_cells(&life, "A member").into_iter().collect();
    assert!(told.insert("Ended".to_owned()), "a member has no end that stays");
    assert_eq!(told, phases());
    let drawings = page("images/sandbox-life.svg") + &page("images/request-life.svg");
    let missing: Vec<_> = phases().into_iter().filter(|phase| !drawings.contains(phase.as_str())).collect();
    assert!(missing.is_empty(), "not in the pictures: {missing:?}");
    let told: BTreeSet<String> = first_cells(&life, "Conditions").into_iter().collect();
    assert_eq!(told, Type::ALL.iter().map(|kind| kind.to_string()).collect());
}

#[test]
fn every_word_that_is_explained_is_one_of_the_api() {
    let mut known: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    definitions().iter().for_each(|crd| listed(crd, &mut known));
    known.extend(Type::ALL.iter().map(|kind| kind.to_string()));
    known.extend(Reason::ALL.iter().map(|reason| reason.to_string()));
    for path in all_pages().iter().filter(|path| EXPLAIN.iter().any(|begin| path.starts_with(begin))) {
        for word in quoted(&page(path)).iter().filter(|word| is_word(word)) {
            assert!(known.contains(word), "{path}: {word} is no phase, condition, reason or value");
        }
    }
}

#[test]
fn the_invariants_are_all_there() {
    let ids = first_cells(&page("concepts/failures.md"), "Invariants");
    assert_eq!(ids, (1..=15).map(|number| format!("S{number}")).collect::<Vec<_>>());
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let sources = ["src", "tests"].iter().flat_map(|folder| files(&Path::new(ROOT).join(folder)));
    let sources: String = sources
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| std::fs::read_to_string(&file).expect("source text"))
        .collect();
    let named: BTreeSet<String> = quoted(&page("operations/threats.md"))
        .into_iter()
        .filter(|word| word.matches('_').count() > 3 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}
