//! A pool holds its level: exactly, silently, through kills, scaling and age.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::{ListParams, PostParams};
use sandbar::cloudsim::admin::{Op, Seconds, State};
use serde_json::{Value, json};

use crate::scene::{POOL, Scene, fewest_ready, living, name, pool, request};
use crate::wait::{wait_for, wait_gone};
use crate::world::TestEnv;

#[tokio::test]
async fn a_level_pool_makes_no_write_anywhere_s10() {
    let scene = Scene::start("silent").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    // The status of the last pass, and the slow rhythm of listings, are reached one listing later.
    scene.listings(2).await;
    let before = scene.versions().await;
    let since = scene.calls(0).await.last().map_or(0, |call| call.seq);
    scene.listings(4).await;
    assert_eq!(scene.versions().await, before);
    let asked: BTreeSet<Op> = scene.calls(since).await.into_iter().map(|call| call.op).collect();
    assert!(asked.is_subset(&BTreeSet::from([Op::List, Op::Account])), "{asked:?}");
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (2, 2));
    // One create call each: nothing was tried twice.
    assert_eq!(scene.count(Op::Create).await, 2);
}

#[tokio::test]
async fn scaling_goes_up_at_once_and_down_to_the_new_target() {
    let scene = Scene::start("scale").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.scale(3).await;
    let pool = scene.level(3).await;
    let selector = pool.status.and_then(|status| status.selector).expect("a selector for kubectl and autoscalers");
    let selected = scene.sandboxes.list(&ListParams::default().labels(&selector)).await.expect("a list");
    assert_eq!(selected.items.len(), 3);
    assert_eq!(scene.pools.get_scale(POOL).await.expect("a scale").status.map(|status| status.replicas), Some(3));

    scene.scale(1).await;
    scene.level(1).await;
    scene.books_show("one app", |totals| totals.existing == 1).await;
    assert_eq!(scene.totals().await.made, 3, "nothing was made while scaling down");
    scene.sound(4).await;
}

#[tokio::test]
async fn a_lowered_limit_drains_the_slots_above_it() {
    let scene = Scene::start("limit").await;
    scene.pool(json!({"warm": {"target": 3}})).await;
    scene.level(3).await;
    let highest = format!("{POOL}-2");
    assert!(scene.members().await.iter().any(|member| name(member) == highest));
    scene.edit(json!({"warm": {"target": 2}, "limits": {"maxSandboxes": 2}})).await;
    wait_gone(&scene.sandboxes, &highest).await;
    scene.level(2).await;
    let names: Vec<String> = scene.members().await.iter().map(name).collect();
    assert_eq!(names, [format!("{POOL}-0"), format!("{POOL}-1")]);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_kill_in_the_middle_of_creates_makes_nothing_twice_s8() {
    // The answer to a create comes a second after its effect: the kill falls between the two.
    let mut scene = Scene::on("kill", |mut account| {
        account.timings.create_call_seconds = Seconds::Fixed(1.0);
        account
    })
    .await;
    scene.pool(json!({"warm": {"target": 3}, "limits": {"maxSandboxes": 3}})).await;
    for made in [1, 3] {
        scene.books_show("an app is being made", |totals| totals.made >= made).await;
        scene.operator.kill9().await;
        scene.operator.restart().await;
    }
    scene.level(3).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.peak, totals.existing), (3, 3, 3));
    scene.sound(3).await;
}

#[tokio::test]
async fn a_deleted_pool_goes_after_the_last_of_its_apps_s4() {
    let scene = Scene::on("delete", |mut account| {
        account.timings.delete_seconds = Seconds::Fixed(1.5);
        account
    })
    .await;
    scene.pool(json!({"warm": {"target": 3}})).await;
    scene.level(3).await;
    scene.delete_pool().await;
    assert!(scene.members().await.is_empty());
    assert_eq!(scene.totals().await.made, 3);
}

#[tokio::test]
async fn a_pool_deleted_in_the_middle_of_creates_leaves_nothing_s4() {
    let scene = Scene::on("delete-early", |mut account| {
        account.timings.create_call_seconds = Seconds::Fixed(1.0);
        account.timings.ready_seconds = Seconds::Fixed(20.0);
        account
    })
    .await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.books_show("an app is being made", |totals| totals.made >= 1).await;
    scene.delete_pool().await;
    scene.sound(2).await;
}

#[tokio::test]
async fn without_demand_nothing_is_kept_warm_s11() {
    let scene = Scene::start("demand").await;
    scene.pool(json!({"warm": {"target": 2, "activation": "OnFirstClaim", "idleTimeout": "12s"}})).await;
    scene.pool_says("Idle", "True", "NoDemand").await;
    scene.listings(3).await;
    assert_eq!(scene.totals().await.made, 0, "nothing before the first claim");

    scene.request("first", json!({"ttl": "2s"})).await;
    scene.ready("first").await;
    scene.pool_shows("the target after a claim", |status| status.warm == 2).await;

    scene.ended("first", "Expired").await;
    scene.pool_says("Idle", "True", "NoDemand").await;
    scene.books_show("nothing again", |totals| totals.existing == 0).await;
    scene.pool_shows("no members", |status| status.total == 0).await;
    scene.sound(4).await;
}

#[tokio::test]
async fn old_members_are_replaced_without_going_below_the_level() {
    let scene = Scene::start("age").await;
    scene.pool(json!({"warm": {"target": 2, "maxAge": "10s"}})).await;
    scene.level(2).await;
    let since = jiff::Timestamp::now();
    let first: BTreeSet<String> = scene.ledger().await.apps.into_iter().map(|app| app.id).collect();
    scene
        .within("all of the first are replaced", async || {
            let ledger = scene.ledger().await;
            let old = living(&ledger).iter().filter(|app| first.contains(&app.id)).count();
            if old == 0 { Ok(()) } else { Err(format!("{old} left")) }
        })
        .await;
    let ledger = scene.ledger().await;
    assert!(fewest_ready(&ledger, since) >= 2, "{ledger:#?}");
    scene.sound(4).await;
}

#[tokio::test]
async fn where_no_slot_is_free_old_members_go_one_by_one() {
    let scene = Scene::start("age-full").await;
    scene.pool(json!({"warm": {"target": 2, "maxAge": "10s"}, "limits": {"maxSandboxes": 2}})).await;
    scene.level(2).await;
    scene.books_show("both are replaced", |totals| totals.made >= 4).await;
    scene.level(2).await;
    scene.sound(2).await;
}

#[tokio::test]
async fn what_is_not_ours_is_never_touched_s9() {
    let scene = Scene::start("foreign").await;
    // One with a name like ours, one marked by another installation, one with our marks and a name of its own.
    let marks = |installation: &str| {
        BTreeMap::from([
            ("SANDBAR_INSTALLATION", installation.to_owned()),
            ("SANDBAR_NAMESPACE", scene.env.namespace.clone()),
            ("SANDBAR_NAME", format!("{POOL}-0")),
            ("SANDBAR_UID", "00000000-0000-0000-0000-000000000000".to_owned()),
            ("SANDBAR_ATTEMPT", "1".to_owned()),
            ("SANDBAR_POOL_UID", "00000000-0000-0000-0000-000000000001".to_owned()),
            ("SANDBAR_SPEC_HASH", "x".to_owned()),
        ])
    };
    foreign(&scene.env, "sb-abcdefghijklmnopqrstuvwx23", BTreeMap::new()).await;
    foreign(&scene.env, "sb-bbcdefghijklmnopqrstuvwx23", marks("another")).await;
    foreign(&scene.env, "by-hand", marks(&scene.env.installation())).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.scale(2).await;
    scene.level(2).await;
    scene.pools.delete(POOL, &Default::default()).await.unwrap();
    wait_gone(&scene.pools, POOL).await;
    let ledger = scene.ledger().await;
    let left: BTreeMap<&str, State> = ledger.existing().map(|app| (app.name.as_str(), app.state)).collect();
    let ours = ["sb-abcdefghijklmnopqrstuvwx23", "sb-bbcdefghijklmnopqrstuvwx23", "by-hand"];
    assert_eq!(left, ours.map(|name| (name, State::Active)).into());
    scene.watcher.verdict().await;
}

/// Makes an app past the operator, with the account's token.
async fn foreign(env: &TestEnv, name: &str, marks: BTreeMap<&str, String>) {
    let envs: Vec<Value> = marks.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let service = json!({"name": "web", "envs": envs,
        "image": {"registry_type": "DOCKER_HUB", "registry": "library", "repository": "nginx", "tag": "1"}});
    let body = json!({"spec": {"name": name, "region": "nyc", "services": [service]}});
    let url = format!("{}/v2/apps", env.world.cloud_url());
    let answer = reqwest::Client::new().post(url).bearer_auth(&env.token).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_target_above_the_limit_is_refused_p8_s5() {
    let scene = Scene::start("cap-rule").await;
    let bad = pool(json!({"warm": {"target": 5}, "limits": {"maxSandboxes": 3}}));
    let refused = scene.pools.create(&PostParams::default(), &bad).await.unwrap_err().to_string();
    assert!(refused.contains("P8: spec.warm.target: 5 is more than spec.limits.maxSandboxes (3)"), "{refused}");
}

#[tokio::test]
async fn a_queue_is_served_within_the_limit_s5() {
    let scene = Scene::start("cap-queue").await;
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 3, "maxConcurrentCreates": 3}})).await;
    for number in 0..10 {
        scene.request(&format!("r{number}"), json!({"ttl": "2s"})).await;
    }
    for number in 0..10 {
        let request = scene.ended(&format!("r{number}"), "Expired").await;
        assert!(request.status.is_some_and(|status| status.claimed_at.is_some()), "r{number} got one");
    }
    scene.sound(3).await;
    // One member serves one request and goes with it.
    let totals = scene.totals().await;
    assert!((10..=12).contains(&totals.made), "{totals:?}");
}

#[tokio::test]
async fn two_pools_of_one_account_do_not_meet_s9() {
    let scene = Scene::start("two-pools").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    let mut other = pool(json!({"warm": {"target": 1}}));
    other.metadata.name = Some("other".to_owned());
    scene.pools.create(&PostParams::default(), &other).await.unwrap();
    scene.level(2).await;
    wait_for(&scene.pools, "other", "one warm", |pool| pool.status.as_ref().is_some_and(|status| status.warm == 1))
        .await;
    scene.pools.delete(POOL, &Default::default()).await.unwrap();
    wait_gone(&scene.pools, POOL).await;
    let ledger = scene.ledger().await;
    let left: Vec<&str> = living(&ledger).iter().map(|app| app.marks["SANDBAR_NAME"].as_str()).collect();
    assert_eq!(left, ["other-0"]);
    assert_eq!(scene.members().await.iter().map(name).collect::<Vec<_>>(), ["other-0"]);
    scene.sound(3).await;
}

#[tokio::test]
async fn a_slot_whose_name_somebody_has_is_left_out() {
    let scene = Scene::start("blocked").await;
    // A request may have any name, that of a slot too. It waits for a pool of another name.
    let mut squatter = request(&format!("{POOL}-0"), json!({}));
    "elsewhere".clone_into(&mut squatter.spec.pool_ref.name);
    scene.sandboxes.create(&PostParams::default(), &squatter).await.unwrap();
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.pool_says("Degraded", "True", "SlotBlocked").await;
    let names: Vec<String> = scene.members().await.iter().map(name).collect();
    assert_eq!(names, [format!("{POOL}-1")]);
    scene.delete(&format!("{POOL}-0")).await;
    scene.scale(2).await;
    scene.level(2).await;
    scene.pool_says("Degraded", "False", "AsExpected").await;
    scene.sound(2).await;
}
