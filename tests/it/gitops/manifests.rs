//! What deploy/gitops asks of Argo CD: the order of a sync, and that nothing is lost by it.

use std::collections::{BTreeMap, BTreeSet};

use sandbar::dev::binaries::{Binaries, Tool};
use serde::Deserialize;
use serde_json::Value;

use super::tools::documents;
use crate::install::ROOT;

async fn rendered(folder: &str) -> Vec<Value> {
    let kubectl = Binaries::from_env().expect("a cache").path(Tool::Kubectl, &|line| eprintln!("{line}")).await;
    let output = tokio::process::Command::new(kubectl.expect("kubectl"))
        .args(["kustomize", folder])
        .current_dir(ROOT)
        .kill_on_drop(true)
        .output()
        .await
        .expect("it runs");
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    serde_yaml::Deserializer::from_str(&text).map(|part| Value::deserialize(part).expect("YAML")).collect()
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][format!("argocd.argoproj.io/{name}")].as_str()
}

fn identity(object: &Value) -> String {
    format!("{} {}", object["kind"], object["metadata"]["name"])
}

/// Where an object of this kind belongs in the order.
fn step(kind: &str) -> usize {
    let steps: [&[&str]; 6] = [
        &["Namespace", "CustomResourceDefinition"],
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        &["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
        &["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"],
        &["SandboxPool"],
        &["Sandbox"],
    ];
    steps.iter().position(|kinds| kinds.contains(&kind)).unwrap_or_else(|| panic!("{kind} has no place in the order"))
}

#[tokio::test]
async fn every_step_of_a_sync_finds_what_it_needs() {
    let (base, install) = (rendered("deploy/base").await, rendered("deploy/gitops/argocd/install").await);
    let all = |objects: &[Value]| objects.iter().map(identity).collect::<BTreeSet<_>>();
    assert_eq!(all(&install), all(&base));
    let mut waves: BTreeMap<usize, BTreeSet<i32>> = BTreeMap::new();
    for object in install.iter().chain(&rendered("deploy/gitops/team").await) {
        let kind = object["kind"].as_str().expect("a kind");
        let wave = annotation(object, "sync-wave").map_or(0, |wave| wave.parse().expect("a number"));
        waves.entry(step(kind)).or_default().insert(wave);
        let stays = annotation(object, "sync-options") == Some("Prune=false,Delete=false");
        assert_eq!(stays, step(kind) == 0, "{}", identity(object));
    }
    let waves: Vec<i32> = waves.into_values().map(|of_step| of_step.into_iter().next().expect("one")).collect();
    assert!(waves.len() == 6 && waves.is_sorted_by(|earlier, later| earlier < later), "{waves:?}");
}

#[test]
fn argo_cd_ends_no_run_that_somebody_holds() {
    for application in documents("argocd/applications.yaml") {
        let finalizers = application["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        assert!(finalizers.iter().all(|finalizer| finalizer == "resources-finalizer.argocd.argoproj.io/background"));
        let options = application["spec"]["syncPolicy"]["syncOptions"].as_array().expect("options");
        let has = |option: &str| options.iter().any(|given| given == option);
        let team = application["metadata"]["name"] == "team";
        assert!(has("ServerSideApply=true") && (!team || has("PrunePropagationPolicy=background")), "{application:#}");
    }
}
