//! Credentials that are missing, wrong, held on to, or deleted with everything else.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, Patch, PatchParams};
use sandbar::api::IN_USE_FINALIZER;
use sandbar::cloudsim::admin::{AccountSettings, Op};
use sandbar::dev::cloud::new_token;
use serde_json::json;

use crate::scene::{POOL, Scene, condition_reason, name};
use crate::wait::{wait_for, wait_gone};
use crate::world::quick_account;

#[tokio::test]
async fn another_accounts_token_creates_nothing_and_lifts_nothing_s3_s4() {
    let scene = Scene::start("moved").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    let other = format!("{}-other", scene.env.account);
    let sim = &scene.env.sim;
    sim.put_account(&other, &AccountSettings { tokens: Vec::new(), ..quick_account(String::new()) }).await.unwrap();
    sim.move_token(&scene.env.token, &other).await.unwrap();
    scene
        .within("the operator asks whose token it is", async || {
            let calls = sim.calls(&other, 0).await.unwrap();
            if calls.iter().any(|call| call.op == Op::Account) { Ok(()) } else { Err(format!("{calls:?}")) }
        })
        .await;
    let victim = name(&scene.members().await[0]);
    scene.scale(3).await;
    scene.sandboxes.delete(&victim, &Default::default()).await.unwrap();
    scene.pool_says("ProviderReachable", "False", "WrongAccount").await;
    let held = scene
        .shows(&victim, "held for WrongAccount", |member| {
            let status = member.status.as_ref();
            status.is_some_and(|status| condition_reason(&status.conditions, "ProviderReachable") == "WrongAccount")
        })
        .await;
    assert!(held.is_deleting() && held.metadata.finalizers.is_some_and(|finalizers| !finalizers.is_empty()));
    let theirs = sim.ledger_of(&other).await.unwrap();
    assert!(theirs.apps.is_empty(), "{theirs:#?}");
    assert_eq!(scene.totals().await.existing, 2, "nothing was removed here either");

    sim.move_token(&scene.env.token, &scene.env.account).await.unwrap();
    scene.level(3).await;
    scene.pool_says("ProviderReachable", "True", "AsExpected").await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (4, 3));
    assert!(sim.ledger_of(&other).await.unwrap().apps.is_empty());
    scene.sound(4).await;
}

#[tokio::test]
async fn a_missing_secret_is_named_and_heals_when_it_comes() {
    let scene = Scene::start("no-secret").await;
    let reference = json!({"name": "later", "key": "token"});
    scene.pool(json!({"provider": {"digitalOcean": {"credentialsRef": reference}}})).await;
    let pool = scene.pool_says("ProviderReachable", "False", "CredentialsMissing").await;
    let said: String = pool.status.unwrap().conditions.into_iter().map(|condition| condition.message).collect();
    assert!(said.contains("later"), "{said}");
    assert!(scene.members().await.is_empty());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"},
        "stringData": {"token": scene.env.token}});
    let secrets: Api<Secret> = scene.env.api();
    secrets.create(&Default::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    scene.level(2).await;
    scene.pool_says("ProviderReachable", "True", "AsExpected").await;
    scene.sound(4).await;
}

#[tokio::test]
async fn a_refused_token_is_told_and_a_new_one_heals_without_a_restart() {
    let scene = Scene::start("revoked").await;
    scene.env.set_credentials("dop_v1_nobodys").await;
    scene.pool(json!({})).await;
    scene.pool_says("ProviderReachable", "False", "CredentialsRejected").await;
    assert_eq!(scene.totals().await.made, 0);
    scene.env.set_credentials(&scene.env.token).await;
    scene.level(2).await;
    scene.sound(4).await;
}

#[tokio::test]
async fn credentials_stay_while_an_instance_needs_them() {
    let scene = Scene::start("in-use").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    let secrets: Api<Secret> = scene.env.api();
    secrets.delete("digitalocean", &Default::default()).await.unwrap();
    let kept = secrets.get("digitalocean").await.expect("held by its finalizer");
    assert!(kept.metadata.deletion_timestamp.is_some());
    assert_eq!(kept.metadata.finalizers, Some(vec![IN_USE_FINALIZER.to_owned()]));
    scene.delete_pool().await;
    wait_gone(&secrets, "digitalocean").await;
}

#[tokio::test]
async fn a_deleted_namespace_leaves_nothing_at_the_provider_s4() {
    let scene = Scene::start("namespace").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    scene.request("mine", json!({"ttl": "10m"})).await;
    scene.ready("mine").await;
    scene.claim_one("run-1", "10m").await;
    scene.watcher.all_end_by_word();
    let namespaces: Api<Namespace> = Api::all(scene.env.client.clone());
    namespaces.delete(&scene.env.namespace, &Default::default()).await.unwrap();
    wait_gone(&namespaces, &scene.env.namespace).await;
    assert_eq!(scene.totals().await.existing, 0);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_claim_of_a_deleting_pool_is_ended_when_a_person_says_so() {
    let scene = Scene::start("end-claims").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.claim_one("run-1", "10m").await;
    scene.pools.delete(POOL, &Default::default()).await.unwrap();
    scene.pool_says("Terminating", "True", "ClaimsRemain").await;
    let word = Patch::Merge(json!({"metadata": {"annotations": {"sandbar.dev/end-claims": "true"}}}));
    scene.pools.patch(POOL, &PatchParams::default(), &word).await.unwrap();
    wait_gone(&scene.pools, POOL).await;
    assert_eq!(scene.totals().await.existing, 0);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_restart_of_the_operator_with_a_missing_secret_keeps_the_finalizers_s4() {
    let mut scene = Scene::start("lost-secret").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    let member = name(&scene.members().await[0]);
    scene.operator.kill9().await;
    // By force: past the finalizer.
    let secrets: Api<Secret> = scene.env.api();
    let bare = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    secrets.patch("digitalocean", &PatchParams::default(), &bare).await.unwrap();
    secrets.delete("digitalocean", &Default::default()).await.unwrap();
    wait_gone(&secrets, "digitalocean").await;
    scene.pools.delete(POOL, &Default::default()).await.unwrap();
    scene.operator.restart().await;
    let held = wait_for(&scene.sandboxes, &member, "held for its credentials", |member| {
        let status = member.status.as_ref();
        member.is_deleting()
            && status
                .is_some_and(|status| condition_reason(&status.conditions, "ProviderReachable") == "CredentialsMissing")
    })
    .await;
    assert!(held.metadata.finalizers.is_some_and(|finalizers| !finalizers.is_empty()));
    assert_eq!(scene.totals().await.existing, 1);
    scene.env.set_credentials(&scene.env.token).await;
    wait_gone(&scene.pools, POOL).await;
    assert_eq!(scene.totals().await.existing, 0);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_rotated_token_of_the_same_account_is_used_without_a_restart() {
    let new = new_token();
    let scene = Scene::on("rotated", |mut account| {
        account.tokens.push(new.clone());
        account
    })
    .await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.env.set_credentials(&new).await;
    scene.env.sim.revoke_token(&scene.env.token).await.unwrap();
    scene.scale(2).await;
    scene.level(2).await;
    scene.pool_says("ProviderReachable", "True", "AsExpected").await;
    scene.delete_pool().await;
    scene.sound(2).await;
}
