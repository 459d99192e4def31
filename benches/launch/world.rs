//! The world that launches are measured in.

use std::path::Path;
use std::time::Duration;

use kube::Client;
use kube::api::Api;
use sandbar::cloudsim::admin::{AccountSettings, Limits, Seconds, SimAdmin, Timings};
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::gateway::SERVES;
use sandbar::dev::operator::Operator;
use sandbar::dev::world::{LocalWorld, WorldOptions};

use crate::common::Result;
use crate::common::meter::Writes;
use crate::common::wait::{quiet, until};

/// The cloud's account.
const ACCOUNT: &str = "default";
/// More than any wait takes.
const WITHIN: Duration = Duration::from_secs(240);
/// Nothing was written for so long: what was going on is over.
const QUIET: Duration = Duration::from_secs(2);

/// A control plane, a cloud whose apps are processes, and a gateway; an operator later.
pub struct World {
    operator: Option<Operator>,
    local: LocalWorld,
    /// The administrator's.
    pub client: Client,
    /// Speaks to the gateway, over connections that are kept.
    pub http: reqwest::Client,
}

impl World {
    /// Starts it, without operator.
    pub async fn start(folder: &Path) -> Result<Self> {
        let say = |line: &str| eprintln!("{line}");
        let program = env!("CARGO_BIN_EXE_sandbar").into();
        let cloud = CloudOptions { token: new_token(), speed: Some(20.0), virtual_apps: false, seed: Some(1) };
        let options = WorldOptions { dir: folder.to_owned(), program, cloud, operator: None, gateway: true };
        let local = LocalWorld::start(&options, &say).await?;
        // A warm sandbox is what is measured, not how long the cloud takes for it.
        let settings = AccountSettings {
            timings: Timings { ready_seconds: Seconds::Fixed(0.0), ..Timings::default() },
            limits: Limits { enabled: false, ..Limits::default() },
            ..AccountSettings::with_token(local.token())
        };
        SimAdmin::new(local.cloud().url()).put_account(ACCOUNT, &settings).await?;
        Ok(Self { operator: None, client: local.client().await?, http: reqwest::Client::new(), local })
    }

    /// Starts the operator, with the timings that it ships with.
    pub async fn start_operator(&mut self) -> Result<()> {
        self.operator = Some(Operator::start(&self.local.operator_options()).await?);
        Ok(())
    }

    /// Ends it.
    pub async fn stop(self) {
        if let Some(operator) = self.operator {
            operator.stop().await;
        }
        self.local.stop().await;
    }

    /// The end of the logs.
    pub fn last_words(&self) -> String {
        let ours = self.local.children().filter(|child| ["gateway", "cloudsim"].contains(&child.name()));
        let children = self.operator.iter().map(Operator::child).chain(ours);
        children.map(|child| format!("the last words of {}:\n{}\n", child.name(), child.tail(15))).collect()
    }

    /// The gateway's address, without a slash at the end.
    pub fn gateway(&self) -> Result<String> {
        Ok(self.local.gateway_url().ok_or("no gateway runs")?)
    }

    /// The gateway's process.
    pub fn gateway_pid(&self) -> Result<i32> {
        let child = self.local.children().find(|child| child.name() == "gateway");
        Ok(child.ok_or("no gateway runs")?.pid())
    }

    /// Where snapshots are.
    pub fn snapshot_url(&self) -> String {
        self.local.snapshot_url()
    }

    /// What the gateway serves, as the administrator.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), SERVES)
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
