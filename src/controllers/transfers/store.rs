//! The snapshot store of an installation, and the way to agents.

use super::{Depot, Kept, MoveError, Purpose, Say, Target};
use crate::agent::client::AgentClient;
use crate::api::conditions::Reason;
use crate::api::{AGENT_TOKEN_KEY, agent_secret_name};
use crate::artifacts::{SaveOptions, SnapshotError, Store, TransferError, Unpack, restore, save};
use crate::failure::chain;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

/// Files go through the sandboxes' agents into an object store.
pub struct StoreDepot {
    store: Store,
    client: Client,
}

impl StoreDepot {
    /// Over this store; the agents' tokens are read through the client.
    pub fn new(store: Store, client: Client) -> Self {
        Self { store, client }
    }

    async fn agent(&self, target: &Target) -> Result<AgentClient, MoveError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &target.namespace);
        let name = agent_secret_name(&target.uid);
        let unread = |error| format!("cannot read the agent's token: {}", chain(&error));
        let found = secrets.get_opt(&name).await.map_err(|error| unknown(unread(error)))?;
        let value = found.and_then(|secret| secret.data).and_then(|mut data| data.remove(AGENT_TOKEN_KEY));
        let token = value.and_then(|value| String::from_utf8(value.0).ok());
        let token = token.ok_or_else(|| unknown(format!("Secret {name} with the agent's token is gone")))?;
        AgentClient::new(&target.url, Some(&token)).map_err(|error| TransferError::from(error).into())
    }
}

fn unknown(message: String) -> MoveError {
    MoveError::passing(Reason::TransferFailed, message)
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
