//! Deletes that fail, lie, or lose their reply: the finalizer stays until the app is really gone.

use sandbar::cloudsim::admin::{Fault, Op, Rule, Shape};
use serde_json::json;

use crate::scene::Scene;

async fn with_rule(name: &str, rule: Rule) -> Scene {
    let scene = Scene::start(name).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.env.sim.set_rules(&scene.env.account, [rule]).await.expect("the fault is taken");
    scene
}

#[tokio::test]
async fn a_delete_that_fails_is_repeated_until_the_app_is_gone_s4() {
    let rule = Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::Delete]).times(1);
    let scene = with_rule("delete-fails", rule).await;
    scene.delete_pool().await;
    assert!(scene.count(Op::Delete).await >= 2);
}

#[tokio::test]
async fn a_delete_that_lies_is_not_believed_s4() {
    let scene = with_rule("delete-lies", Rule::new(Fault::DeleteIgnored {}).times(1)).await;
    scene.delete_pool().await;
    assert!(scene.count(Op::Delete).await >= 2);
}

#[tokio::test]
async fn a_delete_whose_reply_is_lost_is_proved_s4() {
    let rule = Rule::new(Fault::ErrorAfter(Shape::Reset {})).on([Op::Delete]).times(1);
    let scene = with_rule("delete-lost", rule).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn an_outage_keeps_the_finalizers_s4() {
    let rule = Rule::new(Fault::ErrorBefore(Shape::Html { status: 502 })).on([Op::List, Op::Get, Op::Delete]);
    let scene = with_rule("delete-outage", rule).await;
    let name = crate::scene::name(&scene.members().await[0]);
    scene.pools.delete(crate::scene::POOL, &Default::default()).await.unwrap();
    scene
        .within("a delete was tried in vain", async || {
            if scene.count(Op::Delete).await > 0 { Ok(()) } else { Err("none".to_owned()) }
        })
        .await;
    let member = scene.shows(&name, "deleting", |member| member.is_deleting()).await;
    assert!(member.metadata.finalizers.is_some_and(|finalizers| !finalizers.is_empty()));
    scene.env.sim.clear_faults(&scene.env.account).await.unwrap();
    crate::wait::wait_gone(&scene.pools, crate::scene::POOL).await;
    assert_eq!(scene.totals().await.existing, 0);
    scene.sound(1).await;
}
