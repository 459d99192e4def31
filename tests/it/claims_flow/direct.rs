//! The one-write claim on a member.

use std::collections::BTreeSet;

use futures::future::join_all;
use kube::api::{Patch, PatchParams};
use sandbar::api::{Phase, StartKind};
use sandbar::claims::{ClaimError, ClaimWish, Claims};
use sandbar::cloudsim::admin::{Seconds, State};
use serde_json::json;

use crate::scene::{POOL, Scene, held, is, name};
use crate::wait::{eventually, holds, wait_for_all, wait_gone};

#[tokio::test]
async fn a_claimed_member_is_noted_replaced_and_ended_at_its_expiry() {
    let scene = Scene::start("claim").await;
    scene.pool(json!({})).await;
    scene.level(2).await;
    let member = scene.claim_one("run-1", "6s").await;
    let status = member.status.clone().unwrap();
    assert_eq!(status.start_kind, Some(StartKind::Warm));
    let (claimed, expires) = (status.claimed_at.unwrap().0, status.expires_at.unwrap().0);
    assert_eq!(expires.duration_since(claimed).as_secs(), 6);
    let owners = member.metadata.owner_references.clone().unwrap_or_default();
    assert!(owners.is_empty(), "garbage collection must not reach it (S7): {owners:?}");

    scene
        .pool_shows("refilled, one claimed and counted", |status| {
            (status.warm, status.claimed, status.claims_warm, status.claims_cold) == (2, 1, 1, 0)
        })
        .await;
    let app = scene.app_of(&member).await;
    wait_gone(&scene.sandboxes, &name(&member)).await;
    let ended = scene.ledger().await.apps.into_iter().find(|entry| entry.id == app.id).unwrap();
    assert_eq!(ended.state, State::Gone, "the member was let go before its app was gone (S4)");
    assert!(ended.gone.unwrap() >= expires, "not before its time (S7)");
    scene.level(2).await;
    assert_eq!(scene.totals().await.made, 3);
    scene.sound(4).await;
}

#[tokio::test]
async fn an_extension_wins_over_the_expiry_s7() {
    let scene = Scene::start("extend").await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    let member = scene.claim_one("run-1", "5s").await;
    let first_end = member.status.as_ref().unwrap().expires_at.clone().unwrap().0;
    let patch = Patch::Merge(json!({"spec": {"claim": {"ttl": "10m"}}}));
    scene.env.user_api::<sandbar::api::Sandbox>().patch(&name(&member), &PatchParams::default(), &patch).await.unwrap();
    scene
        .shows(&name(&member), "a later expiry", |member| {
            let status = member.status.as_ref();
            status.and_then(|status| status.expires_at.as_ref()).is_some_and(|expires| expires.0 > first_end)
        })
        .await;
    let left = jiff::Timestamp::now().until(first_end).unwrap().total(jiff::Unit::Second).unwrap().max(0.0);
    holds(std::time::Duration::from_secs_f64(left + 2.0), "claimed", async || {
        let now = scene.sandboxes.get(&name(&member)).await.map_err(|error| error.to_string())?;
        let kept = !now.is_deleting() && held(&now) == Some("run-1") && now.metadata.uid == member.metadata.uid;
        if kept { Ok(()) } else { Err(crate::world::yaml(&now)) }
    })
    .await;
}

#[tokio::test]
async fn a_release_ends_the_app_and_makes_room() {
    let scene = Scene::start("release").await;
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}})).await;
    let member = scene.claim_one("run-1", "10m").await;
    let app = scene.app_of(&member).await;
    scene.delete(&name(&member)).await;
    let ended = scene.ledger().await.apps.into_iter().find(|entry| entry.id == app.id).unwrap();
    assert_eq!(ended.state, State::Gone);
    scene.level(1).await;
    scene.sound(1).await;
}

#[tokio::test]
async fn thirty_claimers_share_no_member_while_the_operator_works_s6_s7() {
    let scene = Scene::start("crowd").await;
    scene.pool(json!({"warm": {"target": 5}, "limits": {"maxSandboxes": 5, "maxConcurrentCreates": 5}})).await;
    scene.level(5).await;
    let claims = Claims::new(scene.env.user.clone(), &scene.env.namespace);
    let claimers = (0..30).map(|number| {
        let claims = claims.clone();
        let wish = ClaimWish { holder: format!("claimer-{number}"), ttl: None, id: Some(format!("run-{number}")) };
        tokio::spawn(async move { claims.claim_warm(POOL, &wish).await })
    });
    let ends: Vec<_> = join_all(claimers).await.into_iter().map(Result::unwrap).collect();
    let won: BTreeSet<(Option<String>, String)> =
        ends.iter().flatten().map(|won| (won.sandbox.metadata.uid.clone(), won.id.clone())).collect();
    let members: BTreeSet<_> = won.iter().map(|(uid, _)| uid.clone()).collect();
    assert_eq!((won.len(), members.len()), (5, 5), "five winners, each with a member of its own");
    for lost in ends.iter().filter_map(|end| end.as_ref().err()) {
        assert_eq!(lost, &ClaimError::NoneWarm { pool: POOL.to_owned() });
    }
    let stored = wait_for_all(&scene.sandboxes, "all noted as claimed", |all| {
        all.len() == 5 && all.iter().all(|member| member.phase() == Phase::Claimed)
    })
    .await;
    let held: BTreeSet<_> =
        stored.iter().map(|member| (member.metadata.uid.clone(), held(member).unwrap().to_owned())).collect();
    assert_eq!(held, won);
    scene.pool_shows("all claims counted, none lost", |status| status.claims_warm == 5 && status.claimed == 5).await;
    scene.listings(2).await;
    assert_eq!(scene.totals().await.made, 5, "the cap holds while all are claimed (S5)");
    scene.sound(5).await;
}

#[tokio::test]
async fn the_pool_never_takes_a_claimed_member_s7() {
    let scene = Scene::start("keep").await;
    scene.pool(json!({"warm": {"target": 2}, "limits": {"maxSandboxes": 2}})).await;
    scene.level(2).await;
    let member = scene.claim_one("run-1", "8s").await;
    let expires = member.status.as_ref().unwrap().expires_at.clone().unwrap().0;
    // Everything that makes a pool remove members, at once.
    scene.edit(json!({"warm": {"target": 0}, "limits": {"maxSandboxes": 1}})).await;
    scene.pools.delete(POOL, &Default::default()).await.unwrap();
    scene.pool_says("Terminating", "True", "ClaimsRemain").await;
    wait_gone(&scene.pools, POOL).await;
    let app = scene.app_of(&member).await;
    assert!(app.gone.unwrap() >= expires, "it lived out its claim");
    assert_eq!(scene.totals().await.existing, 0);
    scene.sound(2).await;
}

#[tokio::test]
async fn a_member_on_its_way_can_be_claimed_and_is_ready_for_its_holder_s6() {
    let scene = Scene::on("cold", |mut account| {
        account.timings.ready_seconds = Seconds::Fixed(4.0);
        account
    })
    .await;
    scene.pool(json!({"warm": {"target": 1}, "limits": {"maxSandboxes": 1}})).await;
    let claimed = eventually("claimed while it is being made", async || {
        let member = scene.members().await.pop().ok_or("no member yet")?;
        if member.phase() != Phase::Creating {
            return Err(format!("{:?}", member.phase()));
        }
        scene.claim(&member, "run-1", "10m").await.map_err(|error| error.to_string())
    })
    .await;
    let ready = scene.shows(&name(&claimed), "ready for its holder", |member| is(member, "Ready")).await;
    assert_eq!((ready.metadata.uid.as_ref(), held(&ready)), (claimed.metadata.uid.as_ref(), Some("run-1")));
    assert_eq!(ready.status.unwrap().start_kind, Some(StartKind::Cold));
    assert_eq!(ready.spec.claim, claimed.spec.claim);
    assert_eq!(scene.totals().await.made, 1);
}
