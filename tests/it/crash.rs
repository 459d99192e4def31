//! The operator dies at its n-th API write or provider call, right before it
//! leaves or right after its answer came, for every n of one whole life: pool,
//! warm member, claim, expiry, end of the pool. Another operator takes over,
//! and the end is the same as without a death (S8).

use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::join_all;
use kube::api::{Api, DeleteParams, PostParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::cloudsim::admin::{AccountSettings, Seconds};
use serde_json::json;

use crate::scene::{self, POOL};
use crate::wait::eventually_within;
use crate::world::{OperatorSpec, TestEnv, World, quick_account};

/// Lives that run side by side: they wait more than they compute.
const AT_ONCE: usize = 5;
/// More calls than one life can need; that it ends by itself is asserted.
const MOST_CALLS: u32 = 300;
/// Finalizers, Secrets, statuses, create, listings, delete and its proof at the least.
const LEAST_CALLS: u32 = 15;
/// The bound of every wait: a lease has to run out in it, next to many others.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_death_before_any_call_changes_nothing_s8() {
    every_call("before").await;
}

#[tokio::test]
async fn a_death_after_any_call_changes_nothing_s8() {
    every_call("after").await;
}

/// Goes through the calls until a life has fewer of them.
async fn every_call(when: &str) {
    let next = AtomicU32::new(1);
    let enough = AtomicU32::new(MOST_CALLS);
    let worker = async || {
        let mut deaths = 0;
        loop {
            let at = next.fetch_add(1, Ordering::SeqCst);
            if at >= enough.load(Ordering::SeqCst) {
                return deaths;
            }
            if life(at, when).await {
                deaths += 1;
            } else {
                enough.fetch_min(at, Ordering::SeqCst);
            }
        }
    };
    let deaths: u32 = join_all((0..AT_ONCE).map(|_| worker())).await.into_iter().sum();
    assert!(enough.into_inner() < MOST_CALLS, "no life had fewer than {MOST_CALLS} calls");
    assert!(deaths >= LEAST_CALLS, "only {deaths} calls were found to die at");
}

/// One life with a death at this call. False if it had no such call.
async fn life(at: u32, when: &str) -> bool {
    let env = World::get().await.test_with(&format!("crash-{when}-{at}"), account).await;
    let point = at.to_string();
    // Listings are calls too: there are as few of them as the work needs.
    let spec = OperatorSpec::default()
        .args(&["--listing-period", "1s", "--listing-slow", "60s"])
        .env("SANDBAR_CRASH_AT", &point)
        .env("SANDBAR_CRASH_WHEN", when);
    let mut operator = env.operator_unready(spec).await;
    let mut story = pin!(story(&env));
    let mut died = false;
    loop {
        tokio::select! {
            () = &mut story => break,
            status = operator.ended() => {
                died |= status.signal() == Some(9);
                let at = if died { "0" } else { &point };
                operator.restart_with(&[("SANDBAR_CRASH_AT", at)]).await;
            }
        }
    }
    let ledger = env.sim.ledger_of(&env.account).await.expect("the books");
    assert_eq!(ledger.existing().count(), 0, "left over after a death {when} call {at}: {ledger:#?}");
    scene::sound(&ledger, &env.account, 1);
    died
}

fn account(token: String) -> AccountSettings {
    let mut account = quick_account(token);
    account.timings.ready_seconds = Seconds::Fixed(0.1);
    account.timings.delete_seconds = Seconds::Fixed(0.1);
    account
}

/// A pool of one, a claim of a second, its expiry, and the end of the pool.
async fn story(env: &TestEnv) {
    let (pools, sandboxes): (Api<SandboxPool>, Api<Sandbox>) = (env.api(), env.api());
    let pool = scene::pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}}));
    pools.create(&PostParams::default(), &pool).await.expect("the API server takes the pool");
    let users: Api<Sandbox> = env.user_api();
    let claimed = eventually_within(PATIENCE, "claimed", async || {
        let list = sandboxes.list(&Default::default()).await.map_err(|error| error.to_string())?;
        let free = list.items.into_iter().find(scene::is_free).ok_or("none is warm")?;
        scene::claim(&users, &free, "run-1", "1s").await.map_err(|error| error.to_string())
    })
    .await;
    let name = scene::name(&claimed);
    eventually_within(PATIENCE, "expired and gone", async || match sandboxes.get_opt(&name).await {
        Ok(found) if found.as_ref().is_none_or(|found| found.metadata.uid != claimed.metadata.uid) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    pools.delete(POOL, &DeleteParams::default()).await.expect("the pool can be deleted");
    eventually_within(PATIENCE, "the pool gone", async || match pools.get_opt(POOL).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
