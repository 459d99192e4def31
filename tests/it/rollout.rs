//! A changed template reaches the warm sandboxes: real control plane, apps in the books.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::cloudsim::admin::{Fault, Rule};
use serde_json::{Value, json};

use crate::scene::{Scene, fewest_ready, held, living, name};

/// The image tag that a member was made with.
fn tag(sandbox: &Sandbox) -> &str {
    sandbox.spec.template.as_ref().and_then(|template| template.image.tag.as_deref()).unwrap_or_default()
}

fn image(tag: &str) -> Value {
    json!({"image": {"tag": tag}})
}

/// Waits until the pool is level with every warm member of the newest template.
async fn updated(scene: &Scene, warm: i32) -> SandboxPool {
    scene.pool_shows(&format!("{warm} warm and updated"), |status| (status.warm, status.updated) == (warm, warm)).await;
    scene.level(warm).await
}

#[tokio::test]
async fn rolling_replaces_the_warm_ones_one_by_one_and_no_claimed_one_s6_s7() {
    let scene = Scene::start("rolling").await;
    let rollout = json!({"strategy": "Rolling"});
    scene.pool(json!({"warm": {"target": 3}, "limits": {"maxSandboxes": 5}, "rollout": rollout})).await;
    scene.level(3).await;
    let run = scene.claim_one("run", "1h").await;
    scene.level(3).await;
    let since = Timestamp::now();
    scene.edit(image("2")).await;
    updated(&scene, 3).await;

    let members = scene.members().await;
    let kept = members.iter().find(|member| member.metadata.uid == run.metadata.uid).expect("the claimed one stays");
    assert_eq!((held(kept), tag(kept)), (Some("run"), "1"));
    assert!(members.iter().filter(|member| held(member).is_none()).all(|member| tag(member) == "2"));
    let ledger = scene.ledger().await;
    let app = scene.app_of(&run).await;
    assert!(living(&ledger).iter().any(|living| living.id == app.id), "its app runs on");
    // Three warm ones and the claimed one at every moment: a slot was free for the stand-ins.
    assert!(fewest_ready(&ledger, since) >= 4, "{ledger:#?}");
    scene.sound(5).await;
    scene.delete(&name(kept)).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn rolling_without_a_free_slot_misses_no_more_than_it_may() {
    let scene = Scene::start("rolling-full").await;
    let rollout = json!({"strategy": "Rolling", "maxUnavailable": 1});
    scene.pool(json!({"warm": {"target": 3}, "limits": {"maxSandboxes": 3}, "rollout": rollout})).await;
    scene.level(3).await;
    let since = Timestamp::now();
    scene.edit(image("2")).await;
    updated(&scene, 3).await;
    let ledger = scene.ledger().await;
    assert!(fewest_ready(&ledger, since) >= 2, "{ledger:#?}");
    assert_eq!(scene.totals().await.made, 6);
    scene.sound(3).await;
}

#[tokio::test]
async fn recreate_hands_out_nothing_old_any_more() {
    let scene = Scene::start("recreate").await;
    scene.pool(json!({"warm": {"target": 3}, "rollout": {"strategy": "Recreate"}})).await;
    scene.level(3).await;
    let first: BTreeSet<String> = scene.ledger().await.apps.into_iter().map(|app| app.id).collect();
    scene.edit(image("2")).await;
    updated(&scene, 3).await;
    let ledger = scene.ledger().await;
    assert!(living(&ledger).iter().all(|app| !first.contains(&app.id)));
    assert!(scene.members().await.iter().all(|member| tag(member) == "2"));
    scene.sound(4).await;
}

#[tokio::test]
async fn on_replenish_waits_for_claims_and_counts_what_is_new() {
    let scene = Scene::start("on-replenish").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    scene.edit(image("2")).await;
    scene.pool_shows("none of them is new", |status| (status.warm, status.updated) == (2, 0)).await;
    let run = scene.claim_one("run", "1h").await;
    assert_eq!(tag(&run), "1");
    scene.pool_shows("one of them is new", |status| (status.warm, status.updated) == (2, 1)).await;
    let pool = scene.level(2).await;
    let conditions = pool.status.expect("a status").conditions;
    let progressing = conditions.iter().find(|condition| condition.type_ == "Progressing").expect("told");
    assert!(progressing.message.contains("1 of 2 warm sandboxes"), "{}", progressing.message);
    assert_eq!(scene.totals().await.made, 3);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_bad_image_stops_the_rollout_before_it_eats_the_warm_ones() {
    let scene = Scene::start("bad-image").await;
    let rollout = json!({"strategy": "Rolling"});
    let create = json!({"deadline": "5s", "maxAttempts": 1});
    let limits = json!({"maxSandboxes": 4});
    scene.pool(json!({"warm": {"target": 2}, "limits": limits, "create": create, "rollout": rollout})).await;
    scene.level(2).await;
    let first: BTreeSet<String> = scene.ledger().await.apps.into_iter().map(|app| app.id).collect();
    let since = Timestamp::now();
    let fails = Fault::FailedDeployment { code: "ImageNotFound".into(), message: "no such image".into() };
    scene.env.sim.set_rules(&scene.env.account, [Rule::new(fails)]).await.expect("the fault is taken");
    scene.edit(image("bad")).await;
    scene
        .pool_shows("three failures in a row", |status| {
            status.failures.as_ref().is_some_and(|failures| failures.consecutive >= 3)
        })
        .await;
    let ledger = scene.ledger().await;
    let old = living(&ledger).into_iter().filter(|app| first.contains(&app.id)).count();
    assert_eq!((old, fewest_ready(&ledger, since)), (2, 2), "{ledger:#?}");

    scene.env.sim.clear_faults(&scene.env.account).await.expect("the fault is cleared");
    scene.edit(image("2")).await;
    updated(&scene, 2).await;
    scene.sound(4).await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_rollout_changes_nothing_about_its_end_s8() {
    let mut scene = Scene::start("rolling-kill").await;
    let rollout = json!({"strategy": "Rolling"});
    scene.pool(json!({"warm": {"target": 3}, "limits": {"maxSandboxes": 4}, "rollout": rollout})).await;
    scene.level(3).await;
    scene.edit(image("2")).await;
    for made in [4, 5] {
        scene.books_show("a stand-in is being made", |totals| totals.made >= made).await;
        scene.operator.kill9().await;
        scene.operator.restart().await;
    }
    updated(&scene, 3).await;
    assert_eq!(scene.totals().await.made, 6, "one stand-in for each");
    scene.sound(4).await;
}
