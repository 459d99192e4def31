//! State that survives a restart of the simulator.

use super::support::{Cloud, TOKEN, instant, options, spec, until};
use sandbar::cloudsim::admin::{AccountSettings, Seconds};
use sandbar::cloudsim::{CloudSim, JournalError, Options, StartError};

fn kept(folder: &tempfile::TempDir, settings: AccountSettings) -> Options {
    Options { state: Some(folder.path().to_owned()), ..options(settings) }
}

#[tokio::test]
async fn apps_accounts_and_tokens_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::with(kept(&folder, instant())).await;
    cloud.admin.put_account("other", &AccountSettings::with_token("dop_v1_other")).await.unwrap();
    let gone = cloud.client.create("web-1").await;
    let stays = cloud.client.create("web-2").await;
    cloud.client.delete(&gone).await;
    let before = cloud.ledger().await;
    cloud.admin.move_token(TOKEN, "other").await.unwrap();
    cloud.admin.move_token(TOKEN, "default").await.unwrap();
    cloud.running.stop().await;

    // The lock on the folder goes when the last connection's task has ended.
    let again = until("the folder to be free", async || match CloudSim::start(kept(&folder, instant())).await {
        Ok(running) => Some(running),
        Err(StartError::State(JournalError::InUse(_))) => None,
        Err(other) => panic!("{other:?}"),
    })
    .await;
    let client = super::support::Client::new(again.url(), TOKEN);
    let after = sandbar::cloudsim::admin::SimAdmin::new(again.url()).ledger().await.unwrap();
    assert_eq!(after.apps.len(), 2);
    assert_eq!((&after.apps[0].id, after.apps[0].gone), (&gone, before.apps[0].gone));
    assert_eq!(client.names("").await, ["web-2"]);
    assert!(client.app(&stays).await["live_url"].as_str().unwrap().starts_with(again.url()));
    assert_eq!(client.post("/v2/apps", &spec("web-2")).await.status, 409);
    let third = client.create("web-3").await;
    assert!(third != gone && third != stays, "ids are never given out twice");
    assert_eq!(super::support::Client::new(again.url(), "dop_v1_other").get("/v2/apps").await.status, 200);
}

#[tokio::test]
async fn a_deletion_goes_on_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = instant();
    settings.timings.delete_seconds = Seconds::Fixed(1.0);
    let cloud = Cloud::with(kept(&folder, settings.clone())).await;
    let id = cloud.client.create("web-1").await;
    cloud.client.delete(&id).await;
    let gone_at = cloud.admin.ledger().await.unwrap().apps[0].gone;
    assert_eq!(gone_at, None);
    drop(cloud);
    let again = until("the folder to be free", async || CloudSim::start(kept(&folder, instant())).await.ok()).await;
    let client = super::support::Client::new(again.url(), TOKEN);
    until("404", async || (client.get(&format!("/v2/apps/{id}")).await.status == 404).then_some(())).await;
}

#[tokio::test]
async fn two_simulators_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Cloud::with(kept(&folder, instant())).await;
    let second = CloudSim::start(kept(&folder, instant())).await;
    assert!(matches!(second, Err(StartError::State(JournalError::InUse(_)))));
}
