//! Where the control plane's programs come from: the folder that
//! `KUBEBUILDER_ASSETS` names, else the cache folder, else they are built
//! there once, from the module files that are part of this program. Clients
//! (kubectl, helm, krew, etcdctl) are taken from `PATH` before anything is built.

mod module;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use module::Module;

use super::nursery::Child;

/// Where a person reads what is going on.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A program of the control plane, or one of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tool {
    /// The store.
    Etcd,
    /// The API server.
    #[value(name = "kube-apiserver")]
    Apiserver,
    /// Garbage collection, removal of namespaces, aggregation of roles.
    #[value(name = "kube-controller-manager")]
    ControllerManager,
    /// The client.
    Kubectl,
    /// Installs charts.
    Helm,
    /// The next generation of it, which charts meet too.
    Helm4,
    /// Asks the store, and saves snapshots of it.
    Etcdctl,
    /// Makes a store out of a snapshot.
    Etcdutl,
    /// Installs plugins of kubectl.
    Krew,
}

impl Tool {
    /// The name of the program's file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Helm4 => "helm4",
            Self::Etcdctl => "etcdctl",
            Self::Etcdutl => "etcdutl",
            Self::Krew => "krew",
        }
    }

    /// Where its versions are pinned.
    fn module(self) -> &'static Module {
        match self {
            Self::Etcd | Self::Apiserver | Self::ControllerManager | Self::Kubectl => &module::CONTROL_PLANE,
            Self::Helm => &module::HELM,
            Self::Helm4 => &module::HELM4,
            Self::Etcdctl | Self::Etcdutl => &module::ETCD,
            Self::Krew => &module::KREW,
        }
    }

    /// Whether any version that a person has will do.
    fn is_client(self) -> bool {
        matches!(self, Self::Kubectl | Self::Helm | Self::Krew | Self::Helm4 | Self::Etcdctl | Self::Etcdutl)
    }

    fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::Apiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Helm => "helm.sh/helm/v3/cmd/helm",
            Self::Helm4 => "helm.sh/helm/v4/cmd/helm",
            Self::Etcdctl => "go.etcd.io/etcd/etcdctl/v3",
            Self::Etcdutl => "go.etcd.io/etcd/etcdutl/v3",
            Self::Krew => "sigs.k8s.io/krew/cmd/krew",
        }
    }

    /// How long a build takes on two cores when those before it in the order
    /// etcd, apiserver, controller-manager are built already (measured).
    fn build_time(self) -> &'static str {
        match self {
            Self::Etcd => "1 to 2 minutes",
            Self::Apiserver => "about 6 minutes",
            Self::ControllerManager => "about 2 minutes",
            Self::Kubectl => "about 1 minute",
            Self::Helm | Self::Helm4 => "2 to 3 minutes",
            Self::Etcdctl | Self::Etcdutl => "less than 1 minute",
            Self::Krew => "half a minute",
        }
    }
}

/// Why a program could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// The folder that the variable names lacks a program.
    #[error("KUBEBUILDER_ASSETS={dir} has no {tool}")]
    Assets {
        /// The folder.
        dir: PathBuf,
        /// The program's file name.
        tool: &'static str,
    },
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no cache folder: neither XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    /// A file of the cache could not be made, moved or locked.
    #[error("cannot use {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The Go toolchain could not be started.
    #[error("{tool} has to be built and the Go program '{go}' cannot be started")]
    NoGo {
        /// The program's file name.
        tool: &'static str,
        /// The Go program that was tried.
        go: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The build failed.
    #[error("building {tool} failed ({status}); the last lines:\n{tail}")]
    Build {
        /// The program's file name.
        tool: &'static str,
        /// How the Go program ended.
        status: std::process::ExitStatus,
        /// What it said last.
        tail: String,
    },
}

impl BinaryError {
    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Assets { .. } => "unset KUBEBUILDER_ASSETS, so that the programs are built into the cache folder",
            Self::NoCache => "set XDG_CACHE_HOME to a folder that may hold 300 MB",
            Self::File { .. } => "make the folder writable, or set XDG_CACHE_HOME to another one",
            Self::NoGo { .. } => "install Go 1.26 or newer, or set KUBEBUILDER_ASSETS to a folder with the programs",
            Self::Build { .. } => "see that the Go module proxy can be reached (GOPROXY) and 3 GB of disk are free",
        }
    }
}

/// Finds or builds the programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    assets: Option<PathBuf>,
    cache: PathBuf,
    go: PathBuf,
}

impl Binaries {
    /// As the environment says: `KUBEBUILDER_ASSETS`, `XDG_CACHE_HOME`, `HOME`.
    ///
    /// # Errors
    /// [`BinaryError::NoCache`].
    pub fn from_env() -> Result<Self, BinaryError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        let cache = caches.ok_or(BinaryError::NoCache)?.join("sandbar");
        Ok(Self { assets: set("KUBEBUILDER_ASSETS"), cache, go: PathBuf::from("go") })
    }

    /// The path of a program, built first if it is nowhere.
    ///
    /// # Errors
    /// When it is missing where it must be, or cannot be built.
    pub async fn path(&self, tool: Tool, say: Say<'_>) -> Result<PathBuf, BinaryError> {
        if let Some(dir) = &self.assets {
            let file = dir.join(tool.file());
            if file.is_file() {
                return Ok(file);
            }
            if tool == Tool::Etcd || tool == Tool::Apiserver {
                return Err(BinaryError::Assets { dir: dir.clone(), tool: tool.file() });
            }
            // The archive of setup-envtest has no controller-manager: that one
            // still comes from the cache.
        }
        if tool.is_client()
            && let Some(found) = on_path(tool.file())
        {
            return Ok(found);
        }
        let cached = self.folder(tool).join(tool.file());
        if cached.is_file() {
            return Ok(cached);
        }
        self.build(tool, &cached, say).await?;
        Ok(cached)
    }

    /// The folder with what is built from the same pins.
    fn folder(&self, tool: Tool) -> PathBuf {
        self.cache.join(tool.module().folder).join(tool.module().key())
    }

    async fn build(&self, tool: Tool, cached: &Path, say: Say<'_>) -> Result<(), BinaryError> {
        let used = |path: &Path, source| BinaryError::File { path: path.to_owned(), source };
        let folder = self.folder(tool);
        fs::create_dir_all(&folder).map_err(|error| used(&folder, error))?;
        let _lock = self.lock(tool, say).await?;
        if cached.is_file() {
            return Ok(());
        }
        // In the cache folder, so that the rename stays on one file system.
        let work = tempfile::Builder::new().prefix(".build-").tempdir_in(&folder);
        let work = work.map_err(|error| used(&folder, error))?;
        let (module, out) = (work.path().join("module"), work.path().join(tool.file()));
        fs::create_dir(&module)
            .and_then(|()| fs::write(module.join("go.mod"), tool.module().go_mod))
            .and_then(|()| fs::write(module.join("go.sum"), tool.module().go_sum))
            .map_err(|error| used(&module, error))?;
        self.compile(tool, &module, &out, say).await?;
        fs::rename(&out, cached).map_err(|error| used(cached, error))
    }

    async fn compile(&self, tool: Tool, module: &Path, out: &Path, say: Say<'_>) -> Result<(), BinaryError> {
        let name = tool.file();
        say(&format!(
            "building {name} {} into {}: {} on two cores, once",
            tool.module().version,
            self.folder(tool).display(),
            tool.build_time()
        ));
        let started = Instant::now();
        let mut command = Command::new(&self.go);
        command.current_dir(module).env("CGO_ENABLED", "0").env("GOWORK", "off");
        command
            .args(["build", "-trimpath", "-ldflags"])
            .arg(tool.module().ldflags())
            .arg("-o")
            .arg(out)
            .arg(tool.package());
        let child = Child::spawn("go build", command, &module.join("build.log"))
            .await
            .map_err(|source| BinaryError::NoGo { tool: name, go: self.go.clone(), source })?;
        let status = loop {
            match tokio::time::timeout(Duration::from_secs(30), child.wait()).await {
                Ok(status) => break status,
                Err(_) => say(&format!("still building {name}, {} s so far", started.elapsed().as_secs())),
            }
        };
        if !status.success() {
            return Err(BinaryError::Build { tool: name, status, tail: child.tail(15) });
        }
        say(&format!("built {name} in {} s", started.elapsed().as_secs()));
        Ok(())
    }

    /// One builder at a time per cache folder. Polled, so that it can be
    /// given up like everything else.
    async fn lock(&self, tool: Tool, say: Say<'_>) -> Result<fs::File, BinaryError> {
        let path = self.folder(tool).join(".lock");
        let used = |source| BinaryError::File { path: path.clone(), source };
        let file = fs::File::options().create(true).append(true).open(&path).map_err(used)?;
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::Error(error)) => return Err(used(error)),
                Err(fs::TryLockError::WouldBlock) if !said => {
                    said = true;
                    say(&format!("waiting for another process that builds {} or one like it", tool.file()));
                }
                Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}

#[cfg(test)]
#[path = "binaries_tests.rs"]
mod tests;
