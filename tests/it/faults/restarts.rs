//! What a restart must not forget: everything that counts stands in objects.

use jiff::{SignedDuration, Timestamp};
use sandbar::cloudsim::admin::{Fault, Rule};
use serde_json::json;

use crate::scene::{POOL, Scene, name};
use crate::wait::{eventually, wait_for_within, wait_gone};

#[tokio::test]
async fn a_claim_that_ends_while_nobody_works_is_ended_by_the_next_operator_s8() {
    let mut scene = Scene::start("expired-alone").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    let member = scene.claim_one("run-1", "10s").await;
    scene.operator.kill9().await;
    let expires = member.status.as_ref().unwrap().expires_at.clone().unwrap().0;
    eventually("over", async || {
        let left = expires.duration_since(Timestamp::now());
        if left.is_negative() { Ok(()) } else { Err(format!("{left:#} left")) }
    })
    .await;
    assert!(scene.sandboxes.get(&name(&member)).await.unwrap().metadata.deletion_timestamp.is_none());
    scene.operator.restart().await;
    wait_gone(&scene.sandboxes, &name(&member)).await;
    scene.level(1).await;
    scene.books_show("one app", |totals| totals.existing == 1).await;
    scene.sound(2).await;
}

#[tokio::test]
async fn a_restart_resets_no_back_off_s13() {
    let mut scene = Scene::start("back-off").await;
    scene.env.sim.set_rules(&scene.env.account, [Rule::new(Fault::StuckDeployment {}).times(1)]).await.unwrap();
    let create = json!({"deadline": "2s", "maxAttempts": 1, "backoff": {"initial": "25s", "max": "25s"}});
    scene.pool(json!({"warm": {"target": 1}, "create": create})).await;
    let failed = scene.pool_shows("a failure recorded", |status| status.failures.is_some()).await;
    let since = failed.status.unwrap().failures.unwrap().last_time.0;
    scene.operator.kill9().await;
    scene.operator.restart().await;
    wait_for_within(std::time::Duration::from_secs(90), &scene.pools, POOL, "one warm", |pool| {
        pool.status.as_ref().is_some_and(|status| status.warm == 1)
    })
    .await;
    let apps = scene.ledger().await.apps;
    // On a busy machine the second one may miss the short deadline as well.
    assert!(apps.len() >= 2, "{apps:#?}");
    let pause = apps[1].created.duration_since(since);
    assert!(pause >= SignedDuration::from_secs(24), "the next try came after {pause:#}");
    scene.sound(1).await;
}
