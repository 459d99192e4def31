//! Sandbar taken away: with everything it made, or leaving everything as it is; never with something that costs money
//! and that nobody was told of.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use sandbar::claims::{ClaimWish, Claims};
use sandbar::dev::install::{self, NAMESPACE};
use sandbar::dev::write_private;
use serde_json::json;

use super::cluster::{Cluster, Pool, text};
use super::guide::Guide;
use super::helm::CHART;
use super::load::POOL;
use crate::scene::{held, name, sound};
use crate::wait::wait_for;
use crate::world::PROGRAM;

/// The Pod that the chart asks with.
const HOOK: &str = "sandbar-uninstall";

impl Cluster {
    /// Claims a warm sandbox.
    async fn claimed(&self, id: &str) -> sandbar::api::Sandbox {
        let ttl = Some("1h".parse().expect("a span"));
        let wish = ClaimWish { holder: "ada".to_owned(), ttl, id: Some(id.to_owned()) };
        let claims = Claims::new(self.client.clone(), "default");
        claims.claim_warm(POOL, &wish).await.expect("a claim").sandbox
    }

    /// Runs the hook's Pod as a kubelet does: its command, as its service account. Gives what it said.
    async fn run_hook(&self) -> String {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let pending = |pod: &Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Pending"));
        let pod = wait_for(&pods, HOOK, "to be run", pending).await.spec.expect("a spec");
        let account = pod.service_account_name.expect("a service account");
        let token = install::service_account_token(&self.client, NAMESPACE, &account).await.expect("a token");
        let kubeconfig = self.kubeconfig_of(HOOK);
        write_private(&kubeconfig, &self.kubeconfig(token)).expect("a kubeconfig");
        let arguments = pod.containers.into_iter().next().and_then(|container| container.args).expect("arguments");
        let mut command = tokio::process::Command::new(PROGRAM);
        let output = command.args(arguments).env("KUBECONFIG", kubeconfig).kill_on_drop(true).output().await;
        let output = output.expect("the program runs");
        let phase = if output.status.success() { "Succeeded" } else { "Failed" };
        let patch = Patch::Merge(json!({"status": {"phase": phase}}));
        pods.patch_status(HOOK, &PatchParams::default(), &patch).await.expect("a status");
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    }
}

#[tokio::test]
async fn helm_refuses_or_leaves_or_drains_as_asked_s1_s4_s6() {
    let mut cluster = Cluster::start().await;
    cluster.start_controllers().await;
    let guide = Guide::open("uninstall");
    cluster.helm("install", &[CHART, "--create-namespace"]).await;
    cluster.established().await;
    let operator = cluster.operator().await;
    cluster.credentials().await;
    let watcher = cluster.watcher().await;
    cluster.pool(Pool { warm: 2, max: 5 }).await;
    cluster.warm(2).await;
    let claimed = cluster.claimed("run-1").await;
    cluster.warm(2).await;
    crate::wait::eventually("one made for the one taken", async || match cluster.existing().await {
        3 => Ok(()),
        other => Err(other),
    })
    .await;

    let ((succeeded, helm), pod) = tokio::join!(guide.tried(&cluster, "helm-uninstall", &[]), cluster.run_hook());
    assert!(!succeeded && helm.contains("Error:"), "{helm}");
    assert!(pod.contains("go on costing money:\ndefault/python: 3 sandboxes, 1 of them claimed, $0.0"), "{pod}");
    assert!(pod.contains("try: sandbar drain --all-namespaces"), "{pod}");
    guide.typed(&cluster, "helm-stay").await;

    guide.typed(&cluster, "helm-leave").await;
    assert!(operator.stop().await.success());
    let left = cluster.ledger().await;
    assert_eq!((left.apps.len(), left.existing().count()), (3, 3), "{left:#?}");
    cluster.helm("install", &[CHART, "--set", "uninstall.sandboxes=Drain,uninstall.endClaims=true"]).await;
    let operator = cluster.operator().await;
    cluster.kubectl(&["scale", "sbp", POOL, "--replicas=3"]).await;
    cluster.warm(3).await;
    let again = cluster.ledger().await;
    assert_eq!((again.apps.len(), again.existing().count()), (4, 4), "{again:#?}");
    let still = cluster.sandboxes().get(&name(&claimed)).await.expect("the claimed one");
    assert_eq!((&still.metadata.uid, held(&still)), (&claimed.metadata.uid, Some("run-1")));
    watcher.verdict().await;
    drop(watcher);

    // The definitions and the namespace, with the credentials in it, go too: no finalizer holds them.
    let ((succeeded, helm), pod) = tokio::join!(guide.tried(&cluster, "helm-uninstall", &[]), cluster.run_hook());
    assert!(succeeded, "{helm}\n{pod}");
    assert!(pod.ends_with("nothing is left: no pool, no sandbox\n"), "{pod}");
    assert_eq!(cluster.existing().await, 0);
    sound(&cluster.ledger().await, "default", 5);
    operator.kill().await;
}

#[tokio::test]
async fn what_kustomize_installed_is_left_and_taken_up_or_drained_and_deleted_s1_s4() {
    let mut cluster = Cluster::start().await;
    cluster.start_controllers().await;
    let guide = Guide::open("uninstall");
    let install = ["apply", "--server-side", "-k", "deploy/base"];
    cluster.kubectl(&install).await;
    cluster.established().await;
    let operator = cluster.operator().await;
    cluster.credentials().await;
    cluster.pool(Pool { warm: 2, max: 5 }).await;
    cluster.warm(2).await;
    cluster.claimed("run-1").await;

    guide.typed(&cluster, "kustomize-leave").await;
    assert!(operator.stop().await.success());
    let made = cluster.ledger().await.apps.len();
    // Nobody ends anything, and who waits for it is told why.
    let drain = ["drain", "-A", "--timeout", "1s"];
    let without = cluster.run(Path::new(PROGRAM), &drain).await;
    let said = text(&without.stderr);
    assert!(!without.status.success() && said.contains("see that the operator runs"), "{said}");
    assert_eq!(cluster.existing().await, made);

    cluster.kubectl(&install).await;
    let operator = cluster.operator().await;
    let pools = cluster.pools();
    let waits = |pool: &sandbar::api::SandboxPool| {
        let conditions = pool.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions.iter().any(|one| one.type_ == "Terminating" && one.reason == "ClaimsRemain")
    };
    wait_for(&pools, POOL, "waits for the claim", waits).await;
    let patient = cluster.run(Path::new(PROGRAM), &drain).await;
    let said = text(&patient.stderr);
    assert!(!patient.status.success() && said.contains("1 claimed until") && said.contains("--end-claims"), "{said}");
    guide.typed(&cluster, "drain").await;
    assert_eq!(cluster.existing().await, 0);
    sound(&cluster.ledger().await, "default", 5);
    guide.typed(&cluster, "kustomize-uninstall").await;
    operator.kill().await;
}
