//! `deploy/base` and its overlays, applied with kubectl.

use std::path::Path;

use kube::api::{Api, ListParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::dev::binaries::Tool;
use sandbar::dev::kubeconfig;

use super::cluster::{Cluster, ROOT, succeeded};
use super::helm::{ALL, CHART, RELEASE};

/// Renders a folder into a file.
async fn rendered(cluster: &Cluster, folder: &str) -> [String; 1] {
    let text = cluster.kubectl(&["kustomize", folder]).await;
    let file = cluster.file(&format!("{}.yaml", folder.replace('/', "-")), &text);
    [file.to_str().expect("UTF-8").to_owned()]
}

/// Every example, in the order of their names.
fn examples() -> Vec<String> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("deploy/examples")).expect("the examples");
    let files = entries.map(|entry| entry.expect("an entry").path().to_str().expect("UTF-8").to_owned());
    let mut files: Vec<_> = files.filter(|file| file.ends_with(".yaml")).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_ships_applies_and_a_second_time_changes_nothing() {
    let cluster = Cluster::start().await;
    let base = cluster.apply_twice(&rendered(&cluster, "deploy/base").await).await;
    assert!(base.len() >= 28, "only {} objects", base.len());
    cluster.apply_twice(&rendered(&cluster, "deploy/overlays/high-availability").await).await;
    for folder in ["deploy/gitops/argocd/install", "deploy/gitops/team"] {
        cluster.apply_twice(&rendered(&cluster, folder).await).await;
    }
    for deployment in ["sandbar", "sandbar-gateway"] {
        cluster.pods_are_admitted(deployment).await;
    }
    // The second gateway of the examples serves it.
    cluster.kubectl(&["create", "namespace", "team-a"]).await;
    // The chart with everything that it can have, which no other test installs.
    let template = [&["template", "--no-hooks", "--name-template"], &RELEASE[..], &[CHART], &ALL[..]].concat();
    let helm = cluster.tool(Tool::Helm).await;
    let text = succeeded("helm", &template, &cluster.run(&helm, &template).await);
    let file = cluster.file("all.yaml", &text);
    let dry = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", file.to_str().expect("UTF-8")];
    cluster.kubectl(&dry).await;
    // One pool stands in two files: it is changed by applying the other one.
    let (again, examples): (Vec<_>, _) = examples().into_iter().partition(|file| file.ends_with("-warm.yaml"));
    assert!(examples.len() >= 17 && again.len() == 1, "only {} examples, {again:?}", examples.len());
    cluster.apply_twice(&examples).await;
    cluster.apply_twice(&again).await;
}

#[tokio::test]
async fn operator_and_gateway_run_with_what_the_base_created_and_helm_goes_on_with_it() {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/base"]).await;
    cluster.established().await;
    let operator = cluster.operator().await;
    let gateway = cluster.gateway().await;
    cluster.a_pool_lives("default").await;
    assert!(gateway.stop().await.success() && operator.stop().await.success());
    cluster.helm("install", &[CHART, "--take-ownership"]).await;
    assert!(cluster.operator().await.stop().await.success());
}

#[tokio::test]
async fn an_operator_of_one_namespace_works_there_and_may_do_nothing_elsewhere() {
    let cluster = Cluster::start().await;
    cluster.kubectl(&["create", "namespace", "team-a"]).await;
    cluster.apply_twice(&rendered(&cluster, "deploy/overlays/one-namespace").await).await;
    let operator = cluster.operator().await;
    let gateway = cluster.gateway().await;
    cluster.a_pool_lives("team-a").await;
    let text = std::fs::read_to_string(cluster.kubeconfig_of("sandbar")).expect("its kubeconfig");
    let identity = kubeconfig::client(&text).await.expect("a client");
    let pools: Api<SandboxPool> = Api::namespaced(identity.clone(), "default");
    let sandboxes: Api<Sandbox> = Api::all(identity);
    for refused in [pools.get("python").await.map(|_| ()), sandboxes.list(&ListParams::default()).await.map(|_| ())] {
        assert!(matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403), "{refused:?}");
    }
    assert!(gateway.stop().await.success() && operator.stop().await.success());
}
