//! What the server makes of good objects, and how it shows them.

use std::path::Path;
use std::process::Command;

use sandbar::dev::binaries::{Binaries, Tool};
use serde_json::{Value, json};

use super::{api, merge, operator, pool, request};
use crate::world::{TestEnv, World};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};

/// What `kubectl` prints, as a person of the test's namespace with all rights.
async fn kubectl(env: &TestEnv, arguments: &[&str]) -> String {
    let program = Binaries::from_env().expect("a cache").path(Tool::Kubectl, &|_| {}).await.expect("kubectl");
    let mut command = Command::new(program);
    command.arg("--kubeconfig").arg(&env.kubeconfig).args(["--namespace", &env.namespace]).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().expect("kubectl runs")).await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "kubectl {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

async fn store(env: &TestEnv, client: &kube::Client, object: &Value) -> Value {
    let parsed: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    let stored = api(client, env, object).create(&PostParams::default(), &parsed).await.expect("the server takes it");
    serde_json::to_value(stored).expect("JSON")
}

fn example(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(name);
    serde_yaml::from_str(&std::fs::read_to_string(file).expect("an example")).expect("YAML")
}

#[tokio::test]
async fn the_smallest_pool_gets_every_default() {
    let env = World::get().await.test("served-defaults").await;
    let mut expected = example("pool.yaml")["spec"].clone();
    let stored = store(&env, &env.client, &example("pool.yaml")).await;
    let defaults = json!({
        "provider": {"digitalOcean": {"size": "apps-s-1vcpu-1gb"}},
        "warm": {
            "target": 2, "activation": "Always", "idleTimeout": "2m", "scaleDownDelay": "1m", "cooldownAfterClaim": "2m",
            "sizing": {"policy": "Fixed"},
        },
        "limits": {"maxSandboxes": 5, "maxConcurrentCreates": 2},
        "onEmpty": "Create",
        "create": {"deadline": "10m", "maxAttempts": 3, "backoff": {"initial": "10s", "max": "10m"}},
        "claims": {"defaultTTL": "30m", "maxTTL": "24h", "waitTimeout": "5m"},
        "rollout": {"strategy": "OnReplenish"},
    });
    merge(&mut expected, &defaults);
    assert_eq!(stored["spec"], expected);
}

#[tokio::test]
async fn kubectl_scale_sets_the_target_and_reads_the_warm_ones() {
    let env = World::get().await.test("served-scale").await;
    let object = pool("python", &json!({}));
    store(&env, &env.client, &object).await;
    let status = json!({"status": {"warm": 2, "selector": "sandbar.dev/pool=python"}});
    let pools = api(&env.client, &env, &object);
    pools.patch_status("python", &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");

    let said = kubectl(&env, &["scale", "sandboxpool/python", "--replicas=4"]).await;
    assert_eq!(said, "sandboxpool.sandbar.dev/python scaled\n");
    let scale = pools.get_scale("python").await.expect("a scale");
    assert_eq!(scale.spec.and_then(|spec| spec.replicas), Some(4));
    let status = scale.status.expect("a status");
    assert_eq!((status.replicas, status.selector.as_deref()), (2, Some("sandbar.dev/pool=python")));
    let target = kubectl(&env, &["get", "sbp", "python", "-o", "jsonpath={.spec.warm.target}"]).await;
    assert_eq!(target, "4");
}

#[tokio::test]
async fn a_run_is_found_by_its_id_and_a_member_by_its_pool() {
    let env = World::get().await.test("served-select").await;
    let (one, two) = (request("one", &json!({})), request("two", &json!({"poolRef": {"name": "node"}})));
    store(&env, &env.client, &one).await;
    store(&env, &env.client, &two).await;
    let sandboxes = api(&env.client, &env, &one);
    let names = async |selector: &str| -> Vec<String> {
        let list = sandboxes.list(&ListParams::default().fields(selector)).await.expect("a list");
        list.items.into_iter().filter_map(|object| object.metadata.name).collect()
    };
    assert_eq!(names("spec.claim.id=one").await, ["one"]);
    assert_eq!(names("spec.poolRef.name=node").await, ["two"]);
    assert_eq!(names("spec.poolRef.name=python,spec.claim.id=two").await, Vec::<String>::new());
}

#[tokio::test]
async fn kubectl_shows_what_a_person_acts_on_under_short_names_and_a_category() {
    let env = World::get().await.test("served-columns").await;
    let object = pool("python", &json!({}));
    store(&env, &env.client, &object).await;
    let status = json!({"status": {"warm": 1, "creating": 1, "claimed": 0, "conditions": [{
        "type": "Available", "status": "False", "reason": "BelowTarget", "message": "1 of 2 warm",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let pools = api(&env.client, &env, &object);
    pools.patch_status("python", &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
    let shown = kubectl(&env, &["get", "sbp"]).await;
    assert_eq!(columns(&shown, 0), "NAME TARGET WARM CREATING CLAIMED MAX AVAILABLE WHY AGE");
    assert!(columns(&shown, 1).starts_with("python 2 1 1 0 5 False BelowTarget "), "{shown}");

    let client = operator(&env).await;
    let claimed = super::member("python", &json!({"claim": {"id": "run-1", "holder": "alice", "ttl": "30m"}}));
    store(&env, &client, &claimed).await;
    // In the future: a date column would show it as invalid.
    let status = json!({"status": {"phase": "Claimed", "expiresAt": "2100-01-01T00:00:00Z", "reason": "Claimed",
        "url": "https://python.example"}});
    let sandboxes = api(&client, &env, &claimed);
    sandboxes.patch_status("python-0", &PatchParams::default(), &Patch::Merge(status)).await.expect("a status");
    let shown = kubectl(&env, &["get", "sbx"]).await;
    assert_eq!(columns(&shown, 0), "NAME POOL PHASE CLAIM HOLDER EXPIRES REASON AGE");
    assert!(
        columns(&shown, 1).starts_with("python-0 python Claimed run-1 alice 2100-01-01T00:00:00Z Claimed "),
        "{shown}"
    );
    let wide = kubectl(&env, &["get", "sbx", "-o", "wide"]).await;
    assert_eq!(columns(&wide, 0), "NAME POOL PHASE CLAIM HOLDER EXPIRES REASON QUEUE URL INSTANCE AGE");

    let all = kubectl(&env, &["get", "sandbar", "-o", "name"]).await;
    let mut all: Vec<_> = all.lines().collect();
    all.sort_unstable();
    assert_eq!(all, ["sandbox.sandbar.dev/python-0", "sandboxpool.sandbar.dev/python"]);
}

/// The words of one line of a table.
fn columns(table: &str, line: usize) -> String {
    table.lines().nth(line).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}
