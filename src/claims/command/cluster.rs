//! The way to the cluster: the person's kubeconfig.

use super::names;
use crate::api::{Sandbox, SandboxPool};
use crate::claims::Claims;
use crate::failure::{Failure, chain};
use clap::ValueHint;
use clap_complete::engine::ArgValueCandidates;
use kube::client::{Body, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::path::{Path, PathBuf};
use tower::{Layer, ServiceExt};

/// Which cluster and namespace.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Namespace; else the context's own
    #[arg(short, long, value_name = "NAME", add = ArgValueCandidates::new(names::namespaces))]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; else its current one
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::contexts))]
    pub context: Option<String>,
    /// Kubeconfig file; else $KUBECONFIG, ~/.kube/config, or the Pod's service account
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
}

/// A cluster that was found.
pub struct Cluster {
    /// The client, with the person's rights.
    pub client: Client,
    /// The namespace that was asked for, or the context's.
    pub namespace: String,
    /// What the client is made from.
    pub config: Config,
}

impl ClusterArgs {
    /// Finds the cluster; nothing is sent yet.
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let mut config = self.config().await?;
        // Calls that may be repeated are repeated in one place that knows which: `claims::fault`.
        config.default_retry = false;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config.clone()).map_err(|error| unfit(&error))?;
        Ok(Cluster { client, namespace, config })
    }

    async fn config(&self) -> Result<Config, Failure> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        if let Some(file) = &self.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(file).map_err(|error| unreadable(Some(file), &chain(&error)))?;
            return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| self.unusable(&error));
        }
        if self.context.is_some() {
            let kubeconfig = Kubeconfig::read().map_err(|error| unreadable(None, &chain(&error)))?;
            return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| self.unusable(&error));
        }
        Config::infer().await.map_err(|error| unreadable(None, &chain(&error)))
    }

    fn unusable(&self, error: &dyn std::error::Error) -> Failure {
        let context = self.context.as_deref().unwrap_or("the current one");
        Failure::new(format!("cannot use context {context} of the kubeconfig: {}", chain(error)))
            .advice("kubectl config get-contexts shows the contexts there are")
    }
}

/// Names a token for services of the cluster other than the API server.
pub const TOKEN_VARIABLE: &str = "SANDBAR_TOKEN";

impl Cluster {
    /// The token by which the cluster knows this person: out of the variable, or of the kubeconfig, its plugins
    /// included.
    pub async fn token(&self) -> Result<String, Failure> {
        if let Ok(token) = std::env::var(TOKEN_VARIABLE)
            && !token.is_empty()
        {
            return Ok(token);
        }
        let layer = self.config.auth_layer().map_err(|error| unfit(&error))?;
        let header = match layer {
            // What is laid over a request is looked at instead of sent.
            Some(layer) => {
                let looking = tower::service_fn(|request: http::Request<Body>| {
                    let header = request.headers().get(http::header::AUTHORIZATION).cloned();
                    std::future::ready(Ok::<_, tower::BoxError>(http::Response::new(header)))
                });
                let asked = layer.layer(looking).oneshot(http::Request::new(Body::empty())).await;
                asked
                    .map_err(|error| Failure::new(format!("cannot get a token by the kubeconfig: {error}")))?
                    .into_body()
            }
            None => None,
        };
        let token = header.as_ref().and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "));
        token.map(str::to_owned).ok_or_else(|| {
            Failure::new("the kubeconfig has no token, only a certificate, which nobody but the API server can check")
                .advice(format!("export {TOKEN_VARIABLE}=$(kubectl create token SERVICE-ACCOUNT)"))
        })
    }

    /// The claims of the namespace.
    pub fn claims(&self) -> Claims {
        Claims::new(self.client.clone(), &self.namespace)
    }

    /// Pools and Sandboxes, of the namespace or of all.
    pub fn kinds(&self, all_namespaces: bool) -> (Api<SandboxPool>, Api<Sandbox>) {
        let client = || self.client.clone();
        if all_namespaces {
            (Api::all(client()), Api::all(client()))
        } else {
            (Api::namespaced(client(), &self.namespace), Api::namespaced(client(), &self.namespace))
        }
    }
}

fn unfit(error: &kube::Error) -> Failure {
    Failure::new(format!("cannot use the kubeconfig: {}", chain(error)))
}

fn unreadable(file: Option<&Path>, why: &str) -> Failure {
    let file = file.map(|file| format!("{} ", file.display())).unwrap_or_default();
    Failure::new(format!("no cluster: cannot read kubeconfig {file}({why})"))
        .advice("name one with --kubeconfig or KUBECONFIG; sandbar dev up makes a local world and prints its path")
}
