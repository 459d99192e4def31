//! The whole local world: control plane, cloud, and the operator if wanted.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use kube::Client;

use super::binaries::{Binaries, BinaryError, Say};
use super::cloud::{Cloud, CloudError, CloudOptions};
use super::controlplane::{ControlPlane, ControlPlaneError};
use super::gateway::{self, Gateway};
use super::install::{self, InstallError};
use super::kubeconfig::{self, Identity};
use super::nursery::Child;
use super::operator::{self, Operator, OperatorOptions};
use super::place::{Place, PlaceError};
use super::server::{ServerError, ServerOptions};

/// What a world consists of.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// The folder for state, logs, kubeconfig and env.
    pub dir: PathBuf,
    /// The `sandbar` program that runs as cloud and operator.
    pub program: PathBuf,
    /// How the cloud behaves.
    pub cloud: CloudOptions,
    /// Further flags of the operator; absent = it does not run.
    pub operator: Option<Vec<String>>,
    /// Whether a gateway runs, with the page.
    pub gateway: bool,
}

/// Why a world did not come up.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// Its control plane did not come up.
    #[error(transparent)]
    ControlPlane(#[from] ControlPlaneError),
    /// The cluster could not be prepared.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// Its cloud did not come up.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// Its operator or gateway did not come up.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A file could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

impl WorldError {
    /// What a person can do about it, where there is something.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Place(PlaceError::Taken { dir, .. }) => {
                Some(format!("end it with: sandbar dev down --dir {}, or use another --dir", dir.display()))
            }
            Self::ControlPlane(ControlPlaneError::Binary(error)) => Some(error.advice().to_owned()),
            _ => None,
        }
    }
}

impl From<BinaryError> for WorldError {
    fn from(error: BinaryError) -> Self {
        Self::ControlPlane(error.into())
    }
}

/// A running world. Dropping it kills everything in it; [`Self::stop`] ends
/// it in order.
#[derive(Debug)]
pub struct LocalWorld {
    // Dropped from the top: whoever depends on others goes first, and the
    // folder is let go when nobody writes into it any more.
    gateway: Option<Gateway>,
    operator: Option<Operator>,
    cloud: Cloud,
    plane: ControlPlane,
    place: Place,
    token: String,
    program: PathBuf,
}

impl LocalWorld {
    /// Starts everything and returns when it is ready to be used. Dropping
    /// the future ends what has been started.
    ///
    /// # Errors
    /// When the folder is in use, or something does not come up.
    pub async fn start(options: &WorldOptions, say: Say<'_>) -> Result<Self, WorldError> {
        let place = Place::take(&options.dir)?;
        let (data, logs, binaries) = (place.data(), place.logs(), Binaries::from_env()?);
        let plane = async { Ok(ControlPlane::start(binaries, &data, &logs, say).await?) };
        let cloud = async { Ok(Cloud::start(&options.program, &options.cloud, &logs).await?) };
        let (plane, cloud): (ControlPlane, Cloud) =
            tokio::try_join!(plane, cloud).map_err(|error: WorldError| error)?;
        let (token, program) = (options.cloud.token.clone(), options.program.clone());
        let mut world = Self { gateway: None, operator: None, cloud, plane, place, token, program };
        world.install(say).await?;
        if let Some(flags) = &options.operator {
            world.operator = Some(Operator::start(&world.operator_options().with(flags.clone())).await?);
        }
        if options.gateway {
            world.gateway = Some(Gateway::start(&world.gateway_options()).await?);
        }
        world.write_env()?;
        Ok(world)
    }

    async fn install(&mut self, say: Say<'_>) -> Result<(), WorldError> {
        let client = self.client().await?;
        install::definitions(&client).await?;
        // After the definitions: the collector then knows them at once.
        self.plane.start_controllers(say).await?;
        install::manifests(&client).await?;
        install::credentials(&client, &self.token).await?;
        install::gateway_serves(&client, gateway::SERVES).await?;
        for (account, file) in [
            (install::SERVICE_ACCOUNT, self.operator_kubeconfig()),
            (install::GATEWAY_ACCOUNT, self.gateway_kubeconfig()),
        ] {
            let token = install::service_account_token(&client, install::NAMESPACE, account).await?;
            self.write(&file, &self.plane.kubeconfig(&Identity::Token(token), install::NAMESPACE))?;
        }
        self.write(&self.place.kubeconfig(), &self.plane.admin_kubeconfig())
    }

    /// A client of the cluster's administrator.
    ///
    /// # Errors
    /// When our own kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client, WorldError> {
        Ok(kubeconfig::client(&self.plane.admin_kubeconfig()).await.map_err(ControlPlaneError::from)?)
    }

    /// A client that the API server takes for the operator and lets do everything: for laying down what an operator
    /// would have left behind. What it may itself, [`Self::operator_kubeconfig`] shows.
    ///
    /// # Errors
    /// When our own kubeconfig cannot be used.
    pub async fn as_operator(&self) -> Result<Client, WorldError> {
        let operator = format!("system:serviceaccount:{}:{}", install::NAMESPACE, install::SERVICE_ACCOUNT);
        let client = kubeconfig::client_as(&self.plane.admin_kubeconfig(), operator).await;
        Ok(client.map_err(ControlPlaneError::from)?)
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The control plane, for those who restart a part of it.
    pub fn plane_mut(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// The cloud.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The token of the cloud's first account, which Secret `digitalocean` holds.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.place.kubeconfig()
    }

    /// The operator's kubeconfig file: its service account, nothing more.
    pub fn operator_kubeconfig(&self) -> PathBuf {
        self.place.data().join("operator.kubeconfig")
    }

    fn gateway_kubeconfig(&self) -> PathBuf {
        self.place.data().join("gateway.kubeconfig")
    }

    /// The gateway's address, if it runs, without a slash at the end.
    pub fn gateway_url(&self) -> Option<String> {
        self.gateway.as_ref().map(Gateway::url)
    }

    /// The address of a local store for snapshots, which ends with the world.
    pub fn snapshot_url(&self) -> String {
        let folder = self.place.data().join("snapshots");
        reqwest::Url::from_file_path(&folder).map_or_else(|()| format!("file://{}", folder.display()), String::from)
    }

    /// The folder with the logs.
    pub fn logs(&self) -> PathBuf {
        self.place.logs()
    }

    /// What an operator of this world is started with.
    pub fn operator_options(&self) -> OperatorOptions {
        let server = ServerOptions {
            program: self.program.clone(),
            kubeconfig: self.operator_kubeconfig(),
            arguments: Vec::new(),
            environment: vec![("SANDBAR_SNAPSHOT_URL".to_owned(), self.snapshot_url())],
            log: operator::log(&self.place.logs()),
        };
        OperatorOptions { server, cloud_url: self.cloud.url().to_owned() }
    }

    fn gateway_options(&self) -> ServerOptions {
        ServerOptions {
            program: self.program.clone(),
            kubeconfig: self.gateway_kubeconfig(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: gateway::log(&self.place.logs()),
        }
    }

    /// The line that says it is ready.
    pub fn summary(&self) -> String {
        let operator = if self.operator.is_some() { "" } else { ", no operator" };
        let page = self.gateway_url().map_or(", no gateway".to_owned(), |url| format!(", page {url}"));
        let (server, cloud, env) = (self.plane.server(), self.cloud.url(), self.place.env());
        format!("ready: Kubernetes {server}, cloud {cloud}{operator}{page}; in another shell: . {}", env.display())
    }

    /// Waits until a child ends that should not have, and says which and how.
    pub async fn broken(&self) -> (&Child, ExitStatus) {
        let ends = self.children().map(|child| Box::pin(async move { (child, child.wait().await) }));
        futures::future::select_all(ends).await.0
    }

    /// Every child, the ones that depend on others first.
    pub fn children(&self) -> impl Iterator<Item = &Child> {
        let gateway = self.gateway.iter().map(Gateway::child);
        gateway
            .chain(self.operator.iter().map(Operator::child))
            .chain([self.cloud.child()])
            .chain(self.plane.children())
    }

    /// Ends everything in order and waits until it is gone.
    pub async fn stop(self) {
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
        if let Some(operator) = self.operator {
            operator.stop().await;
        }
        self.cloud.stop().await;
        self.plane.stop().await;
        drop(self.place);
    }

    fn write_env(&self) -> Result<(), WorldError> {
        let mut text = String::new();
        let mut set = |name: &str, value: &str| text.push_str(&format!("export {name}='{}'\n", quoted(value)));
        set("KUBECONFIG", &self.kubeconfig().display().to_string());
        set("CLOUDSIM_URL", self.cloud.url());
        set("DIGITALOCEAN_TOKEN", &self.token);
        set("SANDBAR_SNAPSHOT_URL", &self.snapshot_url());
        if let Some(operator) = &self.operator {
            set("METRICS_URL", &operator.metrics_url());
        }
        if let Some(url) = self.gateway_url() {
            set("GATEWAY_URL", &url);
        }
        self.write(&self.place.env(), &text)
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), WorldError> {
        super::write_private(path, text).map_err(|source| WorldError::Write { path: path.to_owned(), source })
    }
}

/// Text that can stand between single quotes in a shell.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}
