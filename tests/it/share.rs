//! Several pools in one account whose owner bounds it.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use sandbar::api::SandboxPool;
use serde_json::{Value, json};

use crate::scene::{POOL, Scene, condition_reason, pool};
use crate::wait::wait_for;

async fn annotate(scene: &Scene, annotations: Value) {
    let secrets: Api<Secret> = scene.env.api();
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    secrets.patch("digitalocean", &PatchParams::default(), &patch).await.expect("the Secret can be annotated");
}

async fn another(scene: &Scene, name: &str, patch: Value) {
    let mut pool = pool(patch);
    pool.metadata.name = Some(name.to_owned());
    scene.pools.create(&PostParams::default(), &pool).await.expect("the API server takes the pool");
}

async fn shows(scene: &Scene, name: &str, what: &str, like: impl Fn(&SandboxPool) -> bool) -> SandboxPool {
    wait_for(&scene.pools, name, what, like).await
}

fn warm(pool: &SandboxPool) -> i32 {
    pool.status.as_ref().map_or(0, |status| status.warm)
}

fn why(pool: &SandboxPool) -> &str {
    pool.status.as_ref().map_or("", |status| condition_reason(&status.conditions, "Available"))
}

#[tokio::test]
async fn a_small_pool_gets_its_share_of_a_bounded_account_s5() {
    let scene = Scene::start("share").await;
    annotate(&scene, json!({"sandbar.dev/max-sandboxes": "4"})).await;
    let many = json!({"maxSandboxes": 9, "maxConcurrentCreates": 9});
    scene.pool(json!({"warm": {"target": 8}, "limits": many})).await;
    let first =
        shows(&scene, POOL, "four warm, and it says why no more", |pool| warm(pool) == 4 && why(pool) == "AccountCap")
            .await;
    let said: String = first.status.expect("a status").conditions.into_iter().map(|said| said.message).collect();
    assert!(said.contains("sandbar.dev/max-sandboxes is 4"), "{said}");
    // It came first and gives back what nobody holds.
    another(&scene, "small", json!({"warm": {"target": 1}})).await;
    shows(&scene, "small", "its one is warm", |pool| warm(pool) == 1).await;
    shows(&scene, POOL, "three are left", |pool| warm(pool) == 3).await;
    // A request goes before refill, and what it needs comes from whoever has most.
    let request = crate::scene::request("urgent", json!({}));
    let request = serde_json::to_value(request).expect("JSON");
    let mut request: sandbar::api::Sandbox = serde_json::from_value(request).expect("a request");
    request.spec.pool_ref.name = "small".to_owned();
    scene.sandboxes.create(&PostParams::default(), &request).await.expect("the API server takes the request");
    scene.ready("urgent").await;
    shows(&scene, "small", "warm again", |pool| warm(pool) == 1).await;
    shows(&scene, POOL, "two are left", |pool| warm(pool) == 2).await;
    scene.sound(4).await;
}

#[tokio::test]
async fn the_cost_of_all_pools_is_bounded_by_the_secrets_owner() {
    let scene = Scene::start("share-cost").await;
    // Three of these cost 0.0536 USD per hour.
    annotate(&scene, json!({"sandbar.dev/hourly-usd": "0.055"})).await;
    scene.pool(json!({"warm": {"target": 4}})).await;
    another(&scene, "small", json!({"warm": {"target": 1}})).await;
    shows(&scene, "small", "its one is warm", |pool| warm(pool) == 1).await;
    shows(&scene, POOL, "two warm, and it says why no more", |pool| warm(pool) == 2 && why(pool) == "AccountCap").await;
    scene.sound(3).await;
}

#[tokio::test]
async fn a_bound_that_cannot_be_read_lets_nothing_be_made() {
    let scene = Scene::start("share-typo").await;
    annotate(&scene, json!({"sandbar.dev/max-sandboxes": "a few"})).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    let pool = shows(&scene, POOL, "it says what is wrong", |pool| why(pool) == "AccountCap").await;
    let said: String = pool.status.expect("a status").conditions.into_iter().map(|said| said.message).collect();
    assert!(said.contains("is \"a few\": write a whole number such as 20"), "{said}");
    assert_eq!(scene.totals().await.made, 0);
    annotate(&scene, json!({"sandbar.dev/max-sandboxes": null})).await;
    shows(&scene, POOL, "one warm", |pool| warm(pool) == 1).await;
    scene.sound(1).await;
}
