//! Leadership.

use super::operator;
use crate::wait::{WITHIN, eventually};
use crate::world::{TestEnv, World};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use sandbar::controllers::runtime::clock::ServerClock;
use sandbar::controllers::runtime::election::Timings;
use sandbar::controllers::runtime::lease::{Leadership, LeaseHandle, unique_identity};
use sandbar::controllers::runtime::ticks::Ticks;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

const NAMESPACE: &str = sandbar::dev::install::NAMESPACE;

fn timings() -> Timings {
    Timings::of(Duration::from_secs(6)).check().unwrap()
}

async fn acquire(env: &TestEnv, name: &str) -> Leadership {
    let client = operator(env, &ServerClock::new(Ticks::real())).await;
    let identity = unique_identity(name);
    let acquire = Leadership::acquire(client, NAMESPACE, &env.namespace, &identity, timings());
    tokio::time::timeout(WITHIN, acquire).await.expect("it leads within the bound")
}

async fn holder(env: &TestEnv) -> String {
    let leases: Api<Lease> = Api::namespaced(env.client.clone(), NAMESPACE);
    let lease = leases.get(&env.namespace).await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap_or_default()
}

#[tokio::test]
async fn a_released_lease_changes_hands_at_once() {
    let env = World::get().await.test("lease-release").await;
    let one = acquire(&env, "one").await;
    assert!(holder(&env).await.starts_with("one_"));
    let fence = one.handle();
    let (two, ()) = tokio::join!(acquire(&env, "two"), one.release());
    assert!(holder(&env).await.starts_with("two_"));
    assert!(two.handle().is_leader() && !fence.is_leader());
}

/// A process of its own as far as it matters: a thread whose runtime stands
/// still while the thread is stopped.
struct Candidate {
    handle: LeaseHandle,
    stopped: mpsc::Sender<()>,
    lost: oneshot::Receiver<()>,
}

/// Leads on a thread of its own, which then stands still until told to go on.
async fn lead_and_stop(env: &'static TestEnv) -> Candidate {
    let (told, leading) = oneshot::channel();
    let (stopped, go_on) = mpsc::channel::<()>();
    let (tell_lost, lost) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let leadership = acquire(env, "stopped").await;
            told.send(leadership.handle()).ok();
            // Blocks the runtime: nothing is renewed, as after SIGSTOP.
            go_on.recv_timeout(WITHIN).ok();
            leadership.lost().await;
            tell_lost.send(()).ok();
        });
    });
    Candidate { handle: leading.await.expect("it leads"), stopped, lost }
}

#[tokio::test]
async fn a_stopped_holder_is_fenced_before_another_leads_and_hears_of_its_loss_s15() {
    let env: &'static TestEnv = Box::leak(Box::new(World::get().await.test("lease-stop").await));
    let stopped = lead_and_stop(env).await;
    let next = tokio::spawn(acquire(env, "next"));
    eventually("the stopped holder is fenced", async || {
        assert!(!next.is_finished(), "another leads while the fence may still be open");
        if stopped.handle.is_leader() { Err("it may still write") } else { Ok(()) }
    })
    .await;
    let next = next.await.unwrap();
    assert!(holder(env).await.starts_with("next_"));
    stopped.stopped.send(()).unwrap();
    tokio::time::timeout(WITHIN, stopped.lost).await.expect("it hears of its loss").unwrap();
    assert!(!stopped.handle.is_leader() && next.handle().is_leader());
    assert!(holder(env).await.starts_with("next_"), "the stopped one wrote the lease");
}
