//! What the operator needs is what the shipped roles grant.

use super::{client, operator};
use crate::world::World;
use sandbar::controllers::runtime::clock::ServerClock;
use sandbar::controllers::runtime::preflight::{Kind, Needs, look};
use sandbar::controllers::runtime::ticks::Ticks;
use sandbar::telemetry::readiness::Readiness;

#[tokio::test]
async fn the_shipped_roles_grant_all_that_the_operator_needs() {
    let env = World::get().await.test("preflight").await;
    let (clock, readiness) = (ServerClock::new(Ticks::real()), Readiness::new());
    let needs = Needs::of_operator(sandbar::dev::install::NAMESPACE, None);
    assert!(look(&operator(&env, &clock).await, &readiness, &needs).await, "{}", readiness.report());
}

#[tokio::test]
async fn missing_kinds_and_permissions_are_named() {
    let env = World::get().await.test("preflight-missing").await;
    let text = std::fs::read_to_string(&env.user_kubeconfig).unwrap();
    let (clock, readiness) = (ServerClock::new(Ticks::real()), Readiness::new());
    let user = client(&text, &clock).await;
    let mut needs = Needs::of_operator(sandbar::dev::install::NAMESPACE, Some(&env.namespace));
    needs.kinds.push(Kind { group: "sandbar.dev", version: "v1alpha1", plural: "castles" });
    needs.kinds.push(Kind { group: "castles.dev", version: "v1", plural: "castles" });
    assert!(!look(&user, &readiness, &needs).await);
    let report = readiness.report();
    let place = &env.namespace;
    for line in [
        "[-] crd castles.sandbar.dev: not installed".to_owned(),
        "[-] crd castles.castles.dev: not installed".to_owned(),
        "[+] crd sandboxes.sandbar.dev: ok".to_owned(),
        format!("[-] permission update sandboxes/status.sandbar.dev in {place}: not allowed"),
        format!("[+] permission list sandboxes.sandbar.dev in {place}: ok"),
    ] {
        assert!(report.contains(&line), "{line} is not in\n{report}");
    }
}
