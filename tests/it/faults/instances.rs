//! What happens to instances that are there: redeployed, lost, or silent.

use sandbar::api::{Phase, Sandbox};
use sandbar::cloudsim::admin::AgentState;
use serde_json::json;

use crate::scene::{POOL, Scene, UID_MARK, held, is, is_not, name};
use crate::wait::{eventually, wait_for_all, wait_gone};
use crate::world::{OperatorSpec, quick_account};

async fn warm_one(name: &str) -> (Scene, Sandbox) {
    let scene = Scene::start(name).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    let member = scene.warm_member().await;
    (scene, member)
}

#[tokio::test]
async fn a_redeployed_claimed_sandbox_says_that_its_files_are_lost() {
    let (scene, _) = warm_one("redeployed").await;
    let member = scene.claim_one("run-1", "10m").await;
    let app = scene.app_of(&member).await;
    scene.env.sim.maintenance(&app.id).await.unwrap();
    let told = scene.shows(&name(&member), "FilesLost", |member| is(member, "FilesLost")).await;
    assert_eq!((told.metadata.uid.as_ref(), held(&told)), (member.metadata.uid.as_ref(), Some("run-1")));
    assert!(!told.is_deleting() && told.phase() == Phase::Claimed);
    scene.level(1).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (2, 2), "the claimed one and the next, and no other for it");
    scene.sound(4).await;
}

#[tokio::test]
async fn a_redeployed_warm_sandbox_is_warm_again_only_when_it_answers() {
    let (scene, member) = warm_one("redeployed-warm").await;
    let app = scene.app_of(&member).await;
    let deployment = scene.env.sim.maintenance(&app.id).await.unwrap();
    let again = scene
        .shows(&name(&member), "warm with the new deployment", |member| {
            let runs = member.instance().and_then(|instance| instance.deployment_id.as_deref());
            member.phase() == Phase::Warm && runs == Some(deployment.as_str())
        })
        .await;
    assert_eq!(again.metadata.uid, member.metadata.uid, "the same member");
    assert!(!is(&again, "FilesLost"), "nobody had files there");
    assert_eq!(scene.totals().await.made, 1);
    scene.sound(4).await;
}

#[tokio::test]
async fn a_lost_claimed_sandbox_is_never_made_again() {
    let (scene, _) = warm_one("vanished").await;
    let member = scene.claim_one("run-1", "10m").await;
    let app = scene.app_of(&member).await;
    scene.env.sim.vanish(&app.id).await.unwrap();
    let lost = scene.shows(&name(&member), "Failed", |member| member.phase() == Phase::Failed).await;
    assert_eq!(lost.status.as_ref().unwrap().reason.as_deref(), Some("InstanceLost"));
    assert_eq!(held(&lost), Some("run-1"), "its holder can read why");
    scene.level(1).await;
    scene.listings(2).await;
    let uid = member.metadata.uid.as_ref();
    let made = scene.ledger().await.apps.into_iter().filter(|app| app.marks.get(UID_MARK) == uid).count();
    assert_eq!(made, 1);
    scene.sound(4).await;
    scene.delete(&name(&member)).await;
}

#[tokio::test]
async fn a_request_whose_sandbox_is_lost_ends_with_the_reason() {
    let (scene, _) = warm_one("vanished-request").await;
    scene.request("mine", json!({"ttl": "10m"})).await;
    let bound = scene.ready("mine").await.status.unwrap().bound_to.unwrap();
    let app = scene.app_of(&scene.sandboxes.get(&bound.name).await.unwrap()).await;
    scene.env.sim.vanish(&app.id).await.unwrap();
    scene.ended("mine", "InstanceLost").await;
    scene.sound(4).await;
}

#[tokio::test]
async fn a_lost_warm_sandbox_is_replaced() {
    let (scene, member) = warm_one("vanished-warm").await;
    let app = scene.app_of(&member).await;
    scene.env.sim.vanish(&app.id).await.unwrap();
    eventually("another member", async || {
        let warm = scene.warm_member().await;
        if warm.metadata.uid == member.metadata.uid { Err("the same".to_owned()) } else { Ok(()) }
    })
    .await;
    scene.level(1).await;
    let totals = scene.totals().await;
    assert_eq!((totals.made, totals.existing), (2, 1));
    scene.sound(2).await;
}

#[tokio::test]
async fn a_silent_agent_shows_and_comes_back() {
    let (scene, _) = warm_one("silent-agent").await;
    let member = scene.claim_one("run-1", "10m").await;
    let app = scene.app_of(&member).await;
    scene.env.sim.set_agent(&app.id, AgentState::Dead).await.unwrap();
    let silent = scene.shows(&name(&member), "AgentReady=False", |member| is_not(member, "AgentReady")).await;
    assert!(is_not(&silent, "Ready") && held(&silent) == Some("run-1"));
    scene.env.sim.set_agent(&app.id, AgentState::Ok).await.unwrap();
    scene.shows(&name(&member), "AgentReady=True", |member| is(member, "AgentReady") && is(member, "Ready")).await;
    scene.sound(4).await;
}

#[tokio::test]
async fn a_warm_sandbox_whose_agent_stays_away_is_replaced() {
    let operator = OperatorSpec::default().args(&["--replace-unreachable", "3s"]);
    let scene = Scene::with("agent-away", quick_account, operator).await;
    scene.pool(json!({"warm": {"target": 1}})).await;
    scene.level(1).await;
    let member = scene.warm_member().await;
    let app = scene.app_of(&member).await;
    scene.env.sim.set_agent(&app.id, AgentState::Hung).await.unwrap();
    scene.books_show("the silent one gone, another there", |totals| totals.made == 2 && totals.existing == 1).await;
    scene.level(1).await;
    assert_ne!(scene.warm_member().await.metadata.uid, member.metadata.uid);
    scene.sound(2).await;
}

#[tokio::test]
async fn an_abandoned_instance_is_let_go_by_name_only() {
    let (scene, member) = warm_one("abandon").await;
    // Its account is out of reach for ever.
    scene.env.sim.revoke_token(&scene.env.token).await.unwrap();
    scene.pools.delete(POOL, &Default::default()).await.unwrap();
    scene.shows(&name(&member), "deleting", |member| member.is_deleting()).await;
    let write = async |word: &str| {
        let patch = json!({"metadata": {"annotations": {"sandbar.dev/abandon-instance": word}}});
        let patch = kube::api::Patch::Merge(patch);
        scene.sandboxes.patch(&name(&member), &Default::default(), &patch).await.expect("annotated")
    };
    write("true").await;
    let still = scene.shows(&name(&member), "still there", |member| member.phase() == Phase::Terminating).await;
    let instance = still.instance().expect("an instance").name.clone();
    write(&instance).await;
    wait_gone(&scene.sandboxes, &name(&member)).await;

    // Nor can the pool prove that nothing of it is left: the same word, by its account.
    let pool = scene.pool_says("Terminating", "True", "ProvingEmpty").await;
    let account = pool.status.and_then(|status| status.account).expect("an account");
    let write = async |word: &str| {
        let patch = json!({"metadata": {"annotations": {"sandbar.dev/abandon-instances": word}}});
        scene.pools.patch(POOL, &Default::default(), &kube::api::Patch::Merge(patch)).await.expect("annotated")
    };
    write("true").await;
    scene
        .pool_shows("the slip is named", |status| {
            status.conditions.iter().any(|condition| condition.message.contains("says \"true\", but the account is"))
        })
        .await;
    write(&account).await;
    wait_gone(&scene.pools, POOL).await;
    let events: kube::Api<k8s_openapi::api::events::v1::Event> = scene.env.api();
    wait_for_all(&events, "both are audited", |events| {
        let told = |kind: &str| {
            events.iter().any(|event| {
                let about = event.regarding.as_ref().and_then(|about| about.kind.as_deref());
                event.reason.as_deref() == Some("Abandoned") && about == Some(kind)
            })
        };
        told("Sandbox") && told("SandboxPool")
    })
    .await;
    scene.sound(4).await;
}
