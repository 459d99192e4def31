//! The snapshot store of an installation, and the way to agents.

use super::{Depot, Kept, MoveError, Purpose, Say, Target};
use crate::agent::client::AgentClient;
use crate::api::conditions::Reason;
use crate::artifacts::{SaveOptions, SnapshotError, Store, TransferError, Unpack, restore, save};
use crate::controllers::agents::{Agents, NoAgent};
use crate::failure::chain;
use async_trait::async_trait;

/// Files go through the sandboxes' agents into an object store.
pub struct StoreDepot {
    store: Store,
    agents: Agents,
}

impl StoreDepot {
    /// Over this store.
    pub fn new(store: Store, agents: Agents) -> Self {
        Self { store, agents }
    }

    async fn agent(&self, target: &Target) -> Result<AgentClient, MoveError> {
        let agent = self.agents.of(&target.namespace, &target.uid, &target.url).await;
        agent.map_err(|error| match error {
            NoAgent::Address(error) => TransferError::from(error).into(),
            other => MoveError::passing(Reason::TransferFailed, other.to_string()),
        })
    }
}

impl From<TransferError> for MoveError {
    fn from(error: TransferError) -> Self {
        let reason = match &error {
            TransferError::Snapshot(SnapshotError::Missing { .. } | SnapshotError::BadName(_)) => {
                Reason::SnapshotMissing
            }
            TransferError::Snapshot(SnapshotError::Corrupt { .. }) => Reason::SnapshotDamaged,
            _ => Reason::TransferFailed,
        };
        Self { reason, passing: error.is_passing(), message: chain(&error) }
    }
}

impl From<SnapshotError> for MoveError {
    fn from(error: SnapshotError) -> Self {
        TransferError::from(error).into()
    }
}

#[async_trait]
impl Depot for StoreDepot {
    async fn save(&self, target: &Target, snapshot: &str, may_finish: &Say<'_>) -> Result<u64, MoveError> {
        let (agent, snapshots) = (self.agent(target).await?, self.store.of(&target.namespace));
        let options = SaveOptions { image: target.image.clone(), ..SaveOptions::default() };
        Ok(save(&agent, &snapshots, snapshot, &options, may_finish).await?.size_bytes)
    }

    async fn restore(
        &self,
        target: &Target,
        snapshot: &str,
        purpose: Purpose,
        may_unpack: &Say<'_>,
    ) -> Result<u64, MoveError> {
        let how = Unpack::Once { purpose: purpose.as_str() };
        let (agent, snapshots) = (self.agent(target).await?, self.store.of(&target.namespace));
        Ok(restore(&agent, &snapshots, snapshot, how, may_unpack).await?.size_bytes)
    }

    async fn find(&self, namespace: &str, snapshot: &str) -> Result<u64, MoveError> {
        Ok(self.store.of(namespace).get(snapshot).await?.size_bytes)
    }

    async fn check(&self, namespace: &str, snapshot: &str) -> Result<u64, MoveError> {
        Ok(self.store.of(namespace).check(snapshot).await?.size_bytes)
    }

    async fn remove(&self, namespace: &str, snapshot: &str) -> Result<(), MoveError> {
        self.store.of(namespace).remove(snapshot).await?;
        Ok(())
    }

    async fn kept(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<Kept>, MoveError> {
        let namespaces = match namespace {
            Some(one) => vec![one.to_owned()],
            None => self.store.namespaces().await?,
        };
        let mut kept = Vec::new();
        for namespace in namespaces {
            let found = self.store.of(&namespace).written(prefix).await?;
            kept.extend(found.into_iter().map(|(name, written)| Kept { namespace: namespace.clone(), name, written }));
        }
        Ok(kept)
    }
}
