//! Git applied again and again, by server-side apply as Argo CD and Flux do it, while the operator works.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::Resource;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use sandbar::api::{Phase, SandboxPool};
use sandbar::dev::binaries::{Binaries, Tool};
use serde_json::{Value, json};

use super::tools::documents;
use crate::scene::{self, Scene};
use crate::wait::{Kind, wait_for, wait_gone};

const TOOLS: [&str; 2] = ["argocd-controller", "kustomize-controller"];

/// What a tool does with a document, without force: whoever else had taken a field would be told.
async fn apply<K: Kind>(api: &Api<K>, tool: &str, document: &Value) -> K {
    let name = document["metadata"]["name"].as_str().expect("a name");
    let applied = api.patch(name, &PatchParams::apply(tool), &Patch::Apply(document)).await;
    applied.unwrap_or_else(|error| panic!("{tool} applies {name}: {error}"))
}

/// The documents of deploy/gitops/team, for this test's namespace and an impatient pool.
fn team() -> (Value, Value) {
    let [mut pool] = <[Value; 1]>::try_from(documents("team/pool.yaml")).expect("one pool");
    let [mut request] = <[Value; 1]>::try_from(documents("team/request.yaml")).expect("one request");
    pool["spec"]["provider"]["digitalOcean"]["credentialsRef"] = json!({"name": "digitalocean", "key": "token"});
    request["spec"]["claim"]["ttl"] = json!("8s");
    (pool, request)
}

fn versions<K: Resource>(objects: &[&K]) -> Vec<Option<String>> {
    objects.iter().map(|object| object.meta().resource_version.clone()).collect()
}

/// Who owns fields below these, as the API server keeps it.
fn owners<K: Resource>(object: &K, part: &str) -> BTreeSet<String> {
    let has = |entry: &&ManagedFieldsEntry| {
        entry.subresource.is_none() && entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get(part).is_some())
    };
    let entries = object.meta().managed_fields.iter().flatten().filter(has);
    entries.filter_map(|entry| entry.manager.clone()).collect()
}

/// What `kubectl wait` says.
async fn kubectl_waits(scene: &Scene, what: &[&str]) {
    let kubectl = Binaries::from_env().expect("a cache").path(Tool::Kubectl, &|line| eprintln!("{line}")).await;
    let mut command = tokio::process::Command::new(kubectl.expect("kubectl"));
    command.arg("--kubeconfig").arg(&scene.env.kubeconfig).args(["-n", &scene.env.namespace, "wait", "--timeout=90s"]);
    let output = command.args(what).kill_on_drop(true).output().await.expect("it runs");
    assert!(output.status.success(), "kubectl wait {what:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn git_applied_again_changes_nothing_and_an_ended_request_is_not_made_again() {
    let scene = Scene::start("reapply").await;
    let (pool, request) = team();
    for tool in TOOLS {
        apply(&scene.pools, tool, &pool).await;
        apply(&scene.sandboxes, tool, &request).await;
    }
    kubectl_waits(&scene, &["--for=condition=Available", "sbp/team"]).await;
    kubectl_waits(&scene, &["--for=condition=Ready", "sbx/team-3f1c2a9"]).await;
    let uid = scene.sandboxes.get("team-3f1c2a9").await.expect("the request").metadata.uid;
    let ended = scene.ended("team-3f1c2a9", "Expired").await;
    kubectl_waits(&scene, &["--for=condition=Ended", "sbx/team-3f1c2a9"]).await;
    let level = wait_for(&scene.pools, "team", "level again", |pool| {
        let status = pool.status.clone().unwrap_or_default();
        (status.warm, status.total, status.creating) == (1, 1, 0)
            && scene::condition(&status.conditions, "Progressing") == "False"
    })
    .await;
    let made = scene.totals().await.made;
    scene.listings(2).await;

    let (pools, requests) =
        (scene.pools.get("team").await.expect("it"), scene.sandboxes.get("team-3f1c2a9").await.expect("it"));
    let before = (versions(&[&pools]), versions(&[&requests]));
    for tool in TOOLS.iter().cycle().take(6) {
        apply(&scene.pools, tool, &pool).await;
        apply(&scene.sandboxes, tool, &request).await;
        scene.listings(1).await;
    }
    let (pools, requests) =
        (scene.pools.get("team").await.expect("it"), scene.sandboxes.get("team-3f1c2a9").await.expect("it"));
    assert_eq!((versions(&[&pools]), versions(&[&requests])), before, "{pools:#?}\n{requests:#?}");
    assert_eq!((requests.metadata.uid.clone(), requests.phase()), (uid, Phase::Ended));
    assert_eq!(requests.status, ended.status);
    assert_eq!(scene.totals().await.made, made, "no instance was made for it again");
    assert_eq!(level.metadata.generation, pools.metadata.generation);

    // What Git says belongs to who applies Git, and to nobody else.
    let tools: BTreeSet<String> = TOOLS.map(str::to_owned).into();
    assert_eq!((owners(&pools, "f:spec"), owners(&requests, "f:spec")), (tools.clone(), tools));

    // Out of Git: the request goes at once, the pool when nothing of it costs money.
    scene.sandboxes.delete("team-3f1c2a9", &DeleteParams::background()).await.expect("pruned");
    wait_gone(&scene.sandboxes, "team-3f1c2a9").await;
    scene.pools.delete("team", &DeleteParams::background()).await.expect("pruned");
    wait_gone(&scene.pools, "team").await;
    assert_eq!(scene.totals().await.existing, 0);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_level_that_git_leaves_out_is_the_autoscalers() {
    let scene = Scene::start("reapply-scaled").await;
    let (mut pool, _) = team();
    pool["spec"]["warm"].as_object_mut().expect("warm").remove("target");
    apply(&scene.pools, TOOLS[0], &pool).await;
    let scale = Patch::Merge(json!({"spec": {"replicas": 2}}));
    scene.pools.patch_scale("team", &PatchParams::default(), &scale).await.expect("scaled");
    wait_for(&scene.pools, "team", "two warm", |pool| pool.status.as_ref().is_some_and(|status| status.warm == 2))
        .await;
    let again: SandboxPool = apply(&scene.pools, TOOLS[0], &pool).await;
    assert_eq!(again.spec.warm.target, 2, "what Git does not say stays");

    // A pool that leaves Git while somebody holds a sandbox of it lets the run be: a tool prunes in the background.
    let member = scene.claim_one("run-1", "10m").await;
    scene.pools.delete("team", &DeleteParams::background()).await.expect("pruned");
    let waits = wait_for(&scene.pools, "team", "it waits for the run", |pool| {
        let status = pool.status.clone().unwrap_or_default();
        scene::condition_reason(&status.conditions, "Terminating") == "ClaimsRemain"
    });
    assert_eq!(waits.await.status.map(|status| status.claimed), Some(1));
    scene.watcher.ends_by_word("run-1");
    scene.delete(&scene::name(&member)).await;
    wait_gone(&scene.pools, "team").await;
}
