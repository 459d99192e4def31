//! From the version before to this one and back, while people claim: no claim is lost, nothing is made twice, nothing is
//! left, and there is an operator within the time of its Lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use sandbar::dev::install::NAMESPACE;
use sandbar::dev::operator::Operator;

use super::cluster::{Cluster, Pool};
use super::guide::Guide;
use super::load::Load;
use super::previous::Version;
use crate::recorder::Recorder;
use crate::wait::eventually_within;
use crate::watcher::Watcher;

/// More than the Lease's time: what a busy machine takes to start a process.
const SLACK: Duration = Duration::from_secs(10);

/// A cluster with a version of Sandbar in it, and people who claim.
struct Stage {
    cluster: Arc<Cluster>,
    watcher: Arc<Watcher>,
    load: Load,
}

/// An operator, and what it asks of the cloud.
struct Running {
    operator: Operator,
    calls: Recorder,
}

impl Running {
    async fn start(cluster: &Cluster, name: &str, version: &Version) -> Self {
        let calls = Recorder::before(cluster.cloud_url()).await;
        let operator = cluster.operator_like(name, version, calls.url()).await;
        Self { operator, calls }
    }

    /// Waits until it leads.
    async fn leads(&self, within: Duration) {
        eventually_within(within, "it leads", async || {
            let answer = reqwest::get(format!("{}/readyz", self.operator.base_url())).await;
            let report = answer.map_err(|error| error.to_string())?.text().await.unwrap_or_default();
            if report.contains("[+] leader: ok") { Ok(()) } else { Err(report) }
        })
        .await;
    }
}

impl Stage {
    /// A pool of which people claim. The version before runs.
    async fn set(cluster: Arc<Cluster>, first: &Running) -> Self {
        first.leads(SLACK).await;
        cluster.credentials().await;
        let watcher = Arc::new(cluster.watcher().await);
        cluster.pool(Pool { warm: 2, max: 12 }).await;
        let mut load = Load::start(&cluster, &watcher);
        load.goes_on(Timestamp::MIN).await;
        Self { cluster, watcher, load }
    }

    async fn lease_time(&self) -> Duration {
        let leases: Api<Lease> = Api::namespaced(self.cluster.client.clone(), NAMESPACE);
        let lease = leases.get("sandbar").await.expect("the Lease").spec.expect("a spec");
        Duration::from_secs(u64::try_from(lease.lease_duration_seconds.expect("a duration")).expect("a duration"))
    }

    /// As the Deployment's rolling update does it: the new one is started, and when it is ready the old one is told to
    /// end. Gives the new one.
    async fn handed_over(&mut self, old: Running, name: &str, version: &Version) -> Running {
        let new = Running::start(&self.cluster, name, version).await;
        self.load.goes_on(Timestamp::now()).await;
        assert_eq!(new.calls.since(Timestamp::MIN), Vec::<String>::new(), "who stands by calls nobody");
        let (asked, lease) = (Instant::now(), self.lease_time().await);
        assert!(old.operator.stop().await.success());
        let ended = Timestamp::now();
        new.leads(lease).await;
        eprintln!("{name} leads {:.1} s after the old one was told to end", asked.elapsed().as_secs_f64());
        self.load.goes_on(Timestamp::now()).await;
        assert_eq!(old.calls.since(ended), Vec::<String>::new(), "who has ended calls nobody");
        new
    }

    /// What must be so when everybody has left: all is as it was for who stayed, and nothing stays when the pool goes.
    async fn end(self) {
        self.load.end(&self.cluster).await;
        self.watcher.verdict().await;
        self.watcher.all_end_by_word();
        self.cluster.delete_pool_and_claims().await;
        assert_eq!(self.cluster.existing().await, 0);
        self.watcher.verdict().await;
    }
}

#[tokio::test]
async fn helm_upgrades_and_rolls_back_while_people_claim_s1_s6_s15() {
    let cluster = Arc::new(Cluster::with_processes().await);
    let (before, this) = (Version::before(), Version::this());
    cluster.helm("install", &[&before.path("charts/sandbar"), "--create-namespace"]).await;
    cluster.established().await;
    let first = Running::start(&cluster, "first", &before).await;
    let mut stage = Stage::set(Arc::clone(&cluster), &first).await;

    // The objects change at once, definitions and rights too, and the processes after them.
    let guide = Guide::open("upgrade");
    guide.typed(&cluster, "helm-upgrade").await;
    cluster.established().await;
    stage.load.goes_on(Timestamp::now()).await;
    let second = stage.handed_over(first, "second", &this).await;

    guide.typed(&cluster, "helm-rollback").await;
    cluster.established().await;
    stage.load.goes_on(Timestamp::now()).await;
    let third = stage.handed_over(second, "third", &before).await;
    stage.end().await;
    assert!(third.operator.stop().await.success());
}

#[tokio::test]
async fn kustomize_upgrades_while_people_claim_and_the_old_operator_is_killed_s1_s6_s8() {
    let cluster = Arc::new(Cluster::with_processes().await);
    let (before, this) = (Version::before(), Version::this());
    cluster.kubectl(&["apply", "--server-side", "-k", &before.path("deploy/base")]).await;
    cluster.established().await;
    let first = Running::start(&cluster, "first", &before).await;
    let mut stage = Stage::set(Arc::clone(&cluster), &first).await;

    Guide::open("upgrade").typed(&cluster, "kustomize-upgrade").await;
    cluster.established().await;
    stage.load.goes_on(Timestamp::now()).await;
    // Its node dies in the middle of it.
    let (lease, killed) = (stage.lease_time().await, Instant::now());
    first.operator.kill().await;
    let second = Running::start(&cluster, "second", &this).await;
    second.leads((lease + SLACK).saturating_sub(killed.elapsed())).await;
    eprintln!("the new one leads {:.1} s after the old one was killed", killed.elapsed().as_secs_f64());
    stage.load.goes_on(Timestamp::now()).await;
    stage.end().await;
    assert!(second.operator.stop().await.success());
}
