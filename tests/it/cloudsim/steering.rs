//! What the admin API does to accounts, tokens and apps.

use super::support::{Client, Cloud, TOKEN, instant, options, until};
use sandbar::cloudsim::Options;
use sandbar::cloudsim::admin::{AccountSettings, AdminError, AgentState, Seconds, State};

#[tokio::test]
async fn a_moved_token_sees_the_other_account() {
    let cloud = Cloud::start(instant()).await;
    cloud.admin.put_account("other", &AccountSettings::with_token("dop_v1_other")).await.unwrap();
    let id = cloud.client.create("web-1").await;
    let before = cloud.client.get("/v2/account").await.body;
    cloud.admin.move_token(TOKEN, "other").await.unwrap();
    let after = cloud.client.get("/v2/account").await.body;
    assert_ne!(before["account"]["team"]["uuid"], after["account"]["team"]["uuid"]);
    assert_eq!(cloud.client.get(&format!("/v2/apps/{id}")).await.status, 404, "which proves nothing about the app");
    assert_eq!(cloud.ledger().await.apps[0].state, State::Active);
}

#[tokio::test]
async fn a_revoked_token_is_unknown_and_can_be_given_again() {
    let cloud = Cloud::start(instant()).await;
    cloud.admin.revoke_token(TOKEN).await.unwrap();
    assert_eq!(cloud.client.get("/v2/apps").await.status, 401);
    cloud.admin.put_account("default", &instant()).await.unwrap();
    assert_eq!(cloud.client.get("/v2/apps").await.status, 200);
}

#[tokio::test]
async fn a_token_belongs_to_one_account() {
    let cloud = Cloud::start(instant()).await;
    let taken = cloud.admin.put_account("other", &AccountSettings::with_token(TOKEN)).await;
    assert!(matches!(taken, Err(AdminError::Refused { status, .. }) if status == 409));
    let unknown = cloud.admin.move_token("unknown", "default").await;
    assert!(matches!(unknown, Err(AdminError::Refused { status, .. }) if status == 404));
}

#[tokio::test]
async fn maintenance_is_a_new_deployment_that_supersedes_the_old() {
    let mut settings = instant();
    settings.timings.ready_seconds = Seconds::Fixed(120.0);
    let cloud = Cloud::with(Options { speed: 60.0, ..options(settings) }).await;
    let id = cloud.client.create("web-1").await;
    let active = async || cloud.client.app(&id).await.get("active_deployment").cloned();
    let old = until("ACTIVE", active).await;
    let new = cloud.admin.maintenance(&id).await.unwrap();
    assert_ne!(old["id"], new.as_str());
    assert_eq!(active().await.unwrap()["id"], old["id"], "the old one serves until the new one does");
    until("the new deployment", async || (active().await?["id"] == new.as_str()).then_some(())).await;
    let all = cloud.client.get(&format!("/v2/apps/{id}/deployments")).await.body;
    let phases: Vec<_> = [0, 1].map(|n| (&all["deployments"][n]["phase"], &all["deployments"][n]["cause"])).into();
    assert_eq!(
        format!("{phases:?}"),
        r#"[(String("ACTIVE"), String("MAINTENANCE")), (String("SUPERSEDED"), String("manual"))]"#
    );
    assert_eq!(cloud.ledger().await.apps[0].deployments, 2);
}

#[tokio::test]
async fn an_app_may_vanish() {
    let cloud = Cloud::start(instant()).await;
    let id = cloud.client.create("web-1").await;
    cloud.admin.vanish(&id).await.unwrap();
    assert_eq!(cloud.client.get(&format!("/v2/apps/{id}")).await.status, 404);
    assert!(cloud.client.names("").await.is_empty());
    assert!(cloud.admin.vanish(&id).await.is_err());
}

#[tokio::test]
async fn an_agent_may_die_hang_and_recover() {
    let cloud = Cloud::start(instant()).await;
    let id = cloud.client.create("web-1").await;
    let health = format!("{}/health", cloud.client.app(&id).await["live_url"].as_str().unwrap());
    let impatient = reqwest::Client::builder().timeout(std::time::Duration::from_secs(1)).build().unwrap();
    cloud.admin.set_agent(&id, AgentState::Dead).await.unwrap();
    let dead = impatient.get(&health).send().await.unwrap_err();
    assert!(!dead.is_timeout(), "{dead:?}");
    cloud.admin.set_agent(&id, AgentState::Hung).await.unwrap();
    assert!(impatient.get(&health).send().await.unwrap_err().is_timeout());
    assert_eq!(cloud.client.app(&id).await["active_deployment"]["phase"], "ACTIVE", "the platform does not notice");
    cloud.admin.set_agent(&id, AgentState::Ok).await.unwrap();
    assert_eq!(impatient.get(&health).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn settings_change_while_it_runs() {
    let cloud = Cloud::start(instant()).await;
    let mut slow = instant();
    slow.timings.ready_seconds = Seconds::Fixed(3600.0);
    slow.email = Some("ops@example.com".into());
    cloud.admin.put_account("default", &slow).await.unwrap();
    let id = cloud.client.create("web-1").await;
    assert!(cloud.client.app(&id).await.get("active_deployment").is_none());
    assert_eq!(cloud.client.get("/v2/account").await.body["account"]["email"], "ops@example.com");
    assert!(!Client::new(cloud.running.url(), "dop_v1_unknown").get("/v2/account").await.body.is_null());
}
