//! What `sandbar doctor` finds in a cluster in which one thing after another is wrong.

use std::path::{Path, PathBuf};
use std::process::Output;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use sandbar::api::SandboxPool;
use sandbar::dev::install::{self, NAMESPACE};
use sandbar::dev::write_private;
use serde_json::{Value, json};

use super::cluster::{Cluster, succeeded, text};
use crate::wait::{eventually, wait_for};
use crate::world::PROGRAM;

/// The namespace of pools with bad credentials.
const SICK: &str = "sick";

/// What a doctor has said.
struct Said {
    healthy: bool,
    text: String,
}

impl Said {
    fn of(output: &Output) -> Self {
        assert_eq!(text(&output.stderr), "");
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        Self { healthy: code == Some(0), text: text(&output.stdout) }
    }

    /// Whether a check stands like this, for a reason with `says` in it and with `advice` for a way out.
    fn tells(&self, state: &str, check: &str, says: &str, advice: &str) -> bool {
        let mut lines = self.text.lines();
        let begins = |line: &str| line.strip_prefix(state).is_some_and(|rest| rest.trim_start().starts_with(check));
        let found = lines.find(|line| begins(line)).is_some_and(|line| line.contains(says));
        let next = lines.next().unwrap_or_default();
        found && (advice.is_empty() || next.trim_start().strip_prefix("try: ").is_some_and(|way| way.contains(advice)))
    }

    #[track_caller]
    fn expect(&self, state: &str, check: &str, says: &str, advice: &str) {
        assert!(self.tells(state, check, says, advice), "{state}, {check}, {says}, {advice}: not in\n{}", self.text);
    }
}

impl Cluster {
    async fn doctor(&self, arguments: &[&str]) -> Said {
        let all = [&["doctor", "--digitalocean-url", self.cloud_url()], arguments].concat();
        Said::of(&self.run(Path::new(PROGRAM), &all).await)
    }

    /// Asks until it says so: the API server learns of changed roles and definitions a moment later.
    async fn doctor_tells(&self, arguments: &[&str], state: &str, check: &str, says: &str, advice: &str) -> Said {
        eventually(&format!("{check}: {state}, {says}"), async || {
            let said = self.doctor(arguments).await;
            if said.tells(state, check, says, advice) { Ok(said) } else { Err(said.text) }
        })
        .await
    }

    async fn install(&self) {
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-k", "deploy/base"]).await;
        self.established().await;
    }

    /// Makes a pool of nothing whose credentials are these.
    async fn pool_with(&self, name: &str, credentials: Value) {
        let pool = json!({
            "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": name},
            "spec": {
                "provider": {"digitalOcean": {"credentialsRef": credentials, "region": "nyc"}},
                "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"},
                "warm": {"target": 0},
            },
        });
        let api: Api<SandboxPool> = Api::namespaced(self.client.clone(), SICK);
        api.patch(name, &PatchParams::apply("test"), &Patch::Apply(pool)).await.expect("a pool");
    }

    /// The kubeconfig file of somebody who has this role in namespace default.
    async fn person(&self, name: &str, role: &str) -> PathBuf {
        self.kubectl(&["create", "serviceaccount", name]).await;
        let (role, account) = (format!("--clusterrole={role}"), format!("--serviceaccount=default:{name}"));
        self.kubectl(&["create", "rolebinding", name, &role, &account]).await;
        let token = install::service_account_token(&self.client, "default", name).await.expect("a token");
        let file = self.file(name, "");
        write_private(&file, &self.kubeconfig(token)).expect("a kubeconfig");
        file
    }
}

const WHOLE: [(&str, &str); 9] = [
    ("API server", "Kubernetes v1."),
    ("clock of this machine", ""),
    ("definition sandboxpools.sandbar.dev", "established"),
    ("definition sandboxes.sandbar.dev", "established"),
    ("rights of the operator", "all, as sandbar-system/sandbar"),
    ("rights of the gateway", "for namespace default"),
    ("operator", "renewed Lease sandbar-system/"),
    ("credentials of pool default/python", "accepted; account "),
    ("rate budget of account ", "calls are left in this hour"),
];

#[tokio::test]
async fn every_broken_part_is_named_with_what_to_do_about_it() {
    let cluster = Cluster::start().await;

    // Nothing is installed.
    let said = cluster.doctor(&[]).await;
    assert!(!said.healthy, "{}", said.text);
    said.expect("failed", "definition sandboxes.sandbar.dev", "not installed", "sandbar crds | kubectl apply");
    said.expect("failed", "operator", "none has ever worked", "install it");
    said.expect("failed", "rights of the operator", "may not get sandboxes.sandbar.dev", "deploy/rbac/operator.yaml");
    said.expect("not checked", "pools and credentials", "cannot be listed", "install the definitions");

    // All is well.
    cluster.install().await;
    let operator = cluster.operator().await;
    install::credentials(&cluster.client, cluster.token()).await.expect("credentials");
    cluster.kubectl(&["apply", "-f", "deploy/examples/pool.yaml"]).await;
    let pools: Api<SandboxPool> = Api::namespaced(cluster.client.clone(), "default");
    let warm = |pool: &SandboxPool| pool.status.as_ref().is_some_and(|status| status.warm == 2);
    wait_for(&pools, "python", "two warm", warm).await;
    let said = cluster.doctor(&[]).await;
    for (check, says) in WHOLE {
        said.expect("ok", check, says, "");
    }
    assert!(said.healthy, "{}", said.text);
    let json =
        cluster.run(Path::new(PROGRAM), &["doctor", "-o", "json", "--digitalocean-url", cluster.cloud_url()]).await;
    let json: Vec<Value> = serde_json::from_str(&succeeded("doctor", &[], &json)).expect("JSON");
    assert!(json.len() >= WHOLE.len() && json.iter().all(|line| line["state"] == "ok"), "{json:#?}");

    credentials(&cluster).await;
    definitions(&cluster).await;
    rights(&cluster).await;
    people(&cluster).await;
    #[cfg(target_os = "linux")]
    clock(&cluster).await;

    // The operator goes in order, and then without a word.
    operator.stop().await;
    let said = cluster.doctor(&[]).await;
    said.expect("failed", "operator", "it was stopped in order", "kubectl -n sandbar-system get deployments,pods");
    let leases: Api<Lease> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let name = leases.list(&Default::default()).await.expect("Leases").items.remove(0).metadata.name.expect("a name");
    let dead = json!({"spec": {"holderIdentity": "pod-1", "renewTime": "2026-01-01T00:00:00.000000Z"}});
    leases.patch(&name, &PatchParams::default(), &Patch::Merge(dead)).await.expect("the Lease");
    let said = cluster.doctor(&[]).await;
    said.expect("failed", "operator", "pod-1 does not renew Lease", "logs deployment/sandbar");
    assert!(!said.healthy);

    // Nobody answers.
    let gone = cluster.file("gone", "");
    let nobody = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}]});
    write_private(&gone, &nobody.to_string()).expect("a kubeconfig");
    let said = cluster.doctor(&["--kubeconfig", gone.to_str().expect("a path")]).await;
    said.expect("failed", "API server", "does not answer", "kubectl version");
    assert_eq!((said.healthy, said.text.lines().count()), (false, 2), "{}", said.text);
}

/// A Secret that is missing, one without the key, one with a token that the provider refuses, a provider that is gone.
async fn credentials(cluster: &Cluster) {
    cluster.kubectl(&["create", "namespace", SICK]).await;
    cluster.kubectl(&["create", "secret", "generic", "wrong", "-n", SICK, "--from-literal=token=dop_v1_wrong"]).await;
    cluster.pool_with("absent", json!({"name": "nowhere", "key": "token"})).await;
    cluster.pool_with("keyless", json!({"name": "wrong", "key": "other"})).await;
    cluster.pool_with("wrong", json!({"name": "wrong", "key": "token"})).await;
    let said = cluster.doctor(&["-A"]).await;
    let check = |pool: &str| format!("credentials of pool {SICK}/{pool}");
    said.expect("failed", &check("absent"), "there is no Secret \"nowhere\"", "create it with the API token");
    said.expect("failed", &check("keyless"), "has no key \"other\"", "name one of them or add the API token");
    said.expect("failed", &check("wrong"), "refuses the token", "put a token with the scopes app:read");
    said.expect("ok", "credentials of pool default/python", "accepted", "");
    assert!(!said.healthy && !said.text.contains("dop_v1_wrong"), "{}", said.text);
    let url = cluster.cloud_url();
    let names = cluster.run(Path::new(PROGRAM), &["doctor", "-n", SICK, "-o", "name", "--digitalocean-url", url]).await;
    assert_eq!(text(&names.stdout).lines().collect::<Vec<_>>(), ["absent", "keyless", "wrong"].map(check));
    let unreached = cluster.run(Path::new(PROGRAM), &["doctor", "--digitalocean-url", "http://127.0.0.1:1"]).await;
    let (said, pool) = (Said::of(&unreached), "credentials of pool default/python");
    said.expect("warning", pool, "cannot be asked now", "whether this machine reaches the provider");
    // The operator's own word on the same.
    let pool = format!("pool {SICK}/absent");
    cluster.doctor_tells(&["-n", SICK], "warning", &pool, "CredentialsMissing", "describe sbp/absent").await;
}

/// An older definition, and a newer one.
async fn definitions(cluster: &Cluster) {
    let title = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/apps/items/properties/title";
    let patch = json!([{"op": "remove", "path": title}]).to_string();
    cluster.kubectl(&["patch", "crd", "sandboxpools.sandbar.dev", "--type=json", "-p", &patch]).await;
    let said = cluster.doctor(&[]).await;
    let check = "definition sandboxpools.sandbar.dev";
    said.expect("failed", check, "v1alpha1.spec.apps[].title missing", "upgrade it");
    cluster.install().await;
    let castle = title.replace("title", "castle");
    let patch = json!([{"op": "add", "path": castle, "value": {"type": "string"}}]).to_string();
    cluster.kubectl(&["patch", "crd", "sandboxpools.sandbar.dev", "--type=json", "-p", &patch]).await;
    cluster.doctor(&[]).await.expect(
        "warning",
        check,
        "does not know v1alpha1.spec.apps[].castle",
        "of the operator's version",
    );
    let patch = json!([{"op": "remove", "path": castle}]).to_string();
    cluster.kubectl(&["patch", "crd", "sandboxpools.sandbar.dev", "--type=json", "-p", &patch]).await;
    cluster.doctor(&[]).await.expect("ok", check, "established", "");
}

/// A right of the operator, and one of the gateway, are taken away.
async fn rights(cluster: &Cluster) {
    cluster.kubectl(&["delete", "rolebinding", "sandbar-operator", "-n", NAMESPACE]).await;
    cluster.kubectl(&["delete", "clusterrolebinding", "sandbar-gateway-reviews"]).await;
    let lease = "may not get leases.coordination.k8s.io in sandbar-system";
    let said = cluster.doctor_tells(&[], "failed", "rights of the operator", lease, "deploy/rbac/operator.yaml").await;
    said.expect("failed", "rights of the gateway", "may not create tokenreviews.authentication.k8s.io", "gateway.yaml");
    cluster.install().await;
    cluster.doctor_tells(&[], "ok", "rights of the operator", "all", "").await;
}

/// Who may only use pools sees little, and is told who sees more; who may only look is told what to ask for.
async fn people(cluster: &Cluster) {
    let user = cluster.person("user", "sandbar-user").await;
    let arguments = ["-n", "default", "--kubeconfig", user.to_str().expect("a path")];
    let denied = "you may not read Secret sandbar-system/digitalocean; the operator says";
    let check = "credentials of pool default/python";
    let said = cluster.doctor_tells(&arguments, "not checked", check, denied, "who may get secrets").await;
    said.expect("not checked", "definition sandboxes.sandbar.dev", "served", "customresourcedefinitions");
    said.expect("not checked", "operator", "you may not read its Lease", "leases.coordination.k8s.io");
    said.expect("not checked", "rights of the operator", "you may not ask", "cluster administrator");
    said.expect("ok", "your rights to claim", "all, in namespace default", "");
    said.expect("warning", "your rights to enter", "you may neither get secrets", "--clusterrole=sandbar-enter");
    assert!(said.healthy, "{}", said.text);

    let viewer = cluster.person("viewer", "sandbar-view").await;
    let arguments = ["-n", "default", "--kubeconfig", viewer.to_str().expect("a path")];
    let (check, may_not) = ("your rights to claim", "you may not create sandboxes.sandbar.dev in default");
    cluster.doctor_tells(&arguments, "warning", check, may_not, "--clusterrole=sandbar-user").await;
    let elsewhere = ["-n", "kube-system", "--kubeconfig", viewer.to_str().expect("a path")];
    cluster.doctor(&elsewhere).await.expect("not checked", "pools and credentials", "cannot be listed", "sandbar-view");
}

/// This machine's clock is ten minutes ahead.
#[cfg(target_os = "linux")]
async fn clock(cluster: &Cluster) {
    let clock = crate::faults::clocks::WallClock::new();
    clock.set(600);
    let environment = clock.environment().map(|(name, value)| format!("{name}={value}"));
    let program = [PROGRAM, "doctor", "--digitalocean-url", cluster.cloud_url()];
    let arguments: Vec<&str> = environment.iter().map(String::as_str).chain(program).collect();
    let said = Said::of(&cluster.run(Path::new("/usr/bin/env"), &arguments).await);
    said.expect("warning", "clock of this machine", "ahead of the API server's", "set it");
    said.expect("ok", "operator", "renewed Lease", "");
    assert!(said.healthy, "{}", said.text);
}
