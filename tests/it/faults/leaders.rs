//! Two operators at once, one that slept over its lease, and objects that cannot be read.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::cloudsim::admin::{AccountSettings, Seconds};
use sandbar::dev::install;
use serde_json::json;

use crate::recorder::Recorder;
use crate::scene::{self, Scene, name};
use crate::wait::{eventually, eventually_within};
use crate::watcher::Leeway;
use crate::world::{OperatorSpec, TestOperator, World, quick_account};

/// In which creates are on the way for a while.
fn slow(token: String) -> AccountSettings {
    let mut account = quick_account(token);
    account.timings.create_call_seconds = Seconds::Fixed(0.5);
    account.timings.ready_seconds = Seconds::Fixed(2.0);
    account
}

async fn leads(operator: &TestOperator) {
    eventually_within(Duration::from_secs(90), "it leads", async || match operator.try_get("/readyz").await {
        Some((_, body)) if body.contains("[+] leader: ok") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

fn signal(operator: &TestOperator, signal: Signal) {
    kill(Pid::from_raw(operator.pid()), signal).expect("the operator runs");
}

#[tokio::test]
async fn a_leader_that_sleeps_over_its_lease_breaks_nothing_s15() {
    let cloud = World::get().await.cloud_url();
    let (of_first, of_second) = (Recorder::before(cloud).await, Recorder::before(cloud).await);
    let spec = OperatorSpec::default().through(of_first.url());
    let mut scene = Scene::with("asleep", slow, spec.clone()).await;
    let mut second = scene.env.operator_unready(OperatorSpec::default().named("second").through(of_second.url())).await;
    scene.pool(json!({"warm": {"target": 4}})).await;
    scene.books_show("creates are under way", |totals| totals.made >= 1).await;
    signal(&scene.operator, Signal::SIGSTOP);
    assert_eq!(of_second.since(Timestamp::MIN).len(), 0, "who stands by calls nobody");
    leads(&second).await;
    let woken = Timestamp::now();
    signal(&scene.operator, Signal::SIGCONT);
    let status = scene.operator.ended().await;
    assert!(!status.success(), "who lost its lease ends: {status:?}");
    scene.level(4).await;
    scene.books_show("the level and no more", |totals| totals.existing == 4).await;

    // It is started again, and stands by.
    let again = scene.env.operator_unready(spec.named("again")).await;
    eventually("it waits for the lease", async || match again.try_get("/readyz").await {
        Some((_, body)) if body.contains("another operator leads") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    scene.scale(3).await;
    scene.level(3).await;
    let calls = of_first.since(woken);
    assert!(calls.is_empty(), "calls without the lease: {calls:?}");
    second.kill9().await;
    leads(&again).await;
    scene.scale(4).await;
    scene.level(4).await;
    assert!(!of_first.since(woken).is_empty(), "with the lease it works");

    // What was in the network when it was stopped may still have come through, and is swept.
    scene.books_show("the level and no more", |totals| totals.existing == 4).await;
    scene::sound(&scene.ledger().await, &scene.env.account, 4 + 2);
    scene.watcher.verdict_with(Leeway { in_network: 2 }).await;
    assert!(scene.totals().await.made <= 5 + 2, "{:?}", scene.totals().await);
}

/// Waits until the Lease has not been renewed for longer than it holds.
async fn run_out(scene: &Scene, duration: SignedDuration) {
    let leases: Api<Lease> = Api::namespaced(scene.env.client.clone(), install::NAMESPACE);
    eventually("the lease ran out", async || {
        let lease = leases.get(&scene.env.namespace).await.map_err(|error| error.to_string())?;
        let renewed = lease.spec.and_then(|spec| spec.renew_time).ok_or("never renewed")?.0;
        let age = Timestamp::now().duration_since(renewed);
        if age > duration { Ok(()) } else { Err(format!("renewed {age:#} ago")) }
    })
    .await;
}

#[tokio::test]
async fn one_that_wakes_alone_calls_nobody_before_it_leads_again_s15() {
    let calls = Recorder::before(World::get().await.cloud_url()).await;
    let spec = OperatorSpec::default().through(calls.url()).args(&["--lease-duration", "10s"]);
    let mut scene = Scene::with("alone", slow, spec).await;
    scene.pool(json!({"warm": {"target": 3}})).await;
    scene.books_show("creates are under way", |totals| totals.made >= 1).await;
    signal(&scene.operator, Signal::SIGSTOP);
    run_out(&scene, SignedDuration::from_secs(11)).await;
    let woken = Timestamp::now();
    signal(&scene.operator, Signal::SIGCONT);
    let status = scene.operator.ended().await;
    assert!(!status.success(), "nobody took the lease, and still it is lost: {status:?}");
    let late = calls.since(woken);
    assert!(late.is_empty(), "calls without the lease: {late:?}");
    scene.operator.restart().await;
    scene.level(3).await;
    assert_eq!(scene.totals().await.made, 3);
    scene.sound(3).await;
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
