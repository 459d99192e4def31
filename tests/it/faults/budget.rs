//! The rate budget, used up.

use std::time::Duration;

use jiff::SignedDuration;
use sandbar::cloudsim::admin::{Fault, Limits, Rule, State};
use serde_json::json;

use crate::scene::{Scene, name};
use crate::wait::holds;
use crate::world::{OperatorSpec, quick_account};

/// Calls in a minute that are not deletes: four fifths of the provider's limit.
const SHARE: usize = 200;

#[tokio::test]
async fn calls_stay_inside_the_budget_and_deletes_keep_their_share_s12() {
    // Far more often than the provider allows, and for ever: the instance never gets ready.
    let operator = OperatorSpec::default().args(&["--listing-period", "50ms"]);
    let real = |token: String| {
        let mut account = quick_account(token);
        account.limits = Limits::default();
        account
    };
    let scene = Scene::with("budget", real, operator).await;
    scene.env.sim.set_rules(&scene.env.account, [Rule::new(Fault::StuckDeployment {})]).await.unwrap();
    scene.pool(json!({"warm": {"target": 1}, "create": {"deadline": "1h"}})).await;
    scene
        .within("the share is used up", async || {
            let calls = scene.calls(0).await.len();
            if calls >= SHARE { Ok(()) } else { Err(format!("{calls} calls")) }
        })
        .await;
    let first = scene.calls(0).await;
    let took = first[SHARE - 1].time.duration_since(first[0].time);
    assert!(took < SignedDuration::from_secs(55), "too slow a machine to use the share up: {took:#}");
    let still = async || {
        let calls = scene.calls(0).await.len();
        if calls == SHARE { Ok(()) } else { Err(format!("{calls} calls")) }
    };
    holds(Duration::from_secs(2), "silent", still).await;

    let member = scene.members().await.pop().expect("a member");
    let app = scene.app_of(&member).await;
    scene.pools.delete(crate::scene::POOL, &Default::default()).await.unwrap();
    scene
        .within("its app gone on the deletes' share", async || {
            let ledger = scene.ledger().await;
            let state = ledger.apps.iter().find(|entry| entry.id == app.id).map(|entry| entry.state);
            if state == Some(State::Gone) { Ok(()) } else { Err(format!("{state:?} of {}", name(&member))) }
        })
        .await;
    let calls = scene.calls(0).await;
    let others = calls.iter().filter(|call| call.method != "DELETE").count();
    assert!(others <= SHARE, "{others} calls in less than a minute");
    assert!(calls.iter().all(|call| call.status != Some(429)), "the provider had to refuse");
    let peak = scene.env.sim.summary().await.unwrap().peaks[&scene.env.account];
    assert!(peak.minute <= 250, "{peak:?}");
}
