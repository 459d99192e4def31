//! Orphans, from the cloud's books: what is ours and nobody's goes, what only looks so stays.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use sandbar::api::SandboxPool;
use sandbar::api::orphans::{DATA_KEY, Orphan, OrphanState, approval, config_map_name};
use sandbar::dev::install;
use sandbar::providers::budget::Budget;
use sandbar::providers::digitalocean::DigitalOcean;
use sandbar::providers::{CreateRequest, Inputs, Marks, Provider, Timing, instance_name};
use sandbar::telemetry::secret::Secret;
use serde_json::json;

use crate::wait::{eventually, holds, wait_for, wait_gone};
use crate::world::{OperatorSpec, PROGRAM, TestEnv, World};

fn pool(target: i32) -> SandboxPool {
    let provider = json!({"digitalOcean": {
        "credentialsRef": {"name": "digitalocean", "key": "token"}, "region": "nyc"}});
    let object = json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": "python"},
        "spec": {
            "provider": provider,
            "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
            "warm": {"target": target}, "limits": {"maxSandboxes": 3},
        },
    });
    serde_json::from_value(object).unwrap()
}

/// An operator that sweeps twice a second and takes what is a second old for old.
fn sweeping() -> OperatorSpec {
    OperatorSpec::default().args(&["--orphan-sweep", "500ms", "--orphan-grace", "1s"])
}

/// Makes apps in the test's account behind the operator's back.
struct Stranger<'env> {
    env: &'env TestEnv,
    client: DigitalOcean,
}

impl<'env> Stranger<'env> {
    fn of(env: &'env TestEnv) -> Self {
        let (url, token) = (env.world.cloud_url(), Secret::new(env.token.clone()));
        let client = DigitalOcean::new(url, token, Arc::new(Budget::new()), &Timing::default()).unwrap();
        Self { env, client }
    }

    /// An app with a full set of marks; `change` makes it odd. Gives its id.
    async fn marked(&self, uid: &str, change: impl FnOnce(&mut CreateRequest)) -> String {
        let installation = self.env.installation();
        let marks = Marks {
            namespace: self.env.namespace.clone(),
            name: format!("python-{uid}"),
            uid: uid.to_owned(),
            attempt: 1,
            pool_uid: "pool-uid".to_owned(),
            spec_hash: "hash".to_owned(),
            installation: installation.clone(),
        };
        let template = pool(0).spec.template("pool-uid", 1);
        let name = instance_name(&installation, uid, 1);
        let agent_token = Secret::new("hush".to_owned());
        let mut request = CreateRequest { name, marks, template, agent_token, inputs: Inputs::default() };
        change(&mut request);
        self.client.create(&request).await.unwrap().id
    }

    /// An app without marks.
    async fn plain(&self, name: &str) -> String {
        let body = json!({"spec": {"name": name, "region": "nyc", "services": [{
            "name": "web", "instance_size_slug": "apps-s-1vcpu-1gb",
            "image": {"registry_type": "GHCR", "registry": "example", "repository": "shop", "tag": "1"}}]}});
        let url = format!("{}/v2/apps", self.env.world.cloud_url());
        let call = reqwest::Client::new().post(url).bearer_auth(&self.env.token).json(&body);
        let answer: serde_json::Value = call.send().await.unwrap().json().await.unwrap();
        answer["app"]["id"].as_str().unwrap_or_else(|| panic!("no app: {answer}")).to_owned()
    }
}

/// Ids of the apps of the test's account that exist.
async fn existing(env: &TestEnv) -> BTreeSet<String> {
    let ledger = env.sim.ledger_of(&env.account).await.unwrap();
    ledger.apps.into_iter().filter(|app| app.gone.is_none()).map(|app| app.id).collect()
}

fn lists(env: &TestEnv) -> (Api<ConfigMap>, String) {
    (Api::namespaced(env.client.clone(), install::NAMESPACE), config_map_name(&env.namespace))
}

fn listed(map: &ConfigMap) -> Vec<Orphan> {
    let text = map.data.as_ref().and_then(|data| data.get(DATA_KEY)).expect("a list");
    serde_json::from_str(text).expect("of orphans")
}

#[tokio::test]
async fn an_orphan_goes_and_everything_that_only_looks_like_one_stays_s9() {
    let env = World::get().await.test("orphans-gone").await;
    env.api::<SandboxPool>().create(&PostParams::default(), &pool(1)).await.unwrap();
    let operator = env.operator(sweeping()).await;
    let warm = |pool: &SandboxPool| pool.status.as_ref().is_some_and(|status| status.warm == 1);
    wait_for(&env.api(), "python", "one warm", warm).await;
    let mut staying = existing(&env).await;

    let stranger = Stranger::of(&env);
    let installation = env.installation();
    staying.extend([
        stranger.plain(&instance_name(&installation, "uid-plain", 1)).await,
        stranger.plain("sb-shop").await,
        stranger.marked("uid-abroad", |app| app.marks.installation = "abroad".to_owned()).await,
        stranger.marked("uid-named", |app| app.name = instance_name(&installation, "uid-named", 2)).await,
        stranger.marked("uid-moved", |app| app.marks.namespace = "elsewhere".to_owned()).await,
    ]);
    let orphans = [stranger.marked("uid-1", |_| {}).await, stranger.marked("uid-2", |_| {}).await];
    eventually("without the orphans", async || {
        let there = existing(&env).await;
        if orphans.iter().any(|orphan| there.contains(orphan)) { Err(format!("{there:?}")) } else { Ok(()) }
    })
    .await;

    let (maps, name) = lists(&env);
    let map = wait_for(&maps, &name, "an empty list", |map| listed(map).is_empty()).await;
    eventually("counted", async || {
        let metrics = operator.metrics().await;
        let both =
            ["seen", "deleted"].map(|what| format!("sandbar_orphans_{what}_total{{provider=\"digitalocean\"}} 2"));
        if both.iter().all(|line| metrics.contains(line)) { Ok(()) } else { Err(metrics) }
    })
    .await;
    holds(Duration::from_secs(3), "all that is not ours there, and nothing written", async || {
        let now = maps.get(&name).await.unwrap().metadata.resource_version;
        match (existing(&env).await, now == map.metadata.resource_version) {
            (there, true) if there == staying => Ok(()),
            other => Err(format!("{other:?}, expected {staying:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn many_orphans_wait_for_an_approval_even_when_their_pool_is_gone() {
    let env = World::get().await.test("orphans-braked").await;
    let pools = env.api::<SandboxPool>();
    pools.create(&PostParams::default(), &pool(0)).await.unwrap();
    let _operator = env.operator(sweeping()).await;
    let stranger = Stranger::of(&env);
    for number in 0..12 {
        stranger.marked(&format!("uid-{number}"), |_| {}).await;
    }
    let (maps, name) = lists(&env);
    let all_braked = |map: &ConfigMap| {
        let orphans = listed(map);
        orphans.len() == 12 && orphans.iter().all(|orphan| orphan.state == OrphanState::Braked)
    };
    wait_for(&maps, &name, "all braked", all_braked).await;
    pools.delete("python", &DeleteParams::default()).await.unwrap();
    wait_gone(&pools, "python").await;
    holds(Duration::from_secs(2), "braked", async || match existing(&env).await.len() {
        12 => Ok(()),
        other => Err(other),
    })
    .await;

    let digest = approval(&listed(&maps.get(&name).await.unwrap()));
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(["orphans", "--lease-name", &env.namespace, "--approve", &digest]);
    let approved = command.env("KUBECONFIG", &env.kubeconfig).kill_on_drop(true).output().await.unwrap();
    assert!(approved.status.success(), "{approved:?}");
    eventually("all gone", async || match existing(&env).await {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    })
    .await;
    wait_for(&maps, &name, "an empty list", |map| listed(map).is_empty()).await;
}
