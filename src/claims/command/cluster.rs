//! The way to the cluster: the person's kubeconfig.

use crate::api::{Sandbox, SandboxPool};
use crate::claims::Claims;
use crate::failure::{Failure, chain};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::path::{Path, PathBuf};

/// Which cluster and namespace.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Namespace; else the context's own
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig; else its current one
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig file; else $KUBECONFIG, ~/.kube/config, or the Pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// A cluster that was found.
pub struct Cluster {
    /// The client, with the person's rights.
    pub client: Client,
    /// The namespace that was asked for, or the context's.
    pub namespace: String,
}

impl ClusterArgs {
    /// Finds the cluster; nothing is sent yet.
    pub async fn connect(&self) -> Result<Cluster, Failure> {
        let mut config = self.config().await?;
        // Calls that may be repeated are repeated in one place that knows which: `claims::fault`.
        config.default_retry = false;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)
            .map_err(|error| Failure::new(format!("cannot use the kubeconfig: {}", chain(&error))))?;
        Ok(Cluster { client, namespace })
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

impl Cluster {
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

fn unreadable(file: Option<&Path>, why: &str) -> Failure {
    let file = file.map(|file| format!("{} ", file.display())).unwrap_or_default();
    Failure::new(format!("no cluster: cannot read kubeconfig {file}({why})"))
        .advice("name one with --kubeconfig or KUBECONFIG; sandbar dev up makes a local world and prints its path")
}
