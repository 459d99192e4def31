//! What the API server refuses and what it makes of good objects: every rule
//! against the real thing, word by word.

mod bounds;
mod ids;
mod members;
mod pools;
mod requests;
mod served;

use std::collections::BTreeSet;

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use sandbar::api::rules::RULES;
use sandbar::api::{Sandbox, SandboxPool};
use serde_json::{Value, json};

use crate::world::{TestEnv, World};

/// One bad object, or one bad change of a good one, and what the server says.
struct Row {
    /// Rule id, or what of the schema refuses.
    rule: &'static str,
    /// A good object that is stored first.
    first: Option<Value>,
    /// Its status, if that matters.
    status: Option<Value>,
    /// The bad object; with `first`, a merge patch.
    bad: Value,
    /// Everything that the server answers.
    answer: &'static str,
}

/// A bad object.
fn bad(rule: &'static str, bad: Value, answer: &'static str) -> Row {
    Row { rule, first: None, status: None, bad, answer }
}

/// A bad change of a good object.
fn change(rule: &'static str, first: Value, bad: Value, answer: &'static str) -> Row {
    Row { rule, first: Some(first), status: None, bad, answer }
}

impl Row {
    /// Stores this status between the good object and its change.
    fn status(self, status: Value) -> Self {
        Self { status: Some(status), ..self }
    }
}

/// The smallest pool there is, with `changes` merged into its spec.
fn pool(name: &str, changes: &Value) -> Value {
    let mut spec = json!({
        "provider": {"digitalOcean": {
            "credentialsRef": {"namespace": "sandbar-system", "name": "digitalocean", "key": "token"},
            "region": "nyc",
        }},
        "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
        "warm": {"target": 2},
        "limits": {"maxSandboxes": 5},
    });
    merge(&mut spec, changes);
    object("SandboxPool", name, &spec)
}

/// A request for a sandbox of pool `python`, with `changes` merged into its spec.
fn request(name: &str, changes: &Value) -> Value {
    let mut spec = json!({"poolRef": {"name": "python"}, "claim": {"id": name, "holder": "alice"}});
    merge(&mut spec, changes);
    object("Sandbox", name, &spec)
}

/// Member 0 of a pool, with `changes` merged into its spec.
fn member(pool: &str, changes: &Value) -> Value {
    let mut spec = json!({
        "poolRef": {"name": pool},
        "slot": 0,
        "template": {
            "poolUid": "11111111-2222-3333-4444-555555555555",
            "poolGeneration": 1,
            "provider": {"digitalOcean": {"credentialsRef": {"name": "digitalocean", "key": "token"}, "region": "nyc"}},
            "image": {"registryType": "DOCR", "repository": "sandbox-python", "tag": "1"},
            "claims": {"maxTTL": "2h"},
        },
    });
    merge(&mut spec, changes);
    object("Sandbox", &format!("{pool}-0"), &spec)
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A merge patch, as the server applies it.
fn merge(target: &mut Value, patch: &Value) {
    let (Some(to), Some(from)) = (target.as_object_mut(), patch.as_object()) else {
        *target = patch.clone();
        return;
    };
    for (key, value) in from {
        if value.is_null() {
            to.remove(key);
        } else {
            merge(to.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// The API that serves an object, as the operator or as an administrator.
fn api(client: &kube::Client, env: &TestEnv, object: &Value) -> Api<DynamicObject> {
    let resource = match object["kind"].as_str() {
        Some("SandboxPool") => ApiResource::erase::<SandboxPool>(&()),
        _ => ApiResource::erase::<Sandbox>(&()),
    };
    Api::namespaced_with(client.clone(), &env.namespace, &resource)
}

async fn operator(env: &TestEnv) -> kube::Client {
    env.world.local().as_operator().await.expect("the operator's client")
}

/// Stores what comes first, then gives the server's answer to what is bad.
async fn answer(client: &kube::Client, env: &TestEnv, row: &Row) -> String {
    let params = PostParams::default();
    let parsed = |value: &Value| serde_json::from_value::<DynamicObject>(value.clone()).expect("an object");
    let refused = match &row.first {
        None => api(client, env, &row.bad).create(&params, &parsed(&row.bad)).await,
        Some(first) => {
            let (api, name) = (api(client, env, first), first["metadata"]["name"].as_str().expect("a name"));
            let made = api.create(&params, &parsed(first)).await;
            made.unwrap_or_else(|error| panic!("{}: the good object is refused: {error}", row.rule));
            if let Some(status) = &row.status {
                let status = Patch::Merge(json!({"status": status}));
                api.patch_status(name, &PatchParams::default(), &status).await.expect("a status");
            }
            api.patch(name, &PatchParams::default(), &Patch::Merge(&row.bad)).await
        }
    };
    match refused {
        Ok(stored) => format!("(taken: {})", stored.data),
        Err(kube::Error::Api(status)) => status.message,
        Err(error) => panic!("{}: {error}", row.rule),
    }
}

/// Holds every row against the server and shows all that differ.
async fn hold(client: &kube::Client, env: &TestEnv, rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows {
        let said = answer(client, env, row).await;
        if said != row.answer {
            wrong.push(format!("{}\n  said     {said:?}\n  expected {:?}", row.rule, row.answer));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// All rows of a table that stand for a rule of `RULES`.
fn rules_of(rows: &[Row]) -> BTreeSet<&'static str> {
    rows.iter().map(|row| row.rule).filter(|rule| RULES.iter().any(|known| known.id == *rule)).collect()
}

#[test]
fn every_rule_has_a_row() {
    let covered: BTreeSet<_> =
        [pools::rows(), requests::rows(), members::rows()].iter().flat_map(|rows| rules_of(rows)).collect();
    let missing: Vec<_> = RULES.iter().map(|rule| rule.id).filter(|id| !covered.contains(id)).collect();
    assert!(missing.is_empty(), "no row shows what the server says to: {missing:?}");
}

#[tokio::test]
async fn a_bad_pool_is_refused_with_field_value_and_way_out_p1_to_p31() {
    let env = World::get().await.test("rules-pool").await;
    hold(&env.client, &env, &pools::rows()).await;
}

#[tokio::test]
async fn a_bad_request_is_refused_with_field_value_and_way_out() {
    let env = World::get().await.test("rules-request").await;
    hold(&env.client, &env, &requests::rows()).await;
}

#[tokio::test]
async fn a_bad_member_or_claim_is_refused_with_field_value_and_way_out_b1_to_b14() {
    let env = World::get().await.test("rules-member").await;
    hold(&operator(&env).await, &env, &members::rows()).await;
}

#[tokio::test]
async fn what_is_out_of_bounds_is_refused_by_the_schema() {
    let env = World::get().await.test("rules-bounds").await;
    hold(&env.client, &env, &bounds::rows()).await;
}

#[tokio::test]
async fn only_the_operator_makes_members_v1() {
    let env = World::get().await.test("rules-policy").await;
    hold(&env.client, &env, &members::policy_rows()).await;
}
