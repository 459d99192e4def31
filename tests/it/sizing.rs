//! The warm level follows measured demand: real control plane, apps in the books.

use sandbar::api::SandboxPoolStatus;
use sandbar::cloudsim::admin::Seconds;
use serde_json::json;

use crate::scene::{Scene, name};

/// The level that demand asks for; 0 before anything is told.
fn level(status: &SandboxPoolStatus) -> i32 {
    status.sizing.as_ref().map_or(0, |sizing| sizing.level)
}

#[tokio::test]
async fn the_level_follows_measured_claims_and_a_restart_forgets_none_s8() {
    // Slow enough that a burst of claims outruns the replacements.
    let mut scene = Scene::on("hit-rate", |mut account| {
        account.timings.ready_seconds = Seconds::Fixed(6.0);
        account
    })
    .await;
    let sizing = json!({"policy": "HitRate", "hitRate": 0.99});
    let limits = json!({"maxSandboxes": 30, "maxConcurrentCreates": 15});
    scene.pool(json!({"warm": {"target": 1, "max": 8, "sizing": sizing}, "limits": limits})).await;
    let idle = scene.level(1).await;
    assert_eq!(idle.status.as_ref().map(level), Some(1));

    for number in 0..20 {
        scene.request(&format!("r{number}"), json!({"ttl": "1h"})).await;
    }
    for number in 0..20 {
        scene.ready(&format!("r{number}")).await;
    }
    let busy = scene
        .pool_shows("a higher level, with all claims counted", |status| {
            let counted = status.demand.as_ref().map(|demand| demand.claims.0.iter().sum::<u32>());
            level(status) > 1 && counted == Some(20)
        })
        .await;
    let status = busy.status.expect("a status");
    let told = status.sizing.clone().expect("told");
    assert!(told.level <= 8, "{told:?}");
    assert!(told.claims_per_minute > 1.0 && told.lead_time_seconds >= 6.0, "{told:?}");
    assert!(told.hit_rate.is_some_and(|rate| rate < 0.5), "one of twenty found a warm one: {told:?}");
    assert!(told.message.contains("claims/min, each replaced in"), "{}", told.message);
    scene.level(told.level).await;

    scene.operator.kill9().await;
    scene.operator.restart().await;
    let run = scene.claim_one("after", "1h").await;
    let after = scene.pool_shows("the claim after the restart is counted on top", |status| {
        status.demand.as_ref().map(|demand| demand.claims.0.iter().sum::<u32>()) == Some(21)
    });
    let after = after.await.status.expect("a status");
    assert_eq!(after.demand.expect("a record").since, status.demand.expect("a record").since);
    assert!(after.sizing.is_some_and(|sizing| sizing.level >= told.level));
    scene.delete(&name(&run)).await;
    scene.sound(30).await;
}
