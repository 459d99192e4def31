//! The provider's bad days: reads that fail or crawl, gateways that give up, answers that lag.

use jiff::SignedDuration;
use sandbar::cloudsim::admin::{Call, Entry, Fault, Op, Rule, Seconds, Shape};
use serde_json::json;

use crate::scene::{Scene, UID_MARK, condition_reason, name};
use crate::wait::wait_gone;
use crate::world::{OperatorSpec, quick_account};

/// Everything that changes nothing.
const READS: [Op; 5] = [Op::List, Op::Get, Op::Propose, Op::Account, Op::Deployments];
/// A real operator lists every 10 s, these every half second: everything is twenty times as quick, faults too.
const PACE: f64 = 20.0;

async fn set(scene: &Scene, rule: Rule) {
    scene.env.sim.set_rules(&scene.env.account, [rule]).await.expect("the fault is taken");
}

async fn heal(scene: &Scene) {
    scene.env.sim.clear_faults(&scene.env.account).await.expect("the faults are cleared");
}

async fn newest_call(scene: &Scene) -> u64 {
    scene.calls(0).await.last().map_or(0, |call| call.seq)
}

/// Waits until a listing works again, and gives the calls from `since` until then.
async fn dark_calls(scene: &Scene, since: u64) -> Vec<Call> {
    scene
        .within("listed again after it failed", async || {
            let calls = scene.calls(since).await;
            let failed = calls.iter().position(|call| call.op == Op::List && call.status != Some(200));
            let lit =
                |from: usize| calls[from..].iter().position(|call| call.op == Op::List && call.status == Some(200));
            match failed.and_then(|from| Some(from + lit(from)?)) {
                Some(end) => Ok(calls[..end].to_vec()),
                None => Err(format!("{} calls", calls.len())),
            }
        })
        .await
}

fn count(calls: &[Call], op: Op) -> usize {
    calls.iter().filter(|call| call.op == op).count()
}

#[tokio::test]
async fn ten_minutes_without_reads_make_nothing_and_lose_nothing_s3() {
    let scene = Scene::start("dark").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    let since = newest_call(&scene).await;
    let outage = Rule::new(Fault::ErrorBefore(Shape::Html { status: 503 })).on(READS).for_seconds(600.0 / PACE);
    set(&scene, outage).await;
    scene.pool_says("ProviderReachable", "False", "ProviderUnavailable").await;
    // In the dark one is claimed and runs out, and more are wanted.
    let held = scene.claim_one("run-1", "3s").await;
    let app = scene.app_of(&held).await;
    scene.scale(3).await;
    scene.shows(&name(&held), "its time is over", |member| member.is_deleting()).await;
    let dark = dark_calls(&scene, since).await;
    assert_eq!(count(&dark, Op::Create), 0, "nothing is made while nothing can be read: {dark:#?}");
    let theirs = format!("/v2/apps/{}", app.id);
    let deletes: Vec<&Call> = dark.iter().filter(|call| call.op == Op::Delete).collect();
    assert!(deletes.iter().all(|call| call.path == theirs), "only what ran out is deleted: {deletes:#?}");

    scene.level(3).await;
    wait_gone_or_other(&scene, &held).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (4, 3), "two, and two more for the claimed one and the third");
    scene.sound(4).await;
    scene.delete_pool().await;
}

/// Waits until this very member is gone; another may have its slot by then.
async fn wait_gone_or_other(scene: &Scene, member: &sandbar::api::Sandbox) {
    scene
        .within("the member gone", async || match scene.sandboxes.get_opt(&name(member)).await {
            Ok(found) if found.as_ref().is_none_or(|found| found.metadata.uid != member.metadata.uid) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
}

#[tokio::test]
async fn slow_reads_while_scaling_up_make_nothing_twice_s1() {
    let scene = Scene::start("slow-reads").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    // Slower than everything else, and quicker than the time-out.
    set(&scene, Rule::new(Fault::Slow { seconds: 1.5 }).on(READS)).await;
    scene.scale(3).await;
    scene.level(3).await;
    // Slower than the time-out: an answer that comes too late is none.
    set(&scene, Rule::new(Fault::Slow { seconds: 4.0 }).on(READS)).await;
    scene.scale(4).await;
    scene.pool_says("ProviderReachable", "False", "ProviderUnavailable").await;
    heal(&scene).await;
    scene.level(4).await;
    assert_eq!((scene.totals().await.made, scene.count(Op::Create).await), (4, 4));
    scene.sound(4).await;
}

#[tokio::test]
async fn creates_that_all_answer_504_after_their_effect_make_one_app_each_s1() {
    let scene = Scene::start("gateway").await;
    set(&scene, Rule::new(Fault::ErrorAfter(Shape::Html { status: 504 })).on([Op::Create])).await;
    scene.pool(json!({"warm": {"target": 3}})).await;
    scene.level(3).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (3, 3));
    let calls = scene.calls(0).await;
    assert!(calls.iter().filter(|call| call.op == Op::Create).all(|call| call.status != Some(200)), "{calls:#?}");
    scene.sound(3).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn when_every_third_create_fails_the_level_is_reached_all_the_same() {
    let scene = Scene::start("third").await;
    set(&scene, Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::Create]).every(3)).await;
    scene.pool(json!({"warm": {"target": 4}})).await;
    scene.level(4).await;
    for run in 1..=3 {
        let held = scene.claim_one(&format!("run-{run}"), "1s").await;
        wait_gone_or_other(&scene, &held).await;
        scene.level(4).await;
    }
    let calls = scene.calls(0).await;
    let failed = calls.iter().filter(|call| call.op == Op::Create && call.status == Some(500)).count();
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (7, 4), "four, and one for each claim");
    assert!(failed >= 2, "of {} creates {failed} failed", count(&calls, Op::Create));
    assert_eq!(count(&calls, Op::Create), 7 + failed, "each that failed was sent once more");
    scene.sound(4).await;
}

#[tokio::test]
async fn creates_that_are_stuck_for_ever_are_few_and_leave_nothing_s5_s13() {
    let operator = OperatorSpec::default().args(&["--listing-period", "1s"]);
    let scene = Scene::with("stuck-all", quick_account, operator).await;
    set(&scene, Rule::new(Fault::StuckDeployment {})).await;
    let create = json!({"deadline": "2s", "maxAttempts": 2, "backoff": {"initial": "1s", "max": "4s"}});
    let patch = json!({"warm": {"target": 3}, "create": create, "claims": {"waitTimeout": "15s"}, "onEmpty": "Wait"});
    scene.pool(patch).await;
    scene.request("waiting", json!({})).await;
    let waited = scene.ended("waiting", "WaitTimeout").await;
    assert!(waited.status.is_some_and(|status| status.claimed_at.is_none()), "there was nothing to claim");
    scene
        .pool_shows("many failures", |status| {
            status.failures.as_ref().is_some_and(|failures| failures.consecutive >= 3)
        })
        .await;
    let made = scene.ledger().await.apps;
    let stuck = |app: &&Entry| app.ready.is_none();
    assert!(made.iter().all(|app| stuck(&app)), "{made:#?}");
    // Two at once at first, and one by one since the first failure.
    let totals = scene.totals().await;
    assert!(totals.peak <= 2 && totals.made <= 12, "{totals:?}");
    heal(&scene).await;
    scene.level(3).await;
    scene.sound(4).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn a_listing_a_minute_behind_makes_nothing_twice_and_loses_nothing_s1_s4() {
    // The lag is as long as the grace: 60 s in earnest.
    let grace = format!("{}ms", 60_000.0 / PACE);
    let operator = OperatorSpec::default().args(&["--visibility-grace", &grace]);
    let behind = |token: String| {
        let mut account = quick_account(token);
        account.timings.list_lag_seconds = Seconds::Fixed(60.0 / PACE);
        account
    };
    let scene = Scene::with("behind", behind, operator).await;
    set(&scene, Rule::new(Fault::ErrorAfter(Shape::Reset {})).on([Op::Create]).every(2)).await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    let held = scene.claim_one("run-1", "2s").await;
    wait_gone_or_other(&scene, &held).await;
    scene.level(2).await;
    let uid = held.metadata.uid.as_ref();
    let of_held = scene.ledger().await.apps.into_iter().filter(|app| app.marks.get(UID_MARK) == uid).count();
    assert_eq!((of_held, scene.totals().await.made), (1, 3));
    scene.scale(0).await;
    scene.level(0).await;
    scene.books_show("nothing", |totals| totals.existing == 0).await;
    assert_eq!(scene.totals().await.made, 3, "an app that a listing still shows is not made anew");
    scene.delete_pool().await;
    scene.sound(3).await;
}

#[tokio::test]
async fn a_storm_of_429_is_waited_out_and_costs_no_app_s12() {
    let scene = Scene::start("storm").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    let since = newest_call(&scene).await;
    let storm = Rule::new(Fault::TooManyRequests { retry_after: Some(1) }).chance(0.8).for_seconds(300.0 / PACE);
    set(&scene, storm).await;
    let held = scene.claim_one("run-1", "2s").await;
    scene.scale(3).await;
    scene.level(3).await;
    wait_gone_or_other(&scene, &held).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (4, 3), "one claimed, and three");
    // Each refusal shuts everything for a second: what follows at once was on its way, and that is little.
    let calls = scene.calls(since).await;
    let refused: Vec<&Call> = calls.iter().filter(|call| call.status == Some(429)).collect();
    assert!(!refused.is_empty());
    let lasted = refused[refused.len() - 1].time.duration_since(refused[0].time);
    let seconds = usize::try_from(lasted.as_secs()).unwrap() + 1;
    assert!(refused.len() <= 6 * seconds, "{} refused calls in {lasted:#}", refused.len());
    assert!(lasted <= SignedDuration::from_secs(20), "nobody was refused after the storm: {lasted:#}");
    scene.sound(4).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn a_revoked_token_stops_everything_and_a_restored_one_goes_on_s3_s4() {
    let scene = Scene::start("restored").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    scene.env.sim.revoke_token(&scene.env.token).await.unwrap();
    scene.pool_says("ProviderReachable", "False", "CredentialsRejected").await;
    // Work that cannot be done: one claim runs out, and more are wanted.
    let held = scene.claim_one("run-1", "3s").await;
    scene.scale(3).await;
    let kept = scene
        .shows(&name(&held), "kept without a proof", |member| {
            let status = member.status.as_ref();
            let reason = status.map(|status| condition_reason(&status.conditions, "ProviderReachable"));
            member.is_deleting() && reason == Some("CredentialsRejected")
        })
        .await;
    assert!(kept.metadata.finalizers.is_some_and(|finalizers| !finalizers.is_empty()));
    assert_eq!((scene.totals().await.made, scene.totals().await.existing), (2, 2));

    scene.env.sim.put_account(&scene.env.account, &quick_account(scene.env.token.clone())).await.unwrap();
    scene.level(3).await;
    wait_gone_or_other(&scene, &held).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (4, 3));
    scene.pool_says("ProviderReachable", "True", "AsExpected").await;
    scene.sound(4).await;
    scene.delete_pool().await;
    wait_gone(&scene.sandboxes, &name(&held)).await;
}
