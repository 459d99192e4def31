//! The world that is measured: accounts, pools, the operator.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams, PostParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sandbar::api::{Phase, Sandbox, SandboxPool};
use sandbar::claims::Claims;
use sandbar::cloudsim::admin::{AccountSettings, SimAdmin};
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::operator::Operator;
use sandbar::dev::world::{LocalWorld, WorldOptions};
use serde_json::json;
use tower::util::MapRequestLayer;

use crate::common::Result;
use crate::common::meter::Writes;
use crate::common::wait::{quiet, until};

/// Everything is in here.
const NAMESPACE: &str = "default";
/// How much faster than the real one the cloud works.
const SPEED: f64 = 20.0;
/// More than any wait takes where the operator works at all.
const WITHIN: Duration = Duration::from_secs(240);
/// Nothing was written for so long: what was going on is over.
const QUIET: Duration = Duration::from_secs(2);

/// A running world.
pub struct Bench {
    operator: Option<Operator>,
    world: LocalWorld,
    /// Looks on; its requests are not counted.
    pub client: Client,
    /// The claimers' and bare writers' client.
    pub claimer: Client,
    sent: Arc<AtomicU64>,
    /// The cloud.
    pub sim: SimAdmin,
}

impl Bench {
    /// Starts it.
    pub async fn start(folder: &Path) -> Result<Self> {
        let say = |line: &str| eprintln!("{line}");
        let program = env!("CARGO_BIN_EXE_sandbar").into();
        let cloud = CloudOptions { token: new_token(), speed: Some(SPEED), virtual_apps: true, seed: Some(1) };
        let options = WorldOptions { dir: folder.to_owned(), program, cloud, operator: None, gateway: false };
        let world = LocalWorld::start(&options, &say).await?;
        let operator = Operator::start(&world.operator_options()).await?;
        let sent = Arc::new(AtomicU64::new(0));
        let claimer = counting(&world.kubeconfig(), Arc::clone(&sent)).await?;
        let (client, sim) = (world.client().await?, SimAdmin::new(world.cloud().url()));
        Ok(Self { operator: Some(operator), world, client, claimer, sent, sim })
    }

    /// Ends it.
    pub async fn stop(self) {
        if let Some(operator) = self.operator {
            operator.stop().await;
        }
        self.world.stop().await;
    }

    /// Ends the operator alone: what is measured then is the API server's part.
    pub async fn stop_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop().await;
        }
    }

    /// The operator's process.
    pub fn operator(&self) -> Result<i32> {
        Ok(self.operator.as_ref().ok_or("the operator is stopped")?.child().pid())
    }

    /// The end of the operator's log.
    pub fn operator_log(&self) -> String {
        self.operator.as_ref().map(|operator| operator.child().tail(20)).unwrap_or_default()
    }

    /// Writes that the claimers' client sent until now.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Claims by the counted client.
    pub fn claims(&self) -> Claims {
        Claims::new(self.claimer.clone(), NAMESPACE)
    }

    /// An API as the onlooker.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// An API as the counted client.
    pub fn claimer_api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.claimer.clone(), NAMESPACE)
    }

    /// Makes an account and the Secret that opens it, both for the pool of this name.
    pub async fn account(&self, name: &str) -> Result<()> {
        let token = new_token();
        self.sim.put_account(name, &AccountSettings::with_token(token.clone())).await?;
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": token}});
        self.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        Ok(())
    }

    /// Makes a pool with the account of its name.
    pub async fn pool(&self, name: &str, target: usize, max: usize) -> Result<()> {
        let pool = json!({
            "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": name},
            "spec": {
                "provider": {"digitalOcean": {"credentialsRef": {"name": name, "key": "token"}, "region": "nyc"}},
                "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"},
                "warm": {"target": target},
                "limits": {"maxSandboxes": max, "maxConcurrentCreates": 100},
            },
        });
        self.api::<SandboxPool>().create(&PostParams::default(), &serde_json::from_value(pool)?).await?;
        Ok(())
    }

    /// The ConfigMap of 1 KB that bare writers patch.
    pub async fn config_map(&self, name: &str) -> Result<()> {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": "."}});
        self.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    /// Waits until so many unclaimed members are warm in all pools.
    pub async fn warm(&self, count: usize) -> Result<()> {
        let pools = self.api::<SandboxPool>();
        self.until(&format!("{count} warm"), async || {
            let pools = pools.list(&ListParams::default()).await?;
            let warm: i32 = pools.iter().filter_map(|pool| pool.status.as_ref()).map(|status| status.warm).sum();
            Ok((usize::try_from(warm)? == count).then_some(()))
        })
        .await
    }

    /// The warm members of a pool.
    pub async fn members(&self, pool: &str) -> Result<Vec<Sandbox>> {
        let of = ListParams::default().fields(&format!("spec.poolRef.name={pool}"));
        let mut members = self.api::<Sandbox>().list(&of).await?.items;
        members.retain(|member| member.phase() == Phase::Warm && member.held_by().is_none());
        Ok(members)
    }

    /// Waits until nothing is written any more; gives the writes until then.
    pub async fn quiet(&self) -> Result<Writes> {
        quiet(&self.client, QUIET, WITHIN).await
    }

    /// Asks every quarter of a second.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        until(WITHIN, what, ask).await
    }
}

/// A client that counts what it sends besides reads.
async fn counting(kubeconfig: &Path, sent: Arc<AtomicU64>) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    let count = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        if request.method() != http::Method::GET {
            sent.fetch_add(1, Ordering::Relaxed);
        }
        request
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&count).build())
}
