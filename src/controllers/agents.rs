//! The way to a member's agent: its address, and the token in the member's own Secret.

use crate::agent::client::{AgentClient, AgentError};
use crate::api::{AGENT_TOKEN_KEY, agent_secret_name};
use crate::failure::chain;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use std::sync::{Arc, OnceLock};

/// Why an agent cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum NoAgent {
    /// The API server did not give the Secret.
    #[error("cannot read the agent's token: {}", chain(.0))]
    Unread(#[from] kube::Error),
    /// Somebody deleted it, or what is in it is no token.
    #[error("Secret {0} with the agent's token is gone")]
    NoToken(String),
    /// The address is none.
    #[error(transparent)]
    Address(#[from] AgentError),
}

/// Agents of members, as the operator reaches them. Cheap to clone.
#[derive(Clone)]
pub struct Agents {
    client: Client,
    /// Made once: reading the system's certificates takes longer than most of what agents are asked.
    http: Arc<OnceLock<reqwest::Client>>,
}

impl Agents {
    /// Tokens are read through this client.
    pub fn new(client: Client) -> Self {
        Self { client, http: Arc::default() }
    }

    /// The agent of the member with this UID, at this base address.
    ///
    /// # Errors
    /// [`NoAgent`].
    pub async fn of(&self, namespace: &str, uid: &str, url: &str) -> Result<AgentClient, NoAgent> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let name = agent_secret_name(uid);
        let found = secrets.get_opt(&name).await?;
        let value = found.and_then(|secret| secret.data).and_then(|mut data| data.remove(AGENT_TOKEN_KEY));
        let token = value.and_then(|value| String::from_utf8(value.0).ok()).ok_or(NoAgent::NoToken(name))?;
        Ok(AgentClient::with_http(self.http()?, url, Some(&token))?)
    }

    fn http(&self) -> Result<reqwest::Client, AgentError> {
        if let Some(http) = self.http.get() {
            return Ok(http.clone());
        }
        let made = AgentClient::connections()?;
        Ok(self.http.get_or_init(|| made).clone())
    }
}
