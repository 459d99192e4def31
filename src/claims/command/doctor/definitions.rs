//! Are both kinds installed, served, and those that this program knows?

use super::Patient;
use super::line::Line;
use crate::api::crds;
use crate::controllers::runtime::preflight::{Needs, look_for_kind};
use crate::failure::chain;
use crate::telemetry::readiness::Check;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

const INSTALL: &str = "sandbar crds | kubectl apply --server-side -f -";
/// Differences that are named.
const SHOWN: usize = 3;

pub(super) async fn check(patient: &Patient<'_>) -> Vec<Line> {
    let api: Api<CustomResourceDefinition> = Api::all(patient.client.clone());
    let mut lines = Vec::new();
    for ours in crds() {
        let (name, check) = (ours.name_any(), format!("definition {}", ours.name_any()));
        lines.push(match api.get_opt(&name).await {
            Ok(Some(stored)) => judge(check, &stored, &ours),
            Ok(None) => Line::failed(check, "not installed", INSTALL),
            Err(kube::Error::Api(status)) if status.code == 403 => served(patient, check, &ours).await,
            Err(error) => Line::unseen(check, chain(&error), "kubectl version shows whether the cluster answers"),
        });
    }
    lines
}

/// By discovery, which everybody may.
async fn served(patient: &Patient<'_>, check: String, ours: &CustomResourceDefinition) -> Line {
    let kinds = Needs::of_operator("", None).kinds;
    let Some(kind) = kinds.into_iter().find(|kind| kind.plural == ours.spec.names.plural) else {
        return Line::unseen(check, "no kind of the operator's", INSTALL);
    };
    match look_for_kind(&patient.client, kind).await {
        Check::Ok => Line::unseen(
            check,
            "served; whether it is the one that this program knows was not checked: you may not read definitions",
            format!("somebody who may get customresourcedefinitions runs this, or: {INSTALL}"),
        ),
        Check::Missing(_) | Check::Standby(_) => Line::failed(check, "not served", INSTALL),
    }
}

fn judge(check: String, stored: &CustomResourceDefinition, ours: &CustomResourceDefinition) -> Line {
    let conditions = stored.status.as_ref().and_then(|status| status.conditions.as_ref());
    let condition = |kind: &str| conditions.into_iter().flatten().find(|condition| condition.type_ == kind);
    if stored.metadata.deletion_timestamp.is_some() {
        return Line::failed(
            check,
            "being deleted, and every pool and sandbox with it",
            "delete pools before definitions; kubectl get sandbar -A shows what is left; then install them again",
        );
    }
    if condition("Established").is_none_or(|condition| condition.status != "True") {
        let names = condition("NamesAccepted").filter(|condition| condition.status == "False");
        let why = names.or(condition("Established")).and_then(|condition| condition.message.clone());
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        return Line::failed(
            check,
            format!("not established{why}"),
            "remove what has the same names, or wait a second",
        );
    }
    let differences = Differences::between(&versions(stored), &versions(ours));
    let all = |found: &[String]| {
        let more = found.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", found[..found.len().min(SHOWN)].join(", "))
    };
    let Differences { missing, other } = &differences;
    if !missing.is_empty() {
        let says = format!("older than sandbar {}: {} missing", env!("CARGO_PKG_VERSION"), all(missing));
        return Line::failed(check, says, format!("upgrade it, and then the operator: {INSTALL}"));
    }
    if !other.is_empty() {
        let says = format!("not the one of sandbar {}, which does not know {}", env!("CARGO_PKG_VERSION"), all(other));
        return Line::warning(check, says, format!("use the sandbar of the operator's version, or: {INSTALL}"));
    }
    Line::ok(check, format!("established, as sandbar {} has it", env!("CARGO_PKG_VERSION")))
}

/// What a definition says of each version.
fn versions(crd: &CustomResourceDefinition) -> Value {
    let version = |version: &_| {
        let value = serde_json::to_value(version).unwrap_or_default();
        let part = |name: &str| value.get(name).cloned().unwrap_or_default();
        let parts = json!({
            "served": part("served"), "selectableFields": part("selectableFields"),
            "subresources": part("subresources"), "schema": part("schema")["openAPIV3Schema"],
        });
        (part("name").as_str().unwrap_or_default().to_owned(), parts)
    };
    crd.spec.versions.iter().map(version).collect::<serde_json::Map<_, _>>().into()
}

/// Paths at which the stored definition is not ours.
#[derive(Default)]
struct Differences {
    /// Ours has something there.
    missing: Vec<String>,
    /// The stored one has something else there.
    other: Vec<String>,
}

impl Differences {
    fn between(stored: &Value, ours: &Value) -> Self {
        let mut found = Self::default();
        found.walk(stored, ours, "");
        found
    }

    fn walk(&mut self, stored: &Value, ours: &Value, path: &str) {
        match (stored, ours) {
            (Value::Object(stored), Value::Object(ours)) => {
                for name in stored.keys().chain(ours.keys().filter(|name| !stored.contains_key(*name))) {
                    // Words for people change nothing; a property may have this name, and is an object then.
                    let is_text = |value: Option<&Value>| value.is_none_or(Value::is_string);
                    if name == "description" && is_text(stored.get(name)) && is_text(ours.get(name)) {
                        continue;
                    }
                    let null = Value::Null;
                    let path = step(path, name);
                    self.walk(stored.get(name).unwrap_or(&null), ours.get(name).unwrap_or(&null), &path);
                }
            }
            (stored, ours) if stored == ours => {}
            (Value::Null, _) => self.missing.push(path.to_owned()),
            _ => self.other.push(path.to_owned()),
        }
    }
}

/// A path as people have it, of a path in a schema.
fn step(path: &str, name: &str) -> String {
    match name {
        "schema" | "properties" => path.to_owned(),
        "items" => format!("{path}[]"),
        "x-kubernetes-validations" => format!("{path} (rules)"),
        _ if path.is_empty() => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::command::doctor::line::State;

    fn established(change: impl Fn(&mut Value)) -> CustomResourceDefinition {
        let mut value = serde_json::to_value(&crds()[0]).expect("JSON");
        value["status"] =
            json!({"conditions": [{"type": "Established", "status": "True", "lastTransitionTime": null}]});
        change(&mut value);
        serde_json::from_value(value).expect("a definition")
    }

    const WARM: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/warm/properties";

    fn judged(change: impl Fn(&mut Value)) -> Line {
        judge("definition".to_owned(), &established(change), &crds()[0])
    }

    fn map<'a>(value: &'a mut Value, path: &str) -> &'a mut serde_json::Map<String, Value> {
        value.pointer_mut(path).and_then(Value::as_object_mut).expect("a map")
    }

    #[test]
    fn our_own_is_as_it_should_be_whatever_its_descriptions_say() {
        assert_eq!(judged(|_| {}).state, State::Ok);
        let reworded = judged(|value| {
            map(value, &format!("{WARM}/target")).insert("description".to_owned(), json!("another word"));
        });
        assert_eq!(reworded.state, State::Ok);
    }

    #[test]
    fn an_older_one_is_told_by_what_it_lacks_and_a_newer_one_by_what_it_has() {
        let older = judged(|value| {
            map(value, WARM).remove("sizing");
        });
        assert_eq!(
            (older.state, older.says.contains("v1alpha1.spec.warm.sizing missing")),
            (State::Failed, true),
            "{older:?}"
        );
        let newer = judged(|value| {
            map(value, WARM).insert("castle".to_owned(), json!({"type": "string"}));
        });
        assert_eq!(
            (newer.state, newer.says.ends_with("v1alpha1.spec.warm.castle")),
            (State::Warning, true),
            "{newer:?}"
        );
    }

    #[test]
    fn one_that_is_not_established_says_why() {
        let taken = judged(|value| {
            let conditions = json!([{"type": "NamesAccepted", "status": "False", "message": "sbp is taken", "lastTransitionTime": null}]);
            value["status"]["conditions"] = conditions;
        });
        assert_eq!((taken.state, taken.says.as_str()), (State::Failed, "not established: sbp is taken"));
    }
}
