//! The cluster's store is saved, life goes on, and the store is put back to what it was: no instance is lost and none is
//! made twice.

use std::collections::BTreeSet;
use std::path::Path;

use sandbar::api::{Phase, Sandbox};
use sandbar::claims::{ClaimError, ClaimWish, Claims};
use sandbar::cloudsim::admin::{Entry, State};

use super::cluster::{Cluster, Pool, succeeded};
use super::guide::Guide;
use super::load::POOL;
use super::previous::Version;
use crate::scene::{UID_MARK, held, name, sound};
use crate::wait::{eventually, wait_gone};
use crate::world::PROGRAM;

const MAX: i32 = 12;

impl Cluster {
    /// Takes a warm sandbox that is like this.
    async fn taken(&self, id: &str) -> Sandbox {
        let claims = Claims::new(self.client.clone(), "default");
        let wish =
            ClaimWish { holder: "ada".to_owned(), ttl: Some("1h".parse().expect("a span")), id: Some(id.to_owned()) };
        let taken = eventually("one is warm", async || match claims.claim_warm(POOL, &wish).await {
            Err(ClaimError::NoneWarm { .. }) => Err("none is warm"),
            other => Ok(other),
        });
        let member = taken.await.expect("a claim").sandbox;
        self.in_sandbox(id, &format!("echo {id} > mine")).await;
        member
    }

    async fn in_sandbox(&self, id: &str, command: &str) -> String {
        let arguments = ["exec", id, "--", command];
        succeeded("sandbar", &arguments, &self.run(Path::new(PROGRAM), &arguments).await)
    }

    async fn uids(&self) -> BTreeSet<String> {
        let list = self.sandboxes().list(&Default::default()).await.expect("a list");
        list.items.into_iter().filter(Sandbox::is_member).filter_map(|member| member.metadata.uid).collect()
    }
}

impl Cluster {
    /// The instance of what was released is gone: its claim, which is back, ends.
    async fn ends_again(&self, released: &Sandbox) {
        eventually("the released claim ends again", async || {
            let found = self.sandboxes().get_opt(&name(released)).await.expect("an answer");
            match found.filter(|member| uid(member) == uid(released)) {
                Some(member) if member.phase() != Phase::Failed && !member.is_deleting() => Err(format!("{member:?}")),
                _ => Ok(()),
            }
        })
        .await;
    }

    /// Nobody is given what somebody else is in.
    async fn emptied(&self, member: &Sandbox) {
        eventually("what somebody was in is gone", async || match of(&self.ledger().await.apps, &uid(member)).state {
            State::Gone => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    async fn agrees_with_the_cloud(&self) {
        self.warm(4).await;
        eventually("the cloud has what the cluster has, and no more", async || {
            let (members, ledger) = (self.uids().await, self.ledger().await);
            let living: BTreeSet<String> =
                ledger.existing().filter_map(|app| app.marks.get(UID_MARK).cloned()).collect();
            if living.is_subset(&members) && living.len() == 5 {
                Ok(())
            } else {
                Err(format!("{living:?} {members:?}"))
            }
        })
        .await;
        sound(&self.ledger().await, "default", MAX.unsigned_abs());
    }
}

fn uid(sandbox: &Sandbox) -> String {
    sandbox.metadata.uid.clone().expect("a uid")
}

fn of<'a>(apps: &'a [Entry], uid: &str) -> &'a Entry {
    apps.iter().find(|app| app.marks.get(UID_MARK).is_some_and(|of| of == uid)).expect("an app was made for it")
}

#[tokio::test]
async fn a_restored_store_loses_no_instance_and_makes_none_twice_s1_s4_s6() {
    let mut cluster = Cluster::with_processes().await;
    let guide = Guide::open("backup");
    let [backup, restored] = ["backup.db", "restored"].map(|name| cluster.home().join(name));
    let paths = [backup.to_str().expect("UTF-8"), restored.to_str().expect("UTF-8")];
    let store = cluster.store_url();
    let variables = [("BACKUP", paths[0]), ("RESTORED", paths[1]), ("ETCDCTL_ENDPOINTS", store.as_str())];
    let type_it = async |cluster: &Cluster, block: &str| {
        let (succeeded, said) = guide.tried(cluster, block, &variables).await;
        assert!(succeeded, "{block}: {said}");
        said
    };
    cluster.kubectl(&["apply", "--server-side", "-k", "deploy/base"]).await;
    cluster.established().await;
    let operator = cluster.operator().await;
    cluster.credentials().await;
    cluster.pool(Pool { warm: 2, max: MAX }).await;
    let kept = cluster.taken("kept").await;
    let released = cluster.taken("released").await;
    cluster.warm(2).await;
    // Some are on their way when it is saved: their instances come into being after it.
    cluster.kubectl(&["scale", "sbp", POOL, "--replicas=4"]).await;
    eventually("members are being made", async || match cluster.uids().await.len() {
        6 => Ok(()),
        other => Err(other),
    })
    .await;
    type_it(&cluster, "save").await;
    let saved = cluster.uids().await;

    // Life goes on.
    let claims = Claims::new(cluster.client.clone(), "default");
    claims.release("released").await.expect("a release");
    wait_gone(&cluster.sandboxes(), &name(&released)).await;
    let mut since = Vec::new();
    while !since.iter().any(|member| !saved.contains(&uid(member))) {
        since.push(cluster.taken(&format!("since-{}", since.len())).await);
    }
    let (known, unknown): (Vec<_>, Vec<_>) = since.iter().partition(|member| saved.contains(&uid(member)));
    assert!(!known.is_empty() && unknown.len() == 1, "{since:#?}");
    cluster.warm(4).await;
    let before = cluster.ledger().await;

    type_it(&cluster, "stop").await;
    assert!(operator.stop().await.success());
    type_it(&cluster, "restore").await;
    cluster.replace_store(&restored).await;
    assert_eq!(cluster.uids().await, saved);
    type_it(&cluster, "unclaimed").await;

    // It looks first, and deletes what it does not know when it may.
    let looks = cluster.operator_like_with("looks", &Version::this(), &["--orphans", "report"]).await;
    let orphan = of(&before.apps, &uid(unknown[0])).clone();
    eventually("the orphan is listed", async || {
        let said = type_it(&cluster, "unknown").await;
        if said.contains(&orphan.name) { Ok(()) } else { Err(said) }
    })
    .await;
    assert_eq!(of(&cluster.ledger().await.apps, &uid(unknown[0])).state, State::Active);
    assert!(looks.stop().await.success());
    let operator = cluster.operator().await;

    // What was claimed at the time of the backup is as it was, with what was written since.
    let still = cluster.sandboxes().get(&name(&kept)).await.expect("the claimed one");
    assert_eq!((uid(&still), held(&still)), (uid(&kept), Some("kept")));
    assert_eq!(cluster.in_sandbox("kept", "cat mine").await.trim(), "kept");
    cluster.ends_again(&released).await;
    for member in known {
        cluster.emptied(member).await;
    }
    cluster.agrees_with_the_cloud().await;
    assert_eq!(of(&cluster.ledger().await.apps, &uid(&kept)).deployments, 1);
    assert!(operator.stop().await.success());
}
