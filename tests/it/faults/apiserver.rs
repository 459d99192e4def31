//! The API server goes away under the operator and comes back.

use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use sandbar::api::SandboxPool;
use sandbar::cloudsim::admin::SimAdmin;
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::install;
use sandbar::dev::world::{LocalWorld, WorldOptions};
use serde_json::json;

use crate::scene::{POOL, pool};
use crate::wait::wait_for;
use crate::world::{PROGRAM, install_tls};

async fn level(client: &Client, warm: i32) {
    let pools: Api<SandboxPool> = Api::namespaced(client.clone(), install::NAMESPACE);
    wait_for(&pools, POOL, &format!("{warm} warm"), |pool| {
        pool.status.as_ref().is_some_and(|status| status.warm == warm && status.creating == 0)
    })
    .await;
}

#[tokio::test]
async fn a_restarted_api_server_costs_no_app_s8() {
    install_tls();
    let dir = tempfile::tempdir().expect("a folder");
    let cloud = CloudOptions { token: new_token(), speed: Some(60.0), virtual_apps: true, seed: Some(1) };
    // A lease that outlives the API server's absence: nobody starts this operator again.
    let flags = ["--lease-duration", "90s", "--listing-period", "500ms", "--listing-slow", "3s"];
    let operator = Some(flags.map(str::to_owned).to_vec());
    let options = WorldOptions { dir: dir.path().join("world"), program: PROGRAM.into(), cloud, operator };
    let mut world = LocalWorld::start(&options, &|_| ()).await.expect("a world");
    let client = world.client().await.expect("a client");
    let pools: Api<SandboxPool> = Api::namespaced(client.clone(), install::NAMESPACE);
    let wish = pool(json!({"warm": {"target": 1}, "create": {"deadline": "2m"}}));
    pools.create(&PostParams::default(), &wish).await.expect("the API server takes the pool");
    level(&client, 1).await;

    world.plane_mut().restart_apiserver(&|_| ()).await.expect("it comes back");
    let target = Patch::Merge(json!({"spec": {"replicas": 2}}));
    pools.patch_scale(POOL, &PatchParams::default(), &target).await.expect("the pool can be scaled");
    level(&client, 2).await;
    let ledger = SimAdmin::new(world.cloud().url()).ledger().await.expect("the books");
    assert_eq!((ledger.apps.len(), ledger.existing().count()), (2, 2), "{ledger:#?}");
    world.stop().await;
}
