//! The operator dies at its n-th call of one sort, right before it leaves or
//! right after its answer came, for every sort of call that changes something
//! and every n of one whole life: pool, warm member, claim, expiry, refill, end
//! of the pool. Another operator takes over, and the end is the same as without
//! a death (S8).

use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::time::Duration;

use futures::future::join_all;
use kube::api::{Api, DeleteParams, PostParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::cloudsim::admin::{AccountSettings, Seconds};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::scene::{self, POOL};
use crate::wait::eventually_within;
use crate::world::{OperatorSpec, TestEnv, World, quick_account};

/// Sorts of calls, and how many of each a life has at the least.
const SORTS: [(&str, u32); 8] = [
    // Members, and the Secrets with their agents' tokens.
    ("POST", 2),
    ("PUT sandboxpools", 3),
    ("PUT sandboxes", 5),
    // Finalizers of pool, credentials and members.
    ("PATCH", 4),
    ("DELETE", 2),
    // At the provider.
    ("create", 1),
    ("delete", 2),
    ("list", 2),
];
/// Lives that run side by side: they wait more than they compute.
static TURNS: Semaphore = Semaphore::const_new(8);
/// More calls of one sort than a life can need.
const MOST_CALLS: u32 = 60;
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

async fn every_call(when: &str) {
    join_all(SORTS.map(|(sort, least)| every_call_of(sort, least, when))).await;
}

/// Goes through the calls of one sort until a life has fewer of them.
async fn every_call_of(sort: &str, least: u32, when: &str) {
    for at in 1..=MOST_CALLS {
        let _turn = TURNS.acquire().await.expect("nobody closes it");
        if !life(sort, at, when).await {
            assert!(at > least, "a life has only {} calls of sort {sort:?}", at - 1);
            return;
        }
    }
    panic!("a life has more than {MOST_CALLS} calls of sort {sort:?}");
}

/// One life with a death at this call. False if it had no such call.
async fn life(sort: &str, at: u32, when: &str) -> bool {
    let env = World::get().await.test_with(&format!("crash-{when}-{at}"), account).await;
    let point = at.to_string();
    // Listings are calls too: there are as few of them as the work needs.
    let spec = OperatorSpec::default()
        .args(&["--lease-duration", "6s", "--listing-period", "1s", "--listing-slow", "60s"])
        .env("SANDBAR_CRASH_AT", &point)
        .env("SANDBAR_CRASH_WHEN", when)
        .env("SANDBAR_CRASH_ON", sort);
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
    assert_eq!(ledger.existing().count(), 0, "left over after a death {when} {sort} {at}: {ledger:#?}");
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
