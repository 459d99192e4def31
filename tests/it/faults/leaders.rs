//! Two operators at once, and objects that cannot be read.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::cloudsim::admin::Seconds;
use serde_json::json;

use crate::scene::{Scene, name};
use crate::wait::eventually_within;
use crate::world::OperatorSpec;

#[tokio::test]
async fn a_leader_that_sleeps_over_its_lease_breaks_nothing_s15() {
    let mut scene = Scene::on("asleep", |mut account| {
        account.timings.create_call_seconds = Seconds::Fixed(0.5);
        account.timings.ready_seconds = Seconds::Fixed(2.0);
        account
    })
    .await;
    let second = scene.env.operator_unready(OperatorSpec::default().named("second")).await;
    scene.pool(json!({"warm": {"target": 4}})).await;
    scene.books_show("creates are under way", |totals| totals.made >= 1).await;
    let first = Pid::from_raw(scene.operator.pid());
    kill(first, Signal::SIGSTOP).expect("the leader can be stopped");
    eventually_within(Duration::from_secs(60), "the second leads", async || match second.try_get("/readyz").await {
        Some((_, body)) if body.contains("[+] leader: ok") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    kill(first, Signal::SIGCONT).expect("the old leader can go on");
    let status = scene.operator.ended().await;
    assert!(!status.success(), "who lost its lease ends: {status:?}");
    scene.level(4).await;
    scene.books_show("the level and no more", |totals| totals.existing == 4).await;
    // What was in the network when it was stopped may still have come through.
    scene.sound(4 + 2).await;
    assert!(scene.totals().await.made <= 4 + 2, "{:?}", scene.totals().await);
}

#[tokio::test]
async fn a_member_that_cannot_be_read_still_counts_s5() {
    let scene = Scene::start("unreadable").await;
    scene.pool(json!({"warm": {"target": 2}, "limits": {"maxSandboxes": 3}})).await;
    scene.level(2).await;
    let member = name(&scene.members().await[0]);
    // A time that the API server takes and no timestamp type of ours can hold.
    let far = Patch::Merge(json!({"status": {"expiresAt": "9999-12-31T23:59:59Z"}}));
    let raw = kube::api::Api::<kube::core::DynamicObject>::namespaced_with(
        scene.env.client.clone(),
        &scene.env.namespace,
        &kube::core::ApiResource::erase::<sandbar::api::Sandbox>(&()),
    );
    raw.patch_status(&member, &PatchParams::default(), &far).await.expect("the server takes it");
    scene.pool_says("Degraded", "True", "Undecodable").await;
    scene.pool_shows("two readable ones and the other", |status| status.warm == 2 && status.total == 3).await;
    scene.scale(3).await;
    scene.pool_says("Available", "False", "AtCapacity").await;
    scene.listings(2).await;
    assert_eq!(scene.totals().await.made, 3, "the unreadable one holds its slot");

    let near = Patch::Merge(json!({"status": {"expiresAt": null}}));
    raw.patch_status(&member, &PatchParams::default(), &near).await.expect("the server takes it");
    scene.level(3).await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    scene.sound(3).await;
}
