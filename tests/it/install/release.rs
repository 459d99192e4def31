//! The chart in a cluster: installed, upgraded, rolled back, uninstalled and installed again.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, Patch, PatchParams};
use sandbar::api::Sandbox;
use sandbar::dev::binaries::Tool;
use sandbar::dev::install::NAMESPACE;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

use super::cluster::{Cluster, Pool, ROOT, Versions, succeeded};
use super::helm::{CHART, RELEASE};
use crate::wait::eventually;
use crate::world::PROGRAM;

impl Cluster {
    /// What `helm COMMAND RELEASE ...` says, which has to succeed.
    pub async fn helm(&self, command: &str, arguments: &[&str]) -> String {
        self.helm_of(Tool::Helm, command, arguments).await
    }

    async fn helm_of(&self, helm: Tool, command: &str, arguments: &[&str]) -> String {
        let program = self.tool(helm).await;
        let all: Vec<_> = command.split(' ').chain(RELEASE).chain(arguments.iter().copied()).collect();
        succeeded("helm", &all, &self.run(&program, &all).await)
    }

    /// Where the release's objects are now.
    async fn release(&self) -> Versions {
        let manifest = self.helm("get manifest", &[]).await;
        let file = self.file("release.yaml", &manifest);
        self.versions(&[file.to_str().expect("UTF-8").to_owned()]).await
    }

    /// A request that waits for a pool that is not there: a Sandbox that lasts. Gives its uid.
    async fn a_request(&self) -> String {
        let request = json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox", "metadata": {"name": "kept"},
            "spec": {"poolRef": {"name": "later"}, "claim": {"id": "kept", "holder": "me"}}});
        let api: Api<Sandbox> = Api::namespaced(self.client.clone(), "default");
        let stored = api.patch("kept", &PatchParams::apply("test"), &Patch::Apply(&request)).await.expect("a request");
        stored.metadata.uid.expect("a uid")
    }

    async fn short_names(&self) -> Vec<String> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let pools = api.get("sandboxpools.sandbar.dev").await.expect("the definition");
        pools.spec.names.short_names.unwrap_or_default()
    }
}

/// The chart as it may have been before: its pools have no short name, and no `spec.budget`.
fn older_chart(folder: &Path) {
    let copied = std::process::Command::new("cp").arg("-R").arg(Path::new(ROOT).join(CHART)).arg(folder).status();
    assert!(copied.expect("cp runs").success());
    let file = folder.join("files/crds/sandboxpools.yaml");
    let text = std::fs::read_to_string(&file).expect("the definition");
    let mut pools: Value = serde_yaml::from_str(&text).expect("YAML");
    pools["spec"]["names"].as_object_mut().and_then(|names| names.remove("shortNames")).expect("short names");
    let spec = pools.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties");
    spec.and_then(Value::as_object_mut).and_then(|spec| spec.remove("budget")).expect("a budget");
    std::fs::write(&file, serde_yaml::to_string(&pools).expect("YAML")).expect("the older definition");
}

#[tokio::test]
async fn an_upgrade_brings_new_definitions_and_an_uninstall_keeps_what_people_made() {
    let cluster = Cluster::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let older = folder.path().join("older");
    older_chart(&older);
    cluster.helm("install", &[older.to_str().expect("UTF-8"), "--create-namespace"]).await;
    cluster.established().await;
    assert!(cluster.short_names().await.is_empty());

    let notes = cluster.helm("upgrade", &[CHART, "--set", "highAvailability=true"]).await;
    for next in
        ["create secret generic digitalocean", "kubectl apply -n default -f -", "kubectl get -n default sbp,sbx"]
    {
        assert!(notes.contains(next), "{next} is not in:\n{notes}");
    }
    cluster.established().await;
    assert_eq!(cluster.short_names().await, ["sbp"]);
    let before = cluster.release().await;
    cluster.helm("upgrade", &[CHART, "--set", "highAvailability=true"]).await;
    assert_eq!(cluster.release().await, before, "an upgrade without a change changed something");
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let replicas = async || deployments.get("sandbar").await.expect("the operator").spec.and_then(|spec| spec.replicas);
    assert_eq!(replicas().await, Some(2));
    let budget = async || {
        let path = "jsonpath={.spec.budget.hourlyUsd},{.spec.warm.target}";
        cluster.kubectl(&["get", "sandboxpools", "python", "-o", path]).await
    };
    cluster.pool(Pool { warm: 1, max: 3 }).await;
    let patch = r#"{"spec": {"budget": {"hourlyUsd": "1.00"}}}"#;
    cluster.kubectl(&["patch", "sbp", "python", "--type=merge", "-p", patch]).await;
    assert_eq!(budget().await, "1.00,1");
    cluster.helm("rollback", &["1"]).await;
    assert_eq!(replicas().await, Some(1));
    // What the older definitions do not know is not shown, and stays in the store until somebody writes.
    let shows = async |expected: &str| {
        let seen = async || Ok(budget().await).and_then(|seen| if seen == expected { Ok(()) } else { Err(seen) });
        eventually("the definitions of this version are served", seen).await;
    };
    shows(",1").await;
    cluster.helm("rollback", &["2"]).await;
    shows("1.00,1").await;
    cluster.helm("rollback", &["1"]).await;

    let kept = cluster.a_request().await;
    let said = cluster.helm("uninstall", &["--no-hooks"]).await;
    assert!(said.contains("kept due to the resource policy"), "{said}");
    assert!(deployments.list(&ListParams::default()).await.expect("a list").items.is_empty());
    let requests: Api<Sandbox> = Api::namespaced(cluster.client.clone(), "default");
    assert_eq!(requests.get("kept").await.expect("the request").metadata.uid, Some(kept));
    // What was kept is taken up again, by the next Helm too.
    let helm4 = async |command: &str, arguments: &[&str]| cluster.helm_of(Tool::Helm4, command, arguments).await;
    helm4("install", &[CHART]).await;
    assert_eq!((cluster.short_names().await, replicas().await), (vec!["sbp".to_owned()], Some(1)));
    helm4("upgrade", &[CHART, "--set", "highAvailability=true"]).await;
    assert_eq!(replicas().await, Some(2));
    helm4("rollback", &[]).await;
    assert_eq!(replicas().await, Some(1));
    helm4("uninstall", &["--no-hooks"]).await;
    assert!(deployments.list(&ListParams::default()).await.expect("a list").items.is_empty());
    assert!(requests.get("kept").await.is_ok());
}

#[tokio::test]
async fn operator_and_gateway_run_with_what_the_chart_created() {
    let cluster = Cluster::start().await;
    cluster.helm("install", &[CHART, "--create-namespace"]).await;
    cluster.established().await;
    for deployment in ["sandbar", "sandbar-gateway"] {
        cluster.pods_are_admitted(deployment).await;
    }
    let operator = cluster.operator().await;
    let gateway = cluster.gateway().await;
    cluster.a_pool_lives("default").await;

    // What `helm test` runs in a Pod, at the addresses that the processes have here.
    let hooks = cluster.helm("get hooks", &[]).await;
    let documents = serde_yaml::Deserializer::from_str(&hooks).map(|hook| Value::deserialize(hook).expect("YAML"));
    let tests = |hook: &Value| hook.pointer("/metadata/annotations/helm.sh~1hook").is_some_and(|when| when == "test");
    let pod = documents.into_iter().find(tests).expect("a test");
    let arguments = pod["spec"]["containers"][0]["args"].as_array().expect("arguments").clone();
    let (operators, gateways) = (operator.base_url(), gateway.base_url());
    let here = |argument: &Value| match argument.as_str().expect("text") {
        "http://sandbar-metrics.sandbar-system:8080" => operators.clone(),
        "http://sandbar-gateway.sandbar-system:80" => gateways.clone(),
        other => other.to_owned(),
    };
    let arguments: Vec<String> = arguments.iter().map(here).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(arguments[2..], [operators.as_str(), gateways.as_str()]);
    let said = succeeded("sandbar", &arguments, &cluster.run(Path::new(PROGRAM), &arguments).await);
    assert_eq!(said.lines().filter(|line| line.ends_with("is ready")).count(), 2, "{said}");
    assert!(gateway.stop().await.success() && operator.stop().await.success());
}
