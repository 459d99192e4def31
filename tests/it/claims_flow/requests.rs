//! Asking by an object.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use sandbar::api::{Sandbox, StartKind};
use sandbar::claims::{Claims, RequestWish};
use sandbar::cloudsim::admin::State;
use serde_json::json;

use crate::scene::{POOL, Scene, held, is, name, request};
use crate::wait::{wait_for_all, wait_gone};

#[tokio::test]
async fn a_request_is_ready_after_at_most_four_writes() {
    let scene = Scene::start("writes").await;
    // At its cap the pool writes nothing about members meanwhile.
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}})).await;
    scene.level(1).await;
    scene.listings(1).await;
    let from = scene.sandboxes.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    scene.request("mine", json!({"ttl": "10m"})).await;
    let mut events = pin!(scene.sandboxes.watch(&WatchParams::default(), &from).await.unwrap());
    let mut writes = BTreeSet::new();
    let until_ready = async {
        while let Some(event) = events.next().await {
            let WatchEvent::Modified(object) = event.unwrap() else { continue };
            writes.insert(object.metadata.resource_version.clone());
            if name(&object) == "mine" && is(&object, "Ready") {
                return object;
            }
        }
        panic!("the watch ended");
    };
    let ready = tokio::time::timeout(Duration::from_secs(60), until_ready).await.expect("ready in time");
    assert!(writes.len() <= 4, "{} writes by the operator: {writes:?}", writes.len());
    let status = ready.status.unwrap();
    assert!(status.start_kind.is_none_or(|kind| kind == StartKind::Warm), "{status:?}");
    assert!(status.url.is_some() && status.expires_at.is_some() && status.bound_to.is_some());
}

#[tokio::test]
async fn an_expired_request_stays_as_a_record() {
    let scene = Scene::start("record").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    scene.request("mine", json!({"ttl": "3s"})).await;
    let ready = scene.ready("mine").await;
    let member = ready.status.unwrap().bound_to.unwrap();
    let ended = scene.ended("mine", "Expired").await;
    assert!(ended.status.unwrap().ended_at.is_some());
    scene
        .within("the member is gone", async || match scene.sandboxes.get_opt(&member.name).await {
            Ok(found) if found.as_ref().and_then(|found| found.metadata.uid.as_ref()) != Some(&member.uid) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    scene.level(1).await;
    scene.listings(2).await;
    let kept = scene.sandboxes.get("mine").await.expect("a GitOps tool must not make it anew");
    assert_eq!(kept.phase(), sandbar::api::Phase::Ended);
    assert_eq!(scene.totals().await.made, 2, "it was served once");
}

#[tokio::test]
async fn a_request_that_says_so_goes_after_its_end() {
    let scene = Scene::start("keep-ended").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.request("mine", json!({"ttl": "2s", "keepEnded": "2s"})).await;
    scene.ready("mine").await;
    scene.ended("mine", "Expired").await;
    wait_gone(&scene.sandboxes, "mine").await;
}

#[tokio::test]
async fn asking_twice_by_one_name_is_asking_once_s6() {
    let scene = Scene::start("twice").await;
    scene.pool(json!({"warm": {"target": 2}})).await;
    scene.level(2).await;
    let claims = Claims::new(scene.env.user.clone(), &scene.env.namespace);
    let wish = RequestWish {
        id: "nightly".to_owned(),
        pool: POOL.to_owned(),
        holder: "ada".to_owned(),
        ttl: None,
        snapshot: None,
        app: None,
        keep_ended: None,
    };
    let (one, two) = tokio::join!(claims.request(&wish), claims.request(&wish));
    assert_eq!(one.unwrap().metadata.uid, two.unwrap().metadata.uid);
    let again = scene.sandboxes.create(&PostParams::default(), &request("nightly", json!({}))).await;
    assert!(matches!(&again, Err(kube::Error::Api(status)) if status.code == 409), "{again:?}");
    scene.ready("nightly").await;
    scene.pool_shows("refilled with one claimed", |status| status.warm == 2 && status.claimed == 1).await;
    let all = scene.members().await;
    assert_eq!(all.iter().filter(|member| held(member) == Some("nightly")).count(), 1);
}

#[tokio::test]
async fn a_deleted_request_gives_its_member_back() {
    let scene = Scene::start("give-back").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.request("mine", json!({"ttl": "10m"})).await;
    let ready = scene.ready("mine").await;
    let bound = ready.status.unwrap().bound_to.unwrap();
    let member = scene.sandboxes.get(&bound.name).await.unwrap();
    let app = scene.app_of(&member).await;
    scene.delete("mine").await;
    scene
        .within("its app is gone", async || {
            let ledger = scene.ledger().await;
            let state = ledger.apps.iter().find(|entry| entry.id == app.id).map(|entry| entry.state);
            if state == Some(State::Gone) { Ok(()) } else { Err(format!("{state:?}")) }
        })
        .await;
    scene.level(1).await;
    scene.sound(4).await;
}

#[tokio::test]
async fn a_longer_request_makes_its_member_live_longer() {
    let scene = Scene::start("longer").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.request("mine", json!({"ttl": "10m"})).await;
    let ready = scene.ready("mine").await.status.unwrap();
    let patch = Patch::Merge(json!({"spec": {"claim": {"ttl": "20m"}}}));
    scene.env.user_api::<Sandbox>().patch("mine", &PatchParams::default(), &patch).await.unwrap();
    let later = ready.expires_at.unwrap().0.checked_add(jiff::SignedDuration::from_mins(10)).unwrap();
    let lives_till_then = |sandbox: &Sandbox| {
        let expires = sandbox.status.as_ref().and_then(|status| status.expires_at.as_ref());
        expires.is_some_and(|expires| expires.0.duration_since(later).as_secs().abs() <= 2)
    };
    scene.shows(&ready.bound_to.unwrap().name, "ten minutes more", lives_till_then).await;
    scene.shows("mine", "ten minutes more", lives_till_then).await;
}

#[tokio::test]
async fn many_requests_get_each_one_member_s6() {
    let scene = Scene::start("requests").await;
    scene.pool(json!({"warm": {"target": 2}, "limits": {"maxSandboxes": 8, "maxConcurrentCreates": 4}})).await;
    for number in 0..6 {
        scene.request(&format!("r{number}"), json!({"ttl": "10m"})).await;
    }
    let all = wait_for_all(&scene.sandboxes, "six requests ready", |all: &[Sandbox]| {
        all.iter().filter(|sandbox| !sandbox.is_member() && is(sandbox, "Ready")).count() == 6
    })
    .await;
    let bound: BTreeSet<String> =
        all.iter().filter_map(|request| Some(request.status.as_ref()?.bound_to.as_ref()?.uid.clone())).collect();
    assert_eq!(bound.len(), 6, "no member serves two");
    scene.level(2).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (8, 8), "six claimed and two warm, and no app beside them");
    scene.sound(8).await;
}

#[tokio::test]
async fn a_waiting_request_knows_its_place() {
    let scene = Scene::start("place").await;
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}})).await;
    scene.level(1).await;
    scene.claim_one("run", "1h").await;
    for (position, request) in (1..).zip(["a", "b", "c"]) {
        scene.request(request, json!({})).await;
        let place = |waiting: &Sandbox| Some(waiting.status.as_ref()?.queue.as_ref()?.position);
        scene.shows(request, &format!("place {position}"), |waiting| place(waiting) == Some(position)).await;
    }
    scene.delete(&format!("{POOL}-0")).await;
    let served = scene.ready("a").await;
    assert_eq!(served.status.and_then(|status| status.queue), None);
    scene
        .shows("b", "moves up", |waiting| {
            waiting.status.as_ref().and_then(|status| status.queue.as_ref()).is_some_and(|queue| queue.position == 1)
        })
        .await;
    scene.sound(1).await;
}
