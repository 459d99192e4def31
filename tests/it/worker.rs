//! Pools whose sandboxes have no address: entered through the provider's console.

mod inside;

use sandbar::cloudsim::admin::{Fault, Op, Rule, State};
use serde_json::{Value, json};

use crate::scene::{Scene, is, name};
use crate::wait::eventually;

/// A pool in mode Worker.
fn worker(warm: i32) -> Value {
    json!({"warm": {"target": warm}, "provider": {"digitalOcean": {"mode": "Worker"}}})
}

#[tokio::test]
async fn a_worker_pool_is_level_claimed_and_gone_without_an_address_s4() {
    let scene = Scene::start("worker").await;
    scene.pool(worker(2)).await;
    scene.level(2).await;
    assert_eq!(scene.count(Op::Console).await, 2, "one look into each console, and no more");
    for member in scene.members().await {
        assert!(is(&member, "AgentReady") && is(&member, "InstanceReady"), "{member:?}");
        let uid = member.metadata.uid.clone().expect("a UID");
        let url = member.status.and_then(|status| status.url).expect("where the operator opens its console");
        assert!(url.ends_with(&uid), "{url}");
    }
    let claimed = scene.claim_one("run-1", "10m").await;
    scene.level(2).await;
    scene.request("later", json!({"ttl": "5m"})).await;
    scene.ready("later").await;
    scene.delete("later").await;
    scene.delete(&name(&claimed)).await;
    scene.level(2).await;
    scene.delete_pool().await;
    scene.sound(4).await;
    let specs = scene.ledger().await;
    assert!(specs.apps.iter().all(|app| app.state == State::Gone));
}

#[tokio::test]
async fn a_console_that_does_not_open_keeps_a_sandbox_from_being_warm() {
    let scene = Scene::start("worker-shut").await;
    let shut = Rule::new(Fault::ConsoleExpired {});
    scene.env.sim.set_rules(&scene.env.account, [shut]).await.expect("rules");
    scene.pool(worker(1)).await;
    eventually("its console was tried twice", async || {
        let tried = scene.count(Op::Console).await;
        if tried >= 2 { Ok(()) } else { Err(format!("{tried} times")) }
    })
    .await;
    let status = scene.pools.get(crate::scene::POOL).await.expect("the pool").status.unwrap_or_default();
    assert_eq!((status.warm, status.creating), (0, 1));
    scene.env.sim.clear_faults(&scene.env.account).await.expect("no rules");
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 1);
    scene.sound(1).await;
}

#[tokio::test]
async fn a_redeployed_worker_is_warm_only_after_its_new_console_answers() {
    let scene = Scene::start("worker-redeployed").await;
    scene.pool(worker(1)).await;
    scene.level(1).await;
    let app = scene.app_of(&scene.members().await[0]).await.id;
    scene.env.sim.maintenance(&app).await.expect("a maintenance");
    eventually("its console was asked again", async || {
        let asked = scene.count(Op::Console).await;
        if asked >= 2 { Ok(()) } else { Err(format!("{asked} times")) }
    })
    .await;
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 1);
}
