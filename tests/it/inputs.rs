//! What a pool takes out of Secrets, and what its spec names at the provider:
//! told before anything is made in vain, and taken up when it is there.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use sandbar::api::Sandbox;
use sandbar::cloudsim::admin::{AccountSettings, Fault, Offer, Op, PrivateRegistry, Rule, Seconds, Shape, SimAdmin};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::running_apps::RunningApps;
use crate::scene::{POOL, Scene, condition_reason, name, pool};
use crate::wait::{eventually, wait_for, wait_for_within};
use crate::world::{OperatorSpec, quick_account};

/// A value that must be nowhere but in its Secret and in the process.
const VALUE: &str = "hunter22-of-the-test";

/// An environment with one value out of Secret `keys`.
fn env_from_secret() -> Value {
    json!([{"name": "GREETING", "value": "hello"},
        {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}])
}

async fn put_secret(secrets: &Api<Secret>, name: &str, data: Value) {
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    let params = PatchParams::apply("test").force();
    secrets.patch(name, &params, &Patch::Apply(&object)).await.expect("the API server takes the Secret");
}

/// The message of a condition of the pool.
fn said(pool: &sandbar::api::SandboxPool, kind: &str) -> String {
    let conditions = pool.status.iter().flat_map(|status| &status.conditions);
    conditions.filter(|condition| condition.type_ == kind).map(|condition| condition.message.clone()).collect()
}

fn reason(sandbox: &Sandbox, kind: &str) -> String {
    let status = sandbox.status.clone().unwrap_or_default();
    condition_reason(&status.conditions, kind).to_owned()
}

#[tokio::test]
async fn a_missing_secret_makes_nothing_and_is_taken_up_when_it_comes() {
    let scene = Scene::start("env-missing").await;
    let secrets: Api<Secret> = scene.env.api();
    put_secret(&secrets, "keys", json!({"other": "x"})).await;
    scene.pool(json!({"env": env_from_secret()})).await;
    let told = scene.pool_says("ResolvedRefs", "False", "SecretMissing").await;
    let message = said(&told, "ResolvedRefs");
    let expected = format!(
        "env[API_KEY].valueFrom.secretKeyRef.key: Secret {}/keys has no key \"api\", it has other; name one of them or add \"api\"",
        scene.env.namespace
    );
    assert_eq!(message, expected);
    assert_eq!(said(&told, "Degraded"), expected);
    assert!(scene.members().await.is_empty());
    assert_eq!(scene.count(Op::Create).await, 0);

    put_secret(&secrets, "keys", json!({"api": VALUE})).await;
    scene.level(2).await;
    scene.pool_says("ResolvedRefs", "True", "AsExpected").await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    assert_eq!(scene.totals().await.made, 2);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_member_whose_secret_went_waits_for_it_and_takes_its_new_value() {
    let scene = Scene::on("env-went", |mut account| {
        account.timings.fail_seconds = Seconds::Fixed(2.0);
        account
    })
    .await;
    let secrets: Api<Secret> = scene.env.api();
    put_secret(&secrets, "keys", json!({"api": "old"})).await;
    let fails = Fault::FailedDeployment { code: "Test".into(), message: "not today".into() };
    scene.env.sim.set_rules(&scene.env.account, [Rule::new(fails).times(1)]).await.expect("rules");
    scene.pool(json!({"warm": {"target": 1}, "env": env_from_secret()})).await;
    scene.books_show("the first attempt", |totals| totals.made == 1).await;
    secrets.delete("keys", &Default::default()).await.expect("deleted");
    let member = name(&scene.members().await[0]);
    scene.shows(&member, "waiting for its Secret", |member| reason(member, "ResolvedRefs") == "SecretMissing").await;
    scene.pool_says("ResolvedRefs", "False", "SecretMissing").await;
    assert_eq!(scene.totals().await.made, 1, "no create without all that it carries");

    put_secret(&secrets, "keys", json!({"api": VALUE})).await;
    scene.level(1).await;
    let warm = scene.shows(&member, "resolved", |member| reason(member, "ResolvedRefs") == "AsExpected").await;
    assert_eq!(warm.instance().map(|instance| instance.attempt), Some(2));
    scene.sound(1).await;
}

/// Everything that is written down somewhere, but for Secrets.
async fn written(scene: &Scene) -> String {
    let pools = serde_json::to_string(&scene.pools.list(&Default::default()).await.expect("pools"));
    let sandboxes = serde_json::to_string(&scene.sandboxes.list(&Default::default()).await.expect("sandboxes"));
    let events: Api<k8s_openapi::api::events::v1::Event> = scene.env.api();
    let events = serde_json::to_string(&events.list(&Default::default()).await.expect("events"));
    [pools, sandboxes, events].map(|text| text.expect("JSON")).join("\n")
}

#[tokio::test]
async fn a_value_reaches_the_process_and_is_written_nowhere() {
    let RunningApps { scene, cloud, log, .. } = RunningApps::start("env-value").await;
    let secrets: Api<Secret> = scene.env.api();
    put_secret(&secrets, "keys", json!({"api": VALUE})).await;
    scene.pool(json!({"warm": {"target": 1}, "env": env_from_secret()})).await;
    let member = scene.warm_member().await;
    let uid = member.metadata.uid.clone().expect("a UID");
    let agent = secrets.get(&sandbar::api::agent_secret_name(&uid)).await.expect("the agent's token");
    let token = String::from_utf8(agent.data.expect("data")["token"].0.clone()).expect("text");
    let url = member.status.clone().and_then(|status| status.url).expect("an address");
    let request = reqwest::Client::new().post(format!("{url}/api/exec")).bearer_auth(token);
    let answer = request.json(&json!({"command": "echo $GREETING $API_KEY"})).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(answer["stdout"], format!("hello {VALUE}\n"), "{answer}");

    assert!(!written(&scene).await.contains(VALUE));
    let listing = reqwest::Client::new().get(format!("{}/v2/apps", cloud.url())).bearer_auth(&scene.env.token);
    let listing = listing.send().await.expect("an answer").text().await.expect("text");
    assert!(listing.contains("API_KEY") && !listing.contains(VALUE), "it was sent as a SECRET: {listing}");
    let logged = std::fs::read_to_string(log.path()).expect("the log");
    assert!(logged.contains("provider call") && !logged.contains(VALUE));
    drop(scene);
    cloud.stop().await;
}

/// A quick account in which the images of `acme` are private.
fn private_account(token: String) -> AccountSettings {
    let registry =
        PrivateRegistry { registry_type: "GHCR".into(), registry: "acme".into(), credentials: "bot:ghp_right".into() };
    AccountSettings { private_registries: vec![registry], ..quick_account(token) }
}

#[tokio::test]
async fn wrong_registry_credentials_fail_the_deployment_and_right_ones_heal_it() {
    // Only after a minute is an app without a deployment taken for a failed one, so the rhythm is slower too.
    let operator = OperatorSpec::default().args(&["--listing-period", "2s"]);
    let scene = Scene::with("registry", private_account, operator).await;
    let secrets: Api<Secret> = scene.env.api();
    put_secret(&secrets, "ghcr", json!({"token": "bot:ghp_wrong"})).await;
    let image = json!({"registry": "acme", "pullSecretRef": {"name": "ghcr", "key": "token"}});
    let create = json!({"deadline": "5m", "maxAttempts": 1, "backoff": {"initial": "1s", "max": "1s"}});
    scene.pool(json!({"warm": {"target": 1}, "image": image, "create": create})).await;
    let told = wait_for_within(Duration::from_secs(180), &scene.pools, POOL, "Degraded (BackingOff)", |pool| {
        let conditions = pool.status.iter().flat_map(|status| &status.conditions);
        conditions.clone().any(|condition| condition.type_ == "Degraded" && condition.reason == "BackingOff")
    })
    .await;
    let message = said(&told, "Degraded");
    assert!(message.contains("registry credentials are not accepted") && !message.contains("ghp_wrong"), "{message}");

    // The same key of a pool, now out of the file that docker writes.
    let file = json!({"auths": {"ghcr.io": {"username": "bot", "password": "ghp_right"}}}).to_string();
    put_secret(&secrets, "docker", json!({".dockerconfigjson": file})).await;
    scene.edit(json!({"image": {"pullSecretRef": {"name": "docker", "key": ".dockerconfigjson"}}})).await;
    scene.level(1).await;
    assert!(!written(&scene).await.contains("ghp_"));
    scene.delete_pool().await;
}

#[tokio::test]
async fn a_changed_registry_secret_is_taken_up_without_a_change_of_the_pool() {
    let scene = Scene::with("registry-new", private_account, OperatorSpec::default()).await;
    let secrets: Api<Secret> = scene.env.api();
    put_secret(&secrets, "ghcr", json!({"token": "just-a-token"})).await;
    let image = json!({"registry": "acme", "pullSecretRef": {"name": "ghcr", "key": "token"}});
    scene.pool(json!({"warm": {"target": 1}, "image": image})).await;
    let told = scene.pool_says("ResolvedRefs", "False", "SecretMissing").await;
    let message = said(&told, "ResolvedRefs");
    assert!(message.contains("is not of the form user:token") && !message.contains("just-a-token"), "{message}");
    assert_eq!(scene.count(Op::Create).await, 0, "what cannot be right is not tried");
    put_secret(&secrets, "ghcr", json!({"token": "bot:ghp_right\n"})).await;
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 1);
}

#[tokio::test]
async fn a_misspelt_size_names_the_nearest_before_anything_is_made() {
    let scene = Scene::start("size").await;
    scene.pool(json!({"warm": {"target": 1}, "provider": {"digitalOcean": {"size": "apps-s-1cpu-1gb"}}})).await;
    let told = scene.pool_says("ResolvedRefs", "False", "SizeUnknown").await;
    assert_eq!(
        said(&told, "ResolvedRefs"),
        "provider.digitalOcean.size: the provider has no size \"apps-s-1cpu-1gb\"; the nearest are apps-s-1vcpu-1gb, apps-s-1vcpu-2gb, apps-d-1vcpu-1gb"
    );
    assert_eq!(scene.count(Op::Create).await, 0);
    scene.edit(json!({"provider": {"digitalOcean": {"size": "apps-s-1vcpu-1gb"}}})).await;
    scene.level(1).await;
    scene.pool_says("ResolvedRefs", "True", "AsExpected").await;
}

#[tokio::test]
async fn a_closed_region_is_told_and_a_size_that_will_go_only_told() {
    let scene = Scene::on("offer", |account| {
        let offer = Offer {
            deprecated_sizes: vec!["apps-d-1vcpu-1gb".into()],
            closed_regions: BTreeMap::from([("syd".to_owned(), "too crowded".to_owned())]),
        };
        AccountSettings { offer, ..account }
    })
    .await;
    let mut there = pool(json!({"provider": {"digitalOcean": {"region": "syd"}}}));
    there.metadata.name = Some("there".to_owned());
    scene.pools.create(&Default::default(), &there).await.expect("the API server takes the pool");
    let told = wait_for(&scene.pools, "there", "told that the region is closed", |pool| {
        let conditions = pool.status.iter().flat_map(|status| &status.conditions);
        conditions.clone().any(|condition| condition.reason == "RegionUnavailable" && condition.status == "False")
    })
    .await;
    assert!(said(&told, "ResolvedRefs").contains("makes nothing new in syd (too crowded)"), "{told:?}");
    assert_eq!(scene.count(Op::Create).await, 0);
    scene.pool(json!({"warm": {"target": 1}, "provider": {"digitalOcean": {"size": "apps-d-1vcpu-1gb"}}})).await;
    scene.level(1).await;
    let told = scene.pool_says("ResolvedRefs", "True", "SizeDeprecated").await;
    assert!(said(&told, "ResolvedRefs").contains("about to withdraw apps-d-1vcpu-1gb"), "{told:?}");
}

#[tokio::test]
async fn lists_that_cannot_be_read_hold_nothing_back_s3() {
    let scene = Scene::start("no-lists").await;
    let outage = Rule::new(Fault::ErrorBefore(Shape::Html { status: 502 })).on([Op::Sizes, Op::Regions]);
    scene.env.sim.set_rules(&scene.env.account, [outage]).await.expect("rules");
    scene.pool(json!({})).await;
    scene.level(2).await;
    let sim: &SimAdmin = &scene.env.sim;
    eventually("both lists were asked for", async || {
        let calls = sim.calls(&scene.env.account, 0).await.expect("the calls");
        let asked = |op| calls.iter().any(|call| call.op == op && call.status == Some(502));
        if asked(Op::Sizes) && asked(Op::Regions) { Ok(()) } else { Err(format!("{calls:?}")) }
    })
    .await;
}
