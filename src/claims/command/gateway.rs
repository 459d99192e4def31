//! The way into sandboxes by way of a gateway: it reads the tokens of agents, and asks the cluster what the caller may.

use super::cluster::{Cluster, ClusterArgs};
use super::entry::{enter, enter_service};
use crate::agent::client::AgentClient;
use crate::api::Sandbox;
use crate::claims::{FindError, Left, check_id};
use crate::console::is_safe;
use crate::failure::{Failure, chain};
use http::StatusCode;
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;

/// Names the gateway where no flag does.
const VARIABLE: &str = "SANDBAR_GATEWAY";
/// Between two looks at whether a run goes on.
const LOOK: Duration = Duration::from_secs(2);
/// Longest wait for the gateway's own answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which cluster, and by which way into its sandboxes.
#[derive(Debug, Clone, clap::Args)]
pub struct EntryArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Enter by way of this gateway, with the token of the kubeconfig: nobody needs to read Secrets then. Without one,
    /// the Secret of the sandbox is read
    #[arg(long, env = VARIABLE, value_name = "URL", help_heading = "Cluster")]
    gateway: Option<String>,
}

/// A sandbox that was entered, and who knows when it is left.
pub struct Entered {
    /// Its agent.
    pub agent: AgentClient,
    by: By,
}

enum By {
    Cluster(Box<(Cluster, Sandbox)>),
    Gateway(Gateway),
}

/// A gateway, and the token by which it knows this person.
struct Gateway {
    url: Url,
    token: String,
    http: reqwest::Client,
}

/// What of a run's status matters here.
#[derive(Deserialize)]
struct Status {
    status: String,
    ended_at: Option<String>,
}

impl EntryArgs {
    /// A client for the agent in the sandbox that this run holds.
    pub async fn enter(&self, id: &str) -> Result<AgentClient, Failure> {
        match self.gateway().await? {
            Some(gateway) => gateway.agent(id),
            None => enter(&self.cluster, id).await,
        }
    }

    /// The same, for what a console is too narrow for; `what` says what was to be done with the sandbox.
    pub async fn enter_service(&self, id: &str, what: &str) -> Result<Entered, Failure> {
        if let Some(gateway) = self.gateway().await? {
            let agent = gateway.agent(id)?;
            return match gateway.left(id).await {
                None => Ok(Entered { agent, by: By::Gateway(gateway) }),
                Some(Left::Asleep) => Err(Failure::new(format!("run {id} is hibernated"))
                    .advice(format!("sandbar wake {id} makes it a new instance with its files"))),
                Some(Left::Ended) => {
                    Err(Failure::new(format!("there is no run {id} any more"))
                        .advice("sandbar ls shows those there are"))
                }
            };
        }
        let cluster = self.cluster.connect().await?;
        let (agent, member) = enter_service(&cluster, id, what).await?;
        Ok(Entered { agent, by: By::Cluster(Box::new((cluster, member))) })
    }

    async fn gateway(&self) -> Result<Option<Gateway>, Failure> {
        let Some(text) = self.gateway.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let url = checked(text)?;
        let token = self.cluster.connect().await?.token().await?;
        let http = reqwest::Client::builder().timeout(PATIENCE).build();
        let http = http.map_err(|error| Failure::new(format!("--gateway: {}", chain(&error))))?;
        Ok(Some(Gateway { url, token, http }))
    }
}

/// An address to which a token may be sent.
fn checked(text: &str) -> Result<Url, Failure> {
    match Url::parse(text) {
        Ok(url) if is_safe(&url) && url.query().is_none() && url.fragment().is_none() => Ok(url),
        _ => Err(Failure::new(format!("--gateway: {text:?} is not an https address: your token is not sent there"))
            .advice(format!("--gateway https://sandbar.example.com, or {VARIABLE}; http only for this very machine"))),
    }
}

impl Gateway {
    fn address(&self, id: &str) -> String {
        format!("{}/v1/runs/{id}", self.url.as_str().trim_end_matches('/'))
    }

    fn agent(&self, id: &str) -> Result<AgentClient, Failure> {
        check_id(id).map_err(FindError::BadId)?;
        Ok(AgentClient::new(&self.address(id), Some(&self.token))?)
    }

    /// Whether the run has left its sandbox. One whose status may not be seen, or is not told, has not.
    async fn left(&self, id: &str) -> Option<Left> {
        let answer = self.http.get(self.address(id)).bearer_auth(&self.token).send().await.ok()?;
        match answer.status() {
            StatusCode::NOT_FOUND => Some(Left::Ended),
            status if status.is_success() => {
                let told: Status = answer.json().await.ok()?;
                match told.status.as_str() {
                    _ if told.ended_at.is_some() => Some(Left::Ended),
                    "ended" | "stopping" => Some(Left::Ended),
                    "hibernated" => Some(Left::Asleep),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Entered {
    /// Waits until the run no longer works in this sandbox.
    pub async fn until_left(&self, id: &str) -> Left {
        match &self.by {
            By::Cluster(entered) => entered.0.claims().until_left(id, &entered.1).await,
            By::Gateway(gateway) => loop {
                tokio::time::sleep(LOOK).await;
                if let Some(left) = gateway.left(id).await {
                    return left;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_a_safe_address_only() {
        for good in ["https://sandbar.example.com", "https://h/prefix/", "http://127.0.0.1:8090"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["http://sandbar.example.com", "sandbar.example.com", "https://h?x=1", "ftp://h"] {
            let told = checked(bad).expect_err(bad).to_string();
            assert!(told.contains("--gateway") && told.contains(bad), "{told}");
        }
    }
}
