//! What requests and answers really look like.

use super::operator;
use crate::world::World;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use sandbar::controllers::runtime::clock::ServerClock;
use sandbar::controllers::runtime::gate::Gate;
use sandbar::controllers::runtime::ticks::Ticks;

#[tokio::test]
async fn every_answer_tells_the_servers_time_and_versions_can_be_compared() {
    let env = World::get().await.test("requests").await;
    let clock = ServerClock::new(Ticks::real());
    let secrets: Api<Secret> = Api::namespaced(operator(&env, &clock).await, &env.namespace);
    let before = secrets.get("digitalocean").await.unwrap();
    // The server runs on this machine: both clocks are one.
    assert!(clock.skew().as_millis().abs() <= 1100, "{:?}", clock.skew());
    assert!(!clock.skew().is_zero(), "no answer's date was read");

    let note = serde_json::json!({"metadata": {"annotations": {"note": "1"}}});
    let after = secrets.patch("digitalocean", &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
    let (uid, gate) = (after.uid().unwrap(), Gate::new(Ticks::real()));
    gate.wrote(&uid, &after.resource_version().unwrap());
    assert!(gate.is_stale(&uid, &before.resource_version().unwrap()));
    assert!(!gate.is_stale(&uid, &after.resource_version().unwrap()));
}
