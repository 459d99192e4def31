//! The way into a sandbox: the run's member, its address, its token.

use super::cluster::{Cluster, ClusterArgs};
use crate::agent::client::{AgentClient, AgentError};
use crate::api::{AGENT_TOKEN_KEY, Phase, Sandbox, agent_secret_name};
use crate::claims::Fault;
use crate::claims::fault::patiently;
use crate::console::is_safe;
use crate::failure::Failure;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use reqwest::Url;

/// A client for the agent in the sandbox that this run holds.
pub async fn enter(cluster: &ClusterArgs, id: &str) -> Result<AgentClient, Failure> {
    let cluster = cluster.connect().await?;
    let member = usable(&cluster, id).await?;
    if member.is_worker() { by_console(&cluster, &member).await } else { by_address(&cluster, &member, id).await }
}

/// As [`enter`], for what a console is too narrow for; `what` says what was to be done with the sandbox.
pub async fn enter_service(cluster: &Cluster, id: &str, what: &str) -> Result<(AgentClient, Sandbox), Failure> {
    let member = usable(cluster, id).await?;
    if member.is_worker() {
        let text =
            format!("cannot {what} sandbox {}: it is in mode Worker, and its console is too narrow", member.name_any());
        return Err(Failure::new(text).advice("use a pool with provider.digitalOcean.mode: Service"));
    }
    let agent = by_address(cluster, &member, id).await?;
    Ok((agent, member))
}

/// The run's member, if somebody can work in it now.
async fn usable(cluster: &Cluster, id: &str) -> Result<Sandbox, Failure> {
    let member = cluster.claims().held(id).await?;
    if matches!(member.phase(), Phase::Hibernating | Phase::Hibernated) {
        return Err(Failure::new(format!("sandbox {} of run {id} is hibernated", member.name_any()))
            .advice(format!("sandbar wake {id} makes it a new instance with its files")));
    }
    if let Some(snapshot) = member.awaited_snapshot() {
        let text =
            format!("sandbox {} of run {id} does not have the files of snapshot {snapshot} yet", member.name_any());
        return Err(
            Failure::new(text).advice(format!("kubectl describe sbx {} shows how far it is", member.name_any()))
        );
    }
    Ok(member)
}

/// To the agent itself, with its token.
async fn by_address(cluster: &Cluster, member: &Sandbox, id: &str) -> Result<AgentClient, Failure> {
    let url = member.status.as_ref().and_then(|status| status.url.clone()).ok_or_else(|| {
        Failure::new(format!("sandbox {} of run {id} has no address yet", member.name_any()))
            .advice("wait until sandbar ls shows its URL")
    })?;
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let token = token(&secrets, member, &cluster.namespace).await?;
    AgentClient::new(&url, Some(&token)).map_err(Failure::from)
}

/// By way of the operator, as the person whom the cluster knows: no Secret is read.
async fn by_console(cluster: &Cluster, member: &Sandbox) -> Result<AgentClient, Failure> {
    let name = member.name_any();
    let url = member.status.as_ref().and_then(|status| status.url.clone()).ok_or_else(|| {
        Failure::new(format!("sandbox {name} is in mode Worker, and its console is served nowhere yet"))
            .advice("wait until sandbar ls shows its URL; if none comes, the operator runs without --console-url")
    })?;
    if !Url::parse(&url).is_ok_and(|url| is_safe(&url)) {
        return Err(Failure::new(format!("{url} is no https address: your token is not sent there"))
            .advice("the operator's --console-url says what people are told"));
    }
    AgentClient::new(&url, Some(&cluster.token().await?)).map_err(Failure::from)
}

async fn token(secrets: &Api<Secret>, member: &Sandbox, namespace: &str) -> Result<String, Failure> {
    let name = agent_secret_name(member.metadata.uid.as_deref().unwrap_or_default());
    let secret = match patiently(|| secrets.get(&name)).await {
        Ok(secret) => secret,
        Err(Fault::Denied(message)) => {
            return Err(Failure::new(format!("not allowed: {message}")).advice(format!(
                "whoever works in a sandbox reads its token: ask for the right to get Secrets in namespace {namespace}"
            )));
        }
        Err(Fault::NotFound(_)) => return Err(no_token(&name)),
        Err(fault) => return Err(fault.into()),
    };
    let bytes = secret.data.and_then(|mut data| data.remove(AGENT_TOKEN_KEY)).map(|bytes| bytes.0);
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|token| !token.is_empty())
        .ok_or_else(|| no_token(&name))
}

fn no_token(secret: &str) -> Failure {
    Failure::new(format!("Secret {secret} holds no {AGENT_TOKEN_KEY}: nobody can enter this sandbox"))
        .advice("release the run and claim another sandbox")
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            AgentError::Unreachable { .. } => {
                failure.advice("sandbar ls shows whether the sandbox still is there; what was asked may have happened")
            }
            AgentError::Unauthorized { .. } => failure.advice(
                "mode Worker: log in to the cluster again; mode Service: release the run, claim another sandbox",
            ),
            _ => failure,
        }
    }
}
