//! A real Kubernetes control plane in child processes: etcd, kube-apiserver
//! and kube-controller-manager, without nodes. Dropping it ends them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokio::time::Instant;

use super::binaries::{Binaries, BinaryError, Say, Tool};
use super::kubeconfig::{self, Identity};
use super::nursery::Child;
use super::pki::{Pki, PkiError};
use super::ports;

/// How long a program may take to answer after its start; on a loaded machine
/// with two cores the API server needs up to half a minute.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What a local world needs of kube-controller-manager. The aggregation makes
/// the shipped roles part of `view`, `edit` and `admin`, as in any cluster.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
                           clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller";

/// Why the control plane did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// A program could not be had.
    #[error(transparent)]
    Binary(#[from] BinaryError),
    /// The certificates could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A folder or file could not be made.
    #[error("cannot use {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {name}")]
    Spawn {
        /// The program.
        name: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A program ended instead of getting ready.
    #[error("{name} ended before it was ready ({status}); the last lines of {log}:\n{tail}")]
    Ended {
        /// The program.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
    /// A program did not get ready in time.
    #[error("{name} was not ready within {} s; the last lines of {log}:\n{tail}", READY_WITHIN.as_secs())]
    Late {
        /// The program.
        name: String,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
    /// No client could be made from our own certificates.
    #[error("cannot make a client for the API server")]
    Client(#[from] kube::Error),
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: nobody should see its store go first.
    controllers: Option<Child>,
    apiserver: Child,
    etcd: Child,
    binaries: Binaries,
    dirs: Dirs,
    pki: Pki,
    port: u16,
    socket: Socket,
}

#[derive(Debug)]
struct Dirs {
    data: PathBuf,
    logs: PathBuf,
}

/// Where the store listens. A socket in a private folder instead of a port:
/// nobody else can reach the store, and nobody can take the address first.
#[derive(Debug)]
struct Socket {
    path: PathBuf,
    // Only where the data folder's own path is too long for a socket.
    _elsewhere: Option<tempfile::TempDir>,
}

impl Socket {
    /// The kernel's limit is 108 bytes with the end mark on Linux, 104 on macOS.
    const LONGEST: usize = 103;

    fn new(data: &Path) -> io::Result<Self> {
        let path = data.join("etcd.sock");
        if path.as_os_str().len() <= Self::LONGEST {
            return Ok(Self { path, _elsewhere: None });
        }
        let dir = tempfile::Builder::new().prefix("sandbar-dev-").tempdir()?;
        Ok(Self { path: dir.path().join("etcd.sock"), _elsewhere: Some(dir) })
    }

    fn url(&self) -> String {
        format!("unix://{}", self.path.display())
    }
}

impl ControlPlane {
    /// Starts etcd and the API server with state in `data` (emptied before by
    /// the caller if need be) and logs in `logs`, and waits until the server
    /// is ready. [`Self::start_controllers`] completes it.
    ///
    /// # Errors
    /// When a program is missing, cannot be built, or does not get ready.
    pub async fn start(binaries: Binaries, data: &Path, logs: &Path, say: Say<'_>) -> Result<Self, ControlPlaneError> {
        // All of them before the first start: a build takes minutes.
        for tool in [Tool::Etcd, Tool::Apiserver, Tool::ControllerManager] {
            binaries.path(tool, say).await?;
        }
        for dir in [data, logs] {
            std::fs::create_dir_all(dir).map_err(|source| ControlPlaneError::File { path: dir.to_owned(), source })?;
        }
        let absolute = |dir: &Path| {
            std::path::absolute(dir).map_err(|source| ControlPlaneError::File { path: dir.to_owned(), source })
        };
        let dirs = Dirs { data: absolute(data)?, logs: absolute(logs)? };
        let pki = Pki::create(&dirs.data)?;
        let socket = Socket::new(&dirs.data);
        let socket = socket.map_err(|source| ControlPlaneError::File { path: std::env::temp_dir(), source })?;
        let etcd = start_etcd(&binaries.path(Tool::Etcd, say).await?, &dirs, &socket).await?;
        let program = binaries.path(Tool::Apiserver, say).await?;
        let (apiserver, port) = start_apiserver(&program, &dirs, &socket, &pki).await?;
        Ok(Self { controllers: None, apiserver, etcd, binaries, dirs, pki, port, socket })
    }

    /// Starts kube-controller-manager. Custom resources that exist by now are
    /// garbage-collected from the first moment; later ones are found within
    /// 30 s.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_controllers(&mut self, say: Say<'_>) -> Result<(), ControlPlaneError> {
        let config = self.dirs.data.join("controllers.kubeconfig");
        super::write_private(&config, &self.admin_kubeconfig())
            .map_err(|source| ControlPlaneError::File { path: config.clone(), source })?;
        let mut command = Command::new(self.binaries.path(Tool::ControllerManager, say).await?);
        command
            .arg(format!("--kubeconfig={}", config.display()))
            .arg(format!("--service-account-private-key-file={}", self.pki.service_account_key.display()))
            .arg(format!("--controllers={CONTROLLERS}"))
            .args(["--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000"]);
        let name = Tool::ControllerManager.file();
        self.controllers = Some(spawn(name, command, &self.dirs.logs).await?);
        Ok(())
    }

    /// The API server's address.
    pub fn server(&self) -> String {
        server(self.port)
    }

    /// A kubeconfig for somebody else than the administrator.
    pub fn kubeconfig(&self, identity: &Identity, namespace: &str) -> String {
        kubeconfig::text(&self.server(), &self.pki.ca, identity, namespace)
    }

    /// A kubeconfig of a cluster administrator (`system:masters`).
    pub fn admin_kubeconfig(&self) -> String {
        self.kubeconfig(&Identity::Certificate(self.pki.admin.clone()), "default")
    }

    /// The processes that run, the ones that depend on others first.
    pub fn children(&self) -> impl Iterator<Item = &Child> {
        self.controllers.iter().chain([&self.apiserver, &self.etcd])
    }

    /// Kills the API server and starts it again on the same store and port.
    ///
    /// # Errors
    /// When it does not get ready, for instance because somebody took the port.
    pub async fn restart_apiserver(&mut self, say: Say<'_>) -> Result<(), ControlPlaneError> {
        self.apiserver.kill().await;
        let program = self.binaries.path(Tool::Apiserver, say).await?;
        let command = apiserver_command(&program, &self.dirs, &self.socket, &self.pki, self.port);
        self.apiserver = spawn(Tool::Apiserver.file(), command, &self.dirs.logs).await?;
        wait_for_apiserver(&self.apiserver, &self.pki, self.port).await
    }

    /// Kills the API server and the store under it, and starts both again on
    /// the same data and port.
    ///
    /// # Errors
    /// When one of them does not get ready.
    pub async fn restart_store(&mut self, say: Say<'_>) -> Result<(), ControlPlaneError> {
        self.apiserver.kill().await;
        self.etcd.kill().await;
        self.etcd = start_etcd(&self.binaries.path(Tool::Etcd, say).await?, &self.dirs, &self.socket).await?;
        self.restart_apiserver(say).await
    }

    /// What etcd's own clients need to reach the store.
    pub fn store_url(&self) -> String {
        self.socket.url()
    }

    /// Kills the API server and the store under it, puts `data`, a data folder as `etcdutl snapshot restore` makes one,
    /// in the place of the store's own, and starts both again on the same port.
    ///
    /// # Errors
    /// When the folder cannot be moved, or one of them does not get ready.
    pub async fn replace_store(&mut self, data: &Path, say: Say<'_>) -> Result<(), ControlPlaneError> {
        self.apiserver.kill().await;
        self.etcd.kill().await;
        let own = self.dirs.data.join("etcd");
        let moved = std::fs::remove_dir_all(&own).and_then(|()| std::fs::rename(data, &own));
        moved.map_err(|source| ControlPlaneError::File { path: data.to_owned(), source })?;
        self.restart_store(say).await
    }

    /// Ends every process. The state is thrown away with the world, so nobody
    /// is asked politely.
    pub async fn stop(self) {
        for child in self.children() {
            child.kill().await;
        }
    }
}

fn server(port: u16) -> String {
    format!("https://127.0.0.1:{port}")
}

async fn start_etcd(program: &Path, dirs: &Dirs, socket: &Socket) -> Result<Child, ControlPlaneError> {
    let mut command = Command::new(program);
    command
        .arg("--data-dir")
        .arg(dirs.data.join("etcd"))
        .args(["--listen-client-urls", &socket.url(), "--listen-peer-urls", "http://127.0.0.1:0"])
        // Must look like a port; nobody asks a lone member where it is.
        .args(["--advertise-client-urls", "http://127.0.0.1:2379"])
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
    let child = spawn(Tool::Etcd.file(), command, &dirs.logs).await?;
    // A server that meets no store backs off for seconds.
    wait_until(&child, async || tokio::net::UnixStream::connect(&socket.path).await.is_ok()).await?;
    Ok(child)
}

/// Starts the API server on a free port, on another one if somebody took it
/// in between, and waits until it is ready.
async fn start_apiserver(
    program: &Path,
    dirs: &Dirs,
    socket: &Socket,
    pki: &Pki,
) -> Result<(Child, u16), ControlPlaneError> {
    let name = Tool::Apiserver.file();
    let mut tries = 0;
    loop {
        tries += 1;
        let port = ports::free().map_err(|source| ControlPlaneError::Spawn { name, source })?;
        let child = spawn(name, apiserver_command(program, dirs, socket, pki, port), &dirs.logs).await?;
        match wait_for_apiserver(&child, pki, port).await {
            Ok(()) => return Ok((child, port)),
            Err(ControlPlaneError::Ended { .. }) if tries < 5 && ports::taken(port) => {}
            Err(error) => return Err(error),
        }
    }
}

fn apiserver_command(program: &Path, dirs: &Dirs, socket: &Socket, pki: &Pki, port: u16) -> Command {
    let mut command = Command::new(program);
    let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    command
        .arg(format!("--etcd-servers={}", socket.url()))
        .arg(format!("--secure-port={port}"))
        .arg(file("cert-dir", &dirs.data))
        .arg(file("client-ca-file", &pki.ca_file))
        .arg(file("tls-cert-file", &pki.server_certificate))
        .arg(file("tls-private-key-file", &pki.server_key))
        .arg(file("service-account-key-file", &pki.service_account_public_key))
        .arg(file("service-account-signing-key-file", &pki.service_account_key))
        .args(["--service-account-issuer=https://sandbar.local", "--authorization-mode=RBAC"])
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
        .args(["--service-cluster-ip-range=10.0.0.0/24", "--profiling=false"]);
    command
}

/// Ready means: it answers `/readyz` with 200 under our own authority, so
/// another server that took the port is not mistaken for ours.
async fn wait_for_apiserver(child: &Child, pki: &Pki, port: u16) -> Result<(), ControlPlaneError> {
    let admin = Identity::Certificate(pki.admin.clone());
    let client = kubeconfig::client(&kubeconfig::text(&server(port), &pki.ca, &admin, "default")).await?;
    let ready = async || {
        let Ok(request) = http::Request::get("/readyz").body(Vec::new()) else { return false };
        let answer = tokio::time::timeout(Duration::from_secs(2), client.request_text(request)).await;
        matches!(answer, Ok(Ok(_)))
    };
    wait_until(child, ready).await
}

/// Waits for `ready` as long as the process runs and [`READY_WITHIN`] lasts.
async fn wait_until(child: &Child, ready: impl AsyncFn() -> bool) -> Result<(), ControlPlaneError> {
    let name = child.name().to_owned();
    let until = Instant::now() + READY_WITHIN;
    while Instant::now() < until {
        if let Some(status) = child.status() {
            return Err(ControlPlaneError::Ended { name, status, log: child.log().to_owned(), tail: child.tail(15) });
        }
        if ready().await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(ControlPlaneError::Late { name, log: child.log().to_owned(), tail: child.tail(15) })
}

async fn spawn(name: &'static str, command: Command, logs: &Path) -> Result<Child, ControlPlaneError> {
    let log = logs.join(format!("{name}.log"));
    Child::spawn(name, command, &log).await.map_err(|source| ControlPlaneError::Spawn { name, source })
}
