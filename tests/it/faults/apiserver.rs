//! The control plane goes away under the operator and comes back.

use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::cloudsim::admin::SimAdmin;
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::install;
use sandbar::dev::world::{LocalWorld, WorldOptions};
use serde_json::json;

use crate::scene::{POOL, claim, held, is_free, name, pool};
use crate::wait::{eventually, wait_for};
use crate::watcher::{Subject, Watcher};
use crate::world::{PROGRAM, install_tls};

const INSTALLATION: &str = "restarted";
/// The account that the cloud has from its start.
const ACCOUNT: &str = "default";

async fn level(client: &Client, warm: i32) {
    let pools: Api<SandboxPool> = Api::namespaced(client.clone(), install::NAMESPACE);
    wait_for(&pools, POOL, &format!("{warm} warm"), |pool| {
        pool.status.as_ref().is_some_and(|status| status.warm == warm && status.creating == 0)
    })
    .await;
}

async fn scale(client: &Client, target: i32) {
    let pools: Api<SandboxPool> = Api::namespaced(client.clone(), install::NAMESPACE);
    let target = Patch::Merge(json!({"spec": {"replicas": target}}));
    pools.patch_scale(POOL, &PatchParams::default(), &target).await.expect("the pool can be scaled");
}

async fn world(dir: &tempfile::TempDir) -> LocalWorld {
    install_tls();
    let cloud = CloudOptions { token: new_token(), speed: Some(60.0), virtual_apps: true, seed: Some(1) };
    // A lease that outlives the control plane's absence: nobody starts this operator again.
    let flags = ["--lease-duration", "3m", "--listing-period", "500ms", "--listing-slow", "3s"];
    let flags = flags.into_iter().chain(["--installation-id", INSTALLATION]).map(str::to_owned).collect();
    let dir = dir.path().join("world");
    let options = WorldOptions { dir, program: PROGRAM.into(), cloud, operator: Some(flags), gateway: false };
    LocalWorld::start(&options, &|_| ()).await.expect("a world")
}

#[tokio::test]
async fn a_restarted_api_server_and_store_cost_no_app_and_no_claim_s6_s8() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = world(&dir).await;
    let client = world.client().await.expect("a client");
    let sim = SimAdmin::new(world.cloud().url());
    let subject = Subject {
        namespace: install::NAMESPACE.to_owned(),
        sim: sim.clone(),
        account: ACCOUNT.to_owned(),
        installation: INSTALLATION.to_owned(),
    };
    let watcher = Watcher::start(world.client().await.expect("a client of the watcher's own"), subject).await;
    let pools: Api<SandboxPool> = Api::namespaced(client.clone(), install::NAMESPACE);
    let sandboxes: Api<Sandbox> = Api::namespaced(client.clone(), install::NAMESPACE);
    let wish = pool(json!({"warm": {"target": 1}, "create": {"deadline": "5m"}}));
    pools.create(&PostParams::default(), &wish).await.expect("the API server takes the pool");
    level(&client, 1).await;
    let claimed = eventually("claimed", async || {
        let list = sandboxes.list(&Default::default()).await.map_err(|error| error.to_string())?;
        let free = list.items.into_iter().find(is_free).ok_or("none is warm")?;
        claim(&sandboxes, &free, "run-1", "1h").await.map_err(|error| error.to_string())
    })
    .await;
    level(&client, 1).await;

    world.plane_mut().restart_apiserver(&|_| ()).await.expect("it comes back");
    scale(&client, 2).await;
    level(&client, 2).await;
    let ledger = sim.ledger().await.expect("the books");
    assert_eq!((ledger.apps.len(), ledger.existing().count()), (3, 3), "{ledger:#?}");

    // The store goes too, in the middle of work.
    scale(&client, 3).await;
    world.plane_mut().restart_store(&|_| ()).await.expect("both come back");
    level(&client, 3).await;
    let ledger = sim.ledger().await.expect("the books");
    assert_eq!((ledger.apps.len(), ledger.existing().count()), (4, 4), "{ledger:#?}");
    let still = sandboxes.get(&name(&claimed)).await.expect("the claimed one");
    assert_eq!((still.metadata.uid.as_ref(), held(&still)), (claimed.metadata.uid.as_ref(), Some("run-1")));
    watcher.verdict().await;
    world.stop().await;
}
