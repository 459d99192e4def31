//! Where a run's app can be opened in a browser: a link to its sandbox, signed with the agent's token, that holds until
//! the run expires. Whoever may see the run is told it; nobody needs to read Secrets for that.

use super::run::{Run, State};
use crate::agent::link::mint;
use crate::api::{AGENT_TOKEN_KEY, Sandbox, agent_secret_name};
use crate::failure::chain;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for what a link is made from; without it the run is shown without one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Links that are remembered at once.
const REMEMBERED: usize = 4096;
/// Links that are made at once.
const AT_ONCE: usize = 16;

/// A link, and what it was made from: an instance that woke has another address.
#[derive(Clone)]
struct Made {
    expires: Timestamp,
    url: String,
    link: String,
}

/// Makes links, each once.
pub struct Links {
    sandboxes: Api<Sandbox>,
    secrets: Api<Secret>,
    made: Mutex<HashMap<String, Made>>,
}

impl Links {
    /// Of this namespace. Needs `get` of its sandboxes and secrets.
    pub fn new(client: &Client, namespace: &str) -> Self {
        let (sandboxes, secrets) =
            (Api::namespaced(client.clone(), namespace), Api::namespaced(client.clone(), namespace));
        Self { sandboxes, secrets, made: Mutex::default() }
    }

    /// The link to the app of this run, while it is up.
    pub async fn of(&self, run: &Run) -> Option<String> {
        if run.state != State::Running || run.is_over() {
            return None;
        }
        run.app.as_ref()?;
        let (member, uid) = match &run.bound {
            Some(bound) => (&bound.name, &bound.uid),
            None => (&run.name, &run.uid),
        };
        let (expires, url) = (run.expires?, run.url.clone()?);
        let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned();
        if let Some(made) = known.filter(|made| made.expires == expires && made.url == url) {
            return Some(made.link);
        }
        let link = tokio::time::timeout(PATIENCE, self.make(member, uid, &url, expires)).await.ok().flatten()?;
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(uid.clone(), Made { expires, url, link: link.clone() });
        Some(link)
    }

    /// The same for several, in their order.
    pub async fn of_all(&self, runs: &[Arc<Run>]) -> Vec<Option<String>> {
        let each: Vec<_> = runs.iter().map(|run| self.of(run)).collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }

    async fn make(&self, member: &str, uid: &str, url: &str, expires: Timestamp) -> Option<String> {
        let told = |error: &dyn std::error::Error| tracing::warn!(member, error = chain(error), "no link can be made");
        let found = self.sandboxes.get_opt(member).await.inspect_err(|error| told(error)).ok()??;
        let status = found.status.filter(|_| found.metadata.uid.as_deref() == Some(uid))?;
        let port = u16::try_from(status.app?.app.port).ok()?;
        let secret = self.secrets.get_opt(&agent_secret_name(uid)).await.inspect_err(|error| told(error)).ok()??;
        let token = String::from_utf8(secret.data?.remove(AGENT_TOKEN_KEY)?.0).ok()?;
        let link = mint(url, &token, port, expires).inspect_err(|error| told(error)).ok()?;
        Some(link.into())
    }
}
