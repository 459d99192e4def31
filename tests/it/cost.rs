//! Cost: what objects say is what the cloud bills, also through deaths; a budget keeps sandboxes from being made.

use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use sandbar::api::cost::LEAST_BILLED_SECONDS;
use sandbar::api::{PoolCost, SandboxPool, Usd};
use sandbar::cloudsim::admin::{Entry, Ledger};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::scene::{POOL, Scene, condition_reason};
use crate::wait::{wait_for, wait_for_all, wait_gone};
use crate::world::{PROGRAM, TestEnv};

/// The price of the pool's size, per hour.
const PRICE: &str = "0.017857141";
/// Longer than the proof of an end takes in these tests, in seconds.
const PROOF: i64 = 15;

fn usd(text: &str) -> Usd {
    text.parse().expect(text)
}

fn cost(pool: &SandboxPool) -> PoolCost {
    pool.status.as_ref().and_then(|status| status.cost.clone()).unwrap_or_default()
}

/// The least and the most that the pool may tell for these apps: exactly what the cloud bills for
/// those that lived less than a minute, and up to the proof of their end for the others.
fn bounds(ledger: &Ledger) -> (Usd, Usd) {
    let price = usd(PRICE);
    let life = |app: &Entry| app.gone.expect("it is gone").duration_since(app.created).as_secs();
    let sum = |more: i64| ledger.apps.iter().map(|app| price.over((life(app) + more).max(LEAST_BILLED_SECONDS))).sum();
    (sum(0), sum(PROOF))
}

/// Everything has ended, and the pool's cost is the cloud's bill.
async fn billed(env: &TestEnv) {
    let pool = wait_for(&env.api(), POOL, "all taken over", |pool: &SandboxPool| {
        pool.status.as_ref().is_some_and(|status| status.total == 0)
            && pool.spec.warm.target == 0
            && pool.status.as_ref().and_then(|status| status.observed_generation) == pool.metadata.generation
            && cost(pool).settling.is_empty()
    })
    .await;
    let (ledger, settled) = (env.sim.ledger_of(&env.account).await.expect("the books"), cost(&pool).settled_usd);
    assert!(!ledger.apps.is_empty());
    let (least, most) = bounds(&ledger);
    assert!(least <= settled && settled <= most, "{settled} USD, billed {least} to {most}: {ledger:#?}");
    // The cloud's own sum, in floats.
    let bill: f64 = ledger.apps.iter().map(|app| app.usd).sum();
    assert!(settled.as_f64() > bill - 1e-6, "{settled} USD, the cloud says {bill}");
    assert_eq!(cost(&pool).usd_per_hour, Usd::ZERO);
}

#[tokio::test]
async fn a_pool_costs_what_the_cloud_bills_s14() {
    let mut scene = Scene::start("cost").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    let pool = scene.level(2).await;
    assert_eq!(cost(&pool).usd_per_hour, usd(PRICE).times(2));
    scene.claim_one("run-1", "1s").await;
    scene.books_show("one has ended", |totals| totals.made >= 3).await;
    scene.operator.kill9().await;
    scene.operator.restart().await;
    scene.books_show("the claimed one is gone", |totals| totals.made >= 3 && totals.existing == 2).await;
    wait_for_all(&scene.sandboxes, "two members", |all| all.len() == 2).await;
    let told: Value = serde_json::from_str(&sandbar(&scene, &["cost", "-o", "json"]).await).expect("JSON");
    assert_eq!(told["pools"][0]["sandboxes"], 2);
    assert_eq!(told["sandboxes"].as_array().map(Vec::len), Some(2));
    assert!(told["pools"][0]["toDateUsd"].as_str().is_some_and(|text| usd(text) >= usd(PRICE).over(180)), "{told}");
    let table = sandbar(&scene, &["cost"]).await;
    assert!(table.contains("USD TO DATE") && table.contains("0.0357"), "{table}");
    let metrics = scene.operator.metrics().await;
    assert!(metrics.contains("sandbar_pool_usd_to_date") && metrics.contains("sandbar_pool_usd_per_hour"), "{metrics}");
    scene.scale(0).await;
    billed(&scene.env).await;
}

async fn sandbar(scene: &Scene, arguments: &[&str]) -> String {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--kubeconfig").arg(&scene.env.user_kubeconfig);
    let output = command.output().await.expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn failed_attempts_cost_too_s14() {
    use sandbar::cloudsim::admin::{Fault, Rule};
    let scene = Scene::start("cost-failed").await;
    let broken = Fault::FailedDeployment { code: "ImagePull".into(), message: "no such tag".into() };
    scene.env.sim.set_rules(&scene.env.account, [Rule::new(broken)]).await.expect("a rule");
    scene.pool(json!({"warm": {"target": 1}, "create": {"deadline": "5s"}})).await;
    scene.books_show("two attempts", |totals| totals.made >= 2).await;
    scene.scale(0).await;
    billed(&scene.env).await;
}

#[tokio::test]
async fn a_budget_is_set_aside_before_a_create() {
    let scene = Scene::start("budget-hour").await;
    scene.pool(json!({"warm": {"target": 3}, "budget": {"hourlyUsd": "0.04"}})).await;
    let pool = scene.pool_says("BudgetExceeded", "True", "HourlyBudget").await;
    let status = pool.status.expect("a status");
    let said = status.conditions.iter().find(|condition| condition.type_ == "BudgetExceeded").expect("it");
    for figure in ["2 sandboxes cost 0.0357 USD per hour", "one more costs 0.0179", "spec.budget.hourlyUsd is 0.04"] {
        assert!(said.message.contains(figure), "{}", said.message);
    }
    assert_eq!(condition_reason(&status.conditions, "Available"), "HourlyBudget");
    scene.level(2).await;
    scene.listings(3).await;
    assert_eq!(scene.totals().await.made, 2);

    scene.edit(json!({"budget": {"hourlyUsd": "0.06"}})).await;
    scene.pool_says("BudgetExceeded", "False", "AsExpected").await;
    scene.level(3).await;
    scene.edit(json!({"budget": {"hourlyUsd": "0.02"}})).await;
    scene.books_show("one is left", |totals| totals.existing == 1).await;
    scene.pool_says("BudgetExceeded", "True", "HourlyBudget").await;
    assert_eq!(scene.totals().await.made, 3);
    scene.sound(3).await;
}

#[tokio::test]
async fn a_monthly_budget_holds_from_the_first_create_on() {
    let scene = Scene::start("budget-month").await;
    // A claim may last an hour, and an hour of all is the margin: 0.0179 and 0.0179 for the first.
    let claims = json!({"defaultTTL": "10m", "maxTTL": "1h"});
    scene.pool(json!({"warm": {"target": 2}, "claims": claims, "budget": {"monthlyUsd": "0.05"}})).await;
    let pool = scene.pool_says("BudgetExceeded", "True", "MonthlyBudget").await;
    assert_eq!(pool.status.expect("a status").total, 1);
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 1);
}

#[tokio::test]
async fn members_go_although_nobody_can_take_their_cost_over() {
    let scene = Scene::start("cost-no-pool").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    // The garbage collector takes the members of a pool that was let go by force.
    scene.pools.delete(POOL, &DeleteParams::background()).await.expect("the pool can be deleted");
    let force = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    scene.pools.patch(POOL, &PatchParams::default(), &force).await.expect("its finalizer can be taken");
    wait_gone(&scene.pools, POOL).await;
    for member in scene.members().await {
        // Where the garbage collector did not come first.
        let _ = scene.sandboxes.delete(&member.name_any(), &DeleteParams::default()).await;
    }
    wait_for_all(&scene.sandboxes, "no member", |all| all.is_empty()).await;
    assert_eq!(scene.totals().await.existing, 0);
}

/// The operator dies around every write that hands a member's cost over.
#[cfg(feature = "failpoints")]
mod deaths {
    use super::billed;
    use crate::scene::{self, POOL};
    use crate::wait::{eventually, wait_for};
    use crate::world::{OperatorSpec, TestEnv, World};
    use futures::future::join_all;
    use kube::api::{Api, Patch, PatchParams, PostParams};
    use sandbar::api::{Sandbox, SandboxPool};
    use serde_json::json;
    use std::os::unix::process::ExitStatusExt;
    use std::pin::pin;
    use tokio::sync::Semaphore;

    /// The pool's writes, and the members': their status, and their finalizers.
    const SORTS: [(&str, u32); 3] = [("PUT sandboxpools", 4), ("PUT sandboxes", 6), ("PATCH sandboxes", 2)];
    /// More calls of one sort than a life can need.
    const MOST_CALLS: u32 = 40;
    static TURNS: Semaphore = Semaphore::const_new(6);

    #[tokio::test]
    async fn no_death_around_any_write_loses_or_doubles_a_cost_s14_s8() {
        let all = ["before", "after"].into_iter().flat_map(|when| SORTS.map(|sort| (when, sort)));
        join_all(all.map(|(when, (sort, least))| every_call(sort, least, when))).await;
    }

    async fn every_call(sort: &str, least: u32, when: &str) {
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
        let point = at.to_string();
        let spec = OperatorSpec::default()
            .args(&["--lease-duration", "6s"])
            .env("SANDBAR_CRASH_AT", &point)
            .env("SANDBAR_CRASH_WHEN", when)
            .env("SANDBAR_CRASH_ON", sort);
        let env = World::get().await.test(&format!("cost-{when}-{at}")).await;
        let mut operator = env.operator_unready(spec).await;
        let mut story = pin!(story(&env));
        let mut died = false;
        loop {
            tokio::select! {
                () = &mut story => return died,
                status = operator.ended() => {
                    died |= status.signal() == Some(9);
                    let at = if died { "0" } else { &point };
                    operator.restart_with(&[("SANDBAR_CRASH_AT", at)]).await;
                }
            }
        }
    }

    /// A warm member, a claim of it and its expiry, another member, and the end of both.
    async fn story(env: &TestEnv) {
        let (pools, sandboxes): (Api<SandboxPool>, Api<Sandbox>) = (env.api(), env.api());
        let pool = scene::pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}}));
        pools.create(&PostParams::default(), &pool).await.expect("the API server takes the pool");
        let users: Api<Sandbox> = env.user_api();
        let claimed = eventually("claimed", async || {
            let list = sandboxes.list(&Default::default()).await.map_err(|error| error.to_string())?;
            let free = list.items.into_iter().find(scene::is_free).ok_or("none is warm")?;
            scene::claim(&users, &free, "run-1", "1s").await.map_err(|error| error.to_string())
        })
        .await;
        wait_for(&sandboxes, &scene::name(&claimed), "another one, warm", |next: &Sandbox| {
            next.metadata.uid != claimed.metadata.uid && scene::is_free(next)
        })
        .await;
        let down = Patch::Merge(json!({"spec": {"warm": {"target": 0}}}));
        pools.patch(POOL, &PatchParams::default(), &down).await.expect("the API server takes the change");
        billed(env).await;
    }
}
