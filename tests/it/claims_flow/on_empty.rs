//! What a request gets when nothing is warm.

use sandbar::api::{Phase, StartKind};
use serde_json::json;

use crate::scene::Scene;

#[tokio::test]
async fn create_makes_one_for_the_request() {
    let scene = Scene::start("empty-create").await;
    scene.pool(json!({"warm": {"target": 0}, "onEmpty": "Create"})).await;
    scene.level(0).await;
    scene.request("mine", json!({"ttl": "10m"})).await;
    let ready = scene.ready("mine").await.status.unwrap();
    let member = scene.shows(&ready.bound_to.unwrap().name, "claimed", |member| member.phase() == Phase::Claimed).await;
    assert_eq!(member.status.unwrap().start_kind, Some(StartKind::Cold));
    scene.pool_shows("the cold claim counted", |status| status.claims_cold == 1 && status.warm == 0).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (1, 1), "one, and only one");
}

#[tokio::test]
async fn wait_makes_none_and_takes_the_next_warm_one() {
    let scene = Scene::start("empty-wait").await;
    scene.pool(json!({"warm": {"target": 0}, "onEmpty": "Wait"})).await;
    scene.level(0).await;
    scene.request("mine", json!({"ttl": "10m"})).await;
    scene.pool_shows("one queued", |status| status.queued == 1).await;
    scene.listings(3).await;
    assert_eq!(scene.totals().await.made, 0);
    scene.scale(1).await;
    scene.ready("mine").await;
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 2);
}

#[tokio::test]
async fn fail_ends_the_request_at_once() {
    let scene = Scene::start("empty-fail").await;
    scene.pool(json!({"warm": {"target": 0}, "onEmpty": "Fail"})).await;
    scene.level(0).await;
    scene.request("mine", json!({})).await;
    scene.ended("mine", "NoneWarm").await;
    scene.scale(1).await;
    scene.level(1).await;
    scene.request("second", json!({"ttl": "10m"})).await;
    scene.ready("second").await;
    assert_eq!(scene.sandboxes.get("mine").await.unwrap().phase(), Phase::Ended, "an end is final");
}

#[tokio::test]
async fn a_request_in_vain_ends_after_its_wait() {
    let scene = Scene::start("in-vain").await;
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}, "claims": {"waitTimeout": "3s"}})).await;
    scene.level(1).await;
    scene.request("first", json!({"ttl": "10m"})).await;
    scene.ready("first").await;
    scene.request("second", json!({"ttl": "10m"})).await;
    scene.ended("second", "WaitTimeout").await;
    assert_eq!(scene.sandboxes.get("first").await.unwrap().phase(), Phase::Claimed);
    scene.sound(1).await;
}

#[tokio::test]
async fn a_request_for_too_long_a_time_is_told_the_longest() {
    let scene = Scene::start("too-long").await;
    scene.pool(json!({"warm": {"target": 0}, "claims": {"maxTTL": "1h"}})).await;
    scene.level(0).await;
    scene.request("mine", json!({"ttl": "2h"})).await;
    let ended = scene.ended("mine", "TtlTooLong").await;
    let said = ended.status.unwrap().conditions.into_iter().map(|condition| condition.message).collect::<String>();
    assert!(said.contains("2h") && said.contains("1h"), "{said}");
    assert_eq!(scene.totals().await.made, 0);
}
