//! The world that is measured: ten accounts, a control plane, an operator that comes and goes.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PostParams};
use sandbar::cloudsim::admin::{AccountSettings, Limits, Seconds, SimAdmin, Timings};
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::operator::Operator;
use sandbar::dev::world::{LocalWorld, WorldOptions};
use serde_json::json;

use crate::common::Result;
use crate::common::meter::Writes;
use crate::common::wait::{quiet, until};

/// Everything is in here.
pub const NAMESPACE: &str = "default";
/// Whose the instances are, by flag, so that the bench can write its marks.
pub const INSTALLATION: &str = "scale";
/// Accounts at the cloud.
pub const ACCOUNTS: usize = 10;
/// More than any wait takes.
const WITHIN: Duration = Duration::from_secs(300);
/// Nothing was written for so long: what was going on is over.
const QUIET: Duration = Duration::from_secs(3);

/// One account: the operator's token, and one that lays apps down, so that
/// this does not use up the operator's rate limit.
pub struct Account {
    /// Its name, which its Secret has too.
    pub name: String,
    /// Opens it for the bench.
    pub own_token: String,
    token: String,
}

/// A running world.
pub struct World {
    /// Looks on.
    pub client: Client,
    /// The operator's identity.
    pub as_operator: Client,
    /// The cloud.
    pub sim: SimAdmin,
    /// Its accounts.
    pub accounts: Vec<Account>,
    operator: Option<Operator>,
    world: LocalWorld,
}

impl World {
    /// Starts it, without operator.
    pub async fn start(folder: &Path) -> Result<Self> {
        let say = |line: &str| eprintln!("{line}");
        let program = env!("CARGO_BIN_EXE_sandbar").into();
        let cloud = CloudOptions { token: new_token(), speed: Some(1.0), virtual_apps: true, seed: Some(1) };
        let options = WorldOptions { dir: folder.to_owned(), program, cloud, operator: None, gateway: false };
        let world = LocalWorld::start(&options, &say).await?;
        let client = world.client().await?;
        let as_operator = world.as_operator().await?;
        let sim = SimAdmin::new(world.cloud().url());
        let accounts = (0..ACCOUNTS).map(|number| Account {
            name: format!("account-{number}"),
            own_token: new_token(),
            token: new_token(),
        });
        let accounts = accounts.collect();
        let made = Self { client, as_operator, sim, accounts, operator: None, world };
        made.limit(false).await?;
        made.secrets().await?;
        Ok(made)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.stop_operator().await;
        self.world.stop().await;
    }

    /// Switches the cloud's rate limits.
    pub async fn limit(&self, enabled: bool) -> Result<()> {
        for account in &self.accounts {
            let settings = AccountSettings {
                tokens: vec![account.token.clone(), account.own_token.clone()],
                timings: Timings { ready_seconds: Seconds::Fixed(0.0), ..Timings::default() },
                limits: Limits { enabled, ..Limits::default() },
                ..AccountSettings::with_token("")
            };
            self.sim.put_account(&account.name, &settings).await?;
        }
        Ok(())
    }

    async fn secrets(&self) -> Result<()> {
        for account in &self.accounts {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": account.name},
                "stringData": {"token": account.token}});
            self.api::<Secret>().create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        }
        Ok(())
    }

    /// Starts the operator without waiting for it.
    pub async fn start_operator(&mut self) -> Result<&Operator> {
        let arguments = ["--installation-id", INSTALLATION].map(str::to_owned).into();
        let options = self.world.operator_options().with(arguments);
        Ok(self.operator.insert(Operator::spawn(&options).await?))
    }

    /// Ends the operator.
    pub async fn stop_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop().await;
        }
    }

    /// The base address of the cloud's API.
    pub fn cloud_url(&self) -> &str {
        self.world.cloud().url()
    }

    /// The operator's process.
    pub fn operator(&self) -> Result<i32> {
        Ok(self.operator.as_ref().ok_or("no operator runs")?.child().pid())
    }

    /// Where it serves metrics.
    pub fn base_url(&self) -> Result<String> {
        Ok(self.operator.as_ref().ok_or("no operator runs")?.base_url())
    }

    /// The end of its log.
    pub fn operator_log(&self) -> String {
        self.operator.as_ref().map(|operator| operator.child().tail(20)).unwrap_or_default()
    }

    /// An API as the onlooker.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
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
