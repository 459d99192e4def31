//! Creates that fail, are lost, refused, or limited.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use sandbar::api::SandboxPool;
use sandbar::cloudsim::admin::{Call, Fault, Op, Rule, Seconds, Shape};
use serde_json::json;

use crate::scene::{POOL, Scene, UID_MARK, condition_reason};
use crate::wait::{holds, wait_for_within};
use crate::world::{OperatorSpec, quick_account};

fn outage() -> Rule {
    Rule::new(Fault::ErrorBefore(Shape::Html { status: 503 })).on([Op::List, Op::Get, Op::Propose])
}

async fn set(scene: &Scene, rules: impl Into<Vec<Rule>>) {
    scene.env.sim.set_rules(&scene.env.account, rules).await.expect("the faults are taken");
}

async fn heal(scene: &Scene) {
    scene.env.sim.clear_faults(&scene.env.account).await.expect("the faults are cleared");
}

/// Waits until so many calls of this kind failed.
async fn failed(scene: &Scene, op: Op, times: usize) {
    scene
        .within(&format!("{times} failed calls"), async || {
            let calls = scene.calls(0).await;
            let bad =
                calls.iter().filter(|call| call.op == op && call.status.is_none_or(|status| status >= 400)).count();
            if bad >= times { Ok(()) } else { Err(format!("{bad}")) }
        })
        .await;
}

#[tokio::test]
async fn a_lost_reply_leaves_one_app_s1() {
    let scene = Scene::start("lost-reply").await;
    scene.pool(json!({"warm": {"target": 0}})).await;
    scene.level(0).await;
    // Longer than the create time-out: the operator gives up first.
    let hang = Shape::Hang { seconds: 6.0 };
    for (warm, shape) in [(1, Shape::server_error()), (2, Shape::Html { status: 504 }), (3, Shape::Reset {}), (4, hang)]
    {
        set(&scene, [Rule::new(Fault::ErrorAfter(shape)).on([Op::Create]).times(1)]).await;
        scene.scale(warm).await;
        scene.level(warm).await;
    }
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (4, 4));
    scene.sound(4).await;
    scene.delete_pool().await;
}

#[tokio::test]
async fn a_create_that_fails_before_its_effect_is_sent_again() {
    let scene = Scene::start("no-effect").await;
    set(&scene, [Rule::new(Fault::ErrorBefore(Shape::server_error())).on([Op::Create]).times(2)]).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    assert_eq!((scene.totals().await.made, scene.count(Op::Create).await), (1, 3));
    scene.sound(1).await;
}

#[tokio::test]
async fn lost_replies_and_a_lagging_listing_make_no_second_app_s1() {
    let operator = OperatorSpec::default().args(&["--visibility-grace", "3s"]);
    let lagging = |token: String| {
        let mut account = quick_account(token);
        account.timings.list_lag_seconds = Seconds::Fixed(2.0);
        account
    };
    let scene = Scene::with("lag", lagging, operator).await;
    set(&scene, [Rule::new(Fault::ErrorAfter(Shape::Reset {})).on([Op::Create]).chance(0.6)]).await;
    scene.pool(json!({"warm": {"target": 3}})).await;
    scene.level(3).await;
    assert_eq!(scene.totals().await.made, 3);
    heal(&scene).await;
    scene.delete_pool().await;
    scene.sound(3).await;
}

#[tokio::test]
async fn an_outage_of_reads_causes_no_create_and_no_delete_s3() {
    let scene = Scene::start("outage").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    let since = scene.calls(0).await.last().map_or(0, |call| call.seq);
    set(&scene, [outage()]).await;
    failed(&scene, Op::List, 3).await;
    let wrote = |calls: &[Call]| calls.iter().filter(|call| matches!(call.op, Op::Create | Op::Delete)).count();
    assert_eq!(wrote(&scene.calls(since).await), 0);
    heal(&scene).await;
    scene.listings(1).await;
    assert_eq!(wrote(&scene.calls(since).await), 0);
    scene.level(2).await;
    scene.sound(2).await;
}

#[tokio::test]
async fn an_unclear_create_is_not_repeated_while_nothing_can_be_read_s3() {
    let scene = Scene::start("unclear").await;
    scene.pool(json!({"warm": {"target": 0}})).await;
    scene.level(0).await;
    let lost = Rule::new(Fault::ErrorAfter(Shape::Reset {})).on([Op::Create]).times(1);
    set(&scene, [lost, outage()]).await;
    scene.scale(1).await;
    scene.books_show("made, and nobody was told", |totals| totals.made == 1).await;
    let before = scene.calls(0).await.iter().filter(|call| call.op == Op::List && call.status == Some(503)).count();
    failed(&scene, Op::List, before + 3).await;
    assert_eq!((scene.count(Op::Create).await, scene.count(Op::Delete).await), (1, 0));
    heal(&scene).await;
    scene.level(1).await;
    assert_eq!(scene.totals().await.made, 1);
    scene.sound(1).await;
}

#[tokio::test]
async fn failed_attempts_back_off_and_say_so_s13() {
    // Seldom enough that a minute of listings leaves room in the rate budget.
    let operator = OperatorSpec::default().args(&["--listing-period", "1s"]);
    let scene = Scene::with("failing", quick_account, operator).await;
    set(&scene, [Rule::new(Fault::StuckDeployment {})]).await;
    let create = json!({"deadline": "2s", "maxAttempts": 2, "backoff": {"initial": "4s", "max": "8s"}});
    scene.pool(json!({"warm": {"target": 2}, "create": create})).await;
    let pool = scene
        .pool_shows("two failed members recorded", |status| {
            status.failures.as_ref().is_some_and(|failures| failures.consecutive >= 2)
        })
        .await;
    // Two members with two attempts each, and then nobody for eight seconds.
    let made = scene.ledger().await.apps;
    assert_eq!(made.len(), 4, "{made:#?}");
    let mut attempts: BTreeMap<&String, usize> = BTreeMap::new();
    for app in &made {
        *attempts.entry(&app.marks[UID_MARK]).or_default() += 1;
    }
    assert!(attempts.values().all(|attempts| *attempts == 2), "{attempts:?}");
    assert_eq!(scene.totals().await.existing, 0, "a failed member has no instance");
    assert_eq!(pool.status.unwrap().failures.unwrap().last_reason, "DeadlineExceeded");
    scene.pool_says("Degraded", "True", "BackingOff").await;
    scene.pool_says("Available", "False", "BackingOff").await;

    heal(&scene).await;
    scene.level(2).await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    let apps = scene.ledger().await.apps;
    let pause = apps[4].created.duration_since(apps[3].gone.unwrap());
    assert!(pause >= SignedDuration::from_secs(5), "the next try came after {pause:#}");
    // While it had failed, one was tried at a time.
    assert!(apps[5].created >= apps[4].ready.unwrap(), "{apps:#?}");
    scene.sound(2).await;
}

#[tokio::test]
async fn a_failed_deployment_is_told_in_the_providers_words_s13() {
    // Only after a minute is an app without a deployment taken for a failed one, so the rhythm is slower too.
    let operator = OperatorSpec::default().args(&["--listing-period", "2s"]);
    let scene = Scene::with("failed", quick_account, operator).await;
    let fault = Fault::FailedDeployment { code: "DeployContainerExitNonZero".into(), message: "exit 1".into() };
    set(&scene, [Rule::new(fault).times(1)]).await;
    let create = json!({"deadline": "5m", "maxAttempts": 1, "backoff": {"initial": "1s", "max": "1s"}});
    scene.pool(json!({"warm": {"target": 1}, "create": create})).await;
    let failed = |pool: &SandboxPool| pool.status.as_ref().is_some_and(|status| status.failures.is_some());
    let within = Duration::from_secs(120);
    let pool = wait_for_within(within, &scene.pools, POOL, "a failure recorded", failed).await;
    let record = pool.status.unwrap().failures.unwrap();
    assert_eq!(record.last_reason, "DeploymentFailed");
    assert!(record.last_message.contains("exit 1"), "{}", record.last_message);
    scene.level(1).await;
    scene.sound(1).await;
}

#[tokio::test]
async fn a_stuck_deployment_ends_at_its_deadline_s13() {
    let scene = Scene::start("stuck").await;
    set(&scene, [Rule::new(Fault::StuckDeployment {}).times(1)]).await;
    scene.pool(json!({"warm": {"target": 1}, "create": {"deadline": "5s"}})).await;
    scene.level(1).await;
    let apps = scene.ledger().await.apps;
    assert_eq!(apps.len(), 2, "{apps:#?}");
    assert_eq!(apps[0].marks[UID_MARK], apps[1].marks[UID_MARK], "the second attempt of one member");
    scene.sound(1).await;
}

#[tokio::test]
async fn a_refused_spec_is_not_tried_again_until_it_is_edited() {
    let scene = Scene::start("invalid").await;
    // With its lists at hand the operator would see the bad size before any create.
    let outage = Rule::new(Fault::ErrorBefore(Shape::Html { status: 502 })).on([Op::Sizes, Op::Regions]);
    set(&scene, [outage]).await;
    scene.pool(json!({"provider": {"digitalOcean": {"size": "apps-s-99vcpu-1gb"}}})).await;
    scene.pool_says("Degraded", "True", "InvalidSpec").await;
    let pool = scene.pool_says("Available", "False", "InvalidSpec").await;
    let message = pool.status.unwrap().failures.unwrap().last_message;
    assert!(message.contains("apps-s-99vcpu-1gb"), "{message}");
    scene.pool_shows("the failed members gone", |status| status.total == 0).await;
    let tried = scene.count(Op::Create).await;
    assert!((1..=2).contains(&tried), "{tried} creates");
    scene.listings(3).await;
    assert_eq!(scene.count(Op::Create).await, tried, "no more creates");

    scene.edit(json!({"provider": {"digitalOcean": {"size": "apps-s-1vcpu-0.5gb"}}})).await;
    scene.level(2).await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    assert_eq!(scene.totals().await.made, 2);
    scene.sound(2).await;
}

/// When the first 429 came, and the first call after it. Calls that were on the way at that moment do not count.
async fn after_429(scene: &Scene) -> (Call, Option<Call>) {
    let refused = scene
        .within("a 429", async || {
            let calls = scene.calls(0).await;
            calls.into_iter().find(|call| call.status == Some(429)).ok_or_else(|| "none yet".to_owned())
        })
        .await;
    let later = |call: &Call| call.time.duration_since(refused.time) > SignedDuration::from_millis(300);
    let next = scene.calls(refused.seq).await.into_iter().find(later);
    (refused, next)
}

#[tokio::test]
async fn the_provider_gets_the_pause_that_it_asks_for_s12() {
    let scene = Scene::start("limited").await;
    set(&scene, [Rule::new(Fault::TooManyRequests { retry_after: Some(3) }).on([Op::Create]).times(1)]).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    let (refused, next) = after_429(&scene).await;
    let pause = next.expect("a call after it").time.duration_since(refused.time);
    assert!(pause >= SignedDuration::from_millis(2900), "{pause:#} after a 429 that asked for 3 s");
    assert_eq!(scene.totals().await.made, 1);
    scene.sound(1).await;
}

#[tokio::test]
async fn a_used_up_hour_is_waited_for_in_silence_s12() {
    // Without retry-after it is the hour that is used up; `ratelimit-reset` says until when.
    let scene = Scene::start("hour").await;
    set(&scene, [Rule::new(Fault::TooManyRequests { retry_after: None }).on([Op::Create]).times(1)]).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    let member = format!("{POOL}-0");
    scene
        .shows(&member, "RateLimited", |member| {
            let status = member.status.as_ref();
            status.is_some_and(|status| condition_reason(&status.conditions, "ProviderReachable") == "RateLimited")
        })
        .await;
    holds(Duration::from_secs(4), "silent", async || match after_429(&scene).await {
        (_, None) => Ok(()),
        (_, Some(call)) => Err(format!("{call:?}")),
    })
    .await;
}
