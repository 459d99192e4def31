//! A cluster of one test: a control plane with nothing installed, a cloud, and the commands a person types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Namespace, Pod};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use sandbar::api::{Sandbox, SandboxPool, short_hash};
use sandbar::cloudsim::admin::{Ledger, SimAdmin};
use sandbar::dev::binaries::{Binaries, Tool};
use sandbar::dev::cloud::{Cloud, CloudOptions, new_token};
use sandbar::dev::controlplane::ControlPlane;
use sandbar::dev::install::{self, NAMESPACE};
use sandbar::dev::kubeconfig::{self, Identity};
use sandbar::dev::operator::{Operator, OperatorOptions};
use sandbar::dev::server::{Server, ServerOptions};
use sandbar::dev::write_private;
use serde_json::Value;

use super::load::POOL;
use super::previous::Version;
use crate::wait::{wait_for, wait_gone};
use crate::watcher::{Subject, Watcher};
use crate::world::{PROGRAM, install_tls};

/// The project's folder.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What an object is called, and its `uid` and `resourceVersion`.
pub type Versions = BTreeMap<String, String>;

pub struct Cluster {
    // Dropped from the top: what depends on others goes first.
    cloud: Cloud,
    plane: ControlPlane,
    /// A cluster administrator.
    pub client: Client,
    token: String,
    binaries: Binaries,
    dir: tempfile::TempDir,
}

/// What is special about a pool.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// Warm ones to hold.
    pub warm: i32,
    /// The most in all.
    pub max: i32,
}

impl Cluster {
    /// A control plane and a cloud, with nothing in them. Nothing runs in the cloud's apps.
    pub async fn start() -> Self {
        Self::with(true).await
    }

    /// The same, and in every app of the cloud an agent runs as a process, with files of its own.
    pub async fn with_processes() -> Self {
        Self::with(false).await
    }

    async fn with(virtual_apps: bool) -> Self {
        install_tls();
        let dir = tempfile::tempdir().expect("a folder");
        let (data, logs) = (dir.path().join("data"), dir.path().join("logs"));
        let say = |line: &str| eprintln!("{line}");
        let binaries = Binaries::from_env().expect("a cache");
        let plane = ControlPlane::start(binaries.clone(), &data, &logs, &say).await.expect("a control plane");
        let token = new_token();
        let options = CloudOptions { token: token.clone(), speed: Some(60.0), virtual_apps, seed: Some(1) };
        let cloud = Cloud::start(Path::new(PROGRAM), &options, &logs).await.expect("a cloud");
        let client = kubeconfig::client(&plane.admin_kubeconfig()).await.expect("a client");
        write_private(&dir.path().join("admin"), &plane.admin_kubeconfig()).expect("a kubeconfig");
        Self { cloud, plane, client, token, binaries, dir }
    }

    /// Lets the cluster collect garbage and remove namespaces. Kinds that come later are found within half a minute.
    pub async fn start_controllers(&mut self) {
        self.plane.start_controllers(&|line| eprintln!("{line}")).await.expect("the controllers");
    }

    /// What etcd's own clients need to reach the cluster's store.
    pub fn store_url(&self) -> String {
        self.plane.store_url()
    }

    /// Restarts the control plane on another data folder of the store.
    pub async fn replace_store(&mut self, data: &Path) {
        self.plane.replace_store(data, &|line| eprintln!("{line}")).await.expect("the control plane comes back");
    }

    /// A token that the cloud takes.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A file of the test's own.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Runs a program as an administrator in the project's folder.
    pub async fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        run(program, arguments, self.dir.path()).await
    }

    /// Where a client is.
    pub async fn tool(&self, tool: Tool) -> PathBuf {
        self.binaries.path(tool, &|line| eprintln!("{line}")).await.expect("a client")
    }

    /// What `kubectl` says, which has to succeed.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let program = self.tool(Tool::Kubectl).await;
        succeeded("kubectl", arguments, &self.run(&program, arguments).await)
    }

    /// Where the objects of files are now.
    pub async fn versions(&self, files: &[String]) -> Versions {
        let list = self.kubectl(&with_files(&["get", "-o", "json"], files)).await;
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let objects = match list.get("items") {
            Some(items) => items.as_array().expect("a list").clone(),
            None => vec![list],
        };
        let version = |object: &Value| {
            let of = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
            let name = format!("{} {}/{}", object["kind"].as_str().unwrap_or("?"), of("namespace"), of("name"));
            // What no operator has seen gets the status of its definition with its first update, whoever makes it.
            let unseen = object["status"]["observedGeneration"] == sandbar::api::settled::UNSEEN;
            let version = if unseen { object["metadata"]["generation"].to_string() } else { of("resourceVersion") };
            (name, format!("{} {version}", of("uid")))
        };
        objects.iter().map(version).collect()
    }

    /// Applies files twice as GitOps tools do, in between without storing anything, and checks that the second time
    /// changes nothing. Gives what is in them.
    pub async fn apply_twice(&self, files: &[String]) -> Versions {
        let apply = with_files(&["apply", "--server-side"], files);
        self.kubectl(&apply).await;
        self.kubectl(&with_files(&["apply", "--server-side", "--dry-run=server"], files)).await;
        self.established().await;
        let before = self.versions(files).await;
        self.kubectl(&apply).await;
        assert_eq!(self.versions(files).await, before, "the second time changed something: {files:?}");
        before
    }

    /// Waits until the kinds are served: that writes their status.
    pub async fn established(&self) {
        let kinds = ["crd/sandboxes.sandbar.dev", "crd/sandboxpools.sandbar.dev"];
        for condition in ["NamesAccepted", "Established"] {
            let wait = format!("--for=condition={condition}");
            self.kubectl(&["wait", kinds[0], kinds[1], &wait, "--timeout=60s"]).await;
        }
    }

    async fn deployment(&self, name: &str) -> Deployment {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        api.get(name).await.unwrap_or_else(|error| panic!("Deployment {name}: {error}"))
    }

    /// Whether the API server would let the Deployment's Pods be, as its namespace demands.
    pub async fn pods_are_admitted(&self, name: &str) {
        let template = self.deployment(name).await.spec.expect("a spec").template;
        let metadata = ObjectMeta { name: Some("probe".to_owned()), ..template.metadata.unwrap_or_default() };
        let pod = Pod { metadata, spec: template.spec, ..Pod::default() };
        let api: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        api.create(&dry, &pod).await.unwrap_or_else(|error| panic!("Pods of {name}: {error}"));
    }

    /// What a Deployment's process is started with: its arguments, but for the command and those that begin with one of
    /// `without`, and the identity of its service account.
    async fn process(&self, name: &str, program: &Path, without: &[&str]) -> ServerOptions {
        let pod = self.deployment(name).await.spec.expect("a spec").template.spec.expect("a Pod");
        let account = pod.service_account_name.expect("a service account");
        let container: Container = pod.containers.into_iter().next().expect("a container");
        let arguments = container.args.unwrap_or_default().into_iter().skip(1);
        let token = install::service_account_token(&self.client, NAMESPACE, &account).await.expect("a token");
        let kubeconfig = self.kubeconfig_of(name);
        write_private(&kubeconfig, &self.kubeconfig(token)).expect("a kubeconfig");
        ServerOptions {
            program: program.to_owned(),
            kubeconfig,
            arguments: arguments.filter(|given| !without.iter().any(|flag| given.starts_with(flag))).collect(),
            environment: Vec::new(),
            log: self.dir.path().join("logs").join(format!("{name}.log")),
        }
    }

    /// A kubeconfig of whom the token belongs to.
    pub fn kubeconfig(&self, token: String) -> String {
        self.plane.kubeconfig(&Identity::Token(token), NAMESPACE)
    }

    /// The identity of a Deployment's process that was started.
    pub fn kubeconfig_of(&self, deployment: &str) -> PathBuf {
        self.dir.path().join(format!("{deployment}.kubeconfig"))
    }

    /// How the operator that is installed is started.
    pub async fn operator_options(&self, version: &Version) -> OperatorOptions {
        let mut server = self.process("sandbar", &version.program, &[]).await;
        server.arguments.extend(version.quick_flags());
        OperatorOptions { server, cloud_url: self.cloud.url().to_owned() }
    }

    /// Starts the operator that is installed and waits until it is ready.
    pub async fn operator(&self) -> Operator {
        Operator::start(&self.operator_options(&Version::this()).await).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the program of this version as the operator that is installed, on its way to the cloud through `cloud`,
    /// and waits until it is ready. Its log has this name.
    pub async fn operator_like(&self, name: &str, version: &Version, cloud: &str) -> Operator {
        let mut options = self.operator_options(version).await;
        cloud.clone_into(&mut options.cloud_url);
        options.server.log = self.dir.path().join("logs").join(format!("{name}.log"));
        Operator::start(&options).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The same, straight to the cloud and with further arguments.
    pub async fn operator_like_with(&self, name: &str, version: &Version, arguments: &[&str]) -> Operator {
        let mut options = self.operator_options(version).await;
        options.server.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        options.server.log = self.dir.path().join("logs").join(format!("{name}.log"));
        Operator::start(&options).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Starts the operator that is installed, which is not going to be ready.
    pub async fn operator_unready(&self) -> Operator {
        Operator::spawn(&self.operator_options(&Version::this()).await).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the gateway that is installed and waits until it is ready.
    pub async fn gateway(&self) -> Server {
        Self::start_gateway(&self.gateway_options().await).await
    }

    /// How the gateway that is installed is started.
    pub async fn gateway_options(&self) -> ServerOptions {
        self.process("sandbar-gateway", Path::new(PROGRAM), &["--listen"]).await
    }

    /// Starts a gateway and waits until it is ready.
    pub async fn start_gateway(options: &ServerOptions) -> Server {
        Server::start("gateway", options, 1, gateway_arguments).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the gateway that is installed, which is not going to be ready.
    pub async fn gateway_unready(&self) -> Server {
        Server::spawn("gateway", &self.gateway_options().await, 1, gateway_arguments)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// A pool of the examples reaches its level in a namespace and goes again, with nothing left at the cloud.
    pub async fn a_pool_lives(&self, namespace: &str) {
        self.credentials().await;
        self.kubectl(&["apply", "-n", namespace, "-f", "deploy/examples/pool.yaml"]).await;
        let pools: Api<SandboxPool> = Api::namespaced(self.client.clone(), namespace);
        wait_for(&pools, "python", "two warm", |pool| pool.status.as_ref().is_some_and(|status| status.warm == 2))
            .await;
        pools.delete("python", &Default::default()).await.expect("a deletion");
        wait_gone(&pools, "python").await;
        assert_eq!(self.existing().await, 0);
    }

    /// The provider's token, where the examples look for it.
    pub async fn credentials(&self) {
        install::credentials(&self.client, &self.token).await.expect("credentials");
    }

    /// Sandboxes of namespace `default`.
    pub fn sandboxes(&self) -> Api<Sandbox> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Pools of namespace `default`.
    pub fn pools(&self) -> Api<SandboxPool> {
        Api::namespaced(self.client.clone(), "default")
    }

    /// Makes a pool like that of the examples in namespace `default`.
    pub async fn pool(&self, pool: Pool) {
        let text = std::fs::read_to_string(Path::new(ROOT).join("deploy/examples/pool.yaml")).expect("the example");
        let mut wish: SandboxPool = serde_yaml::from_str(&text).expect("a pool");
        (wish.spec.warm.target, wish.spec.limits.max_sandboxes) = (pool.warm, pool.max);
        self.pools().create(&PostParams::default(), &wish).await.expect("a pool");
    }

    /// Waits until the pool has so many warm ones.
    pub async fn warm(&self, warm: i32) {
        let what = format!("{warm} warm");
        wait_for(&self.pools(), POOL, &what, |pool| pool.status.as_ref().is_some_and(|status| status.warm == warm))
            .await;
    }

    /// Deletes the pool and what people hold of it, and waits until it is gone.
    pub async fn delete_pool_and_claims(&self) {
        self.kubectl(&["annotate", "sbp", POOL, "sandbar.dev/end-claims=true"]).await;
        self.kubectl(&["delete", "sbp", POOL, "--timeout=120s"]).await;
    }

    /// Watches namespace `default`, as what the shipped operator calls itself there.
    pub async fn watcher(&self) -> Watcher {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let cluster = namespaces.get("kube-system").await.expect("kube-system").metadata.uid.expect("a uid");
        let subject = Subject {
            namespace: "default".to_owned(),
            sim: SimAdmin::new(self.cloud.url()),
            account: "default".to_owned(),
            installation: short_hash(&[&cluster, NAMESPACE, "sandbar"], 20),
        };
        let client = kubeconfig::client(&self.plane.admin_kubeconfig()).await.expect("a client of the watcher's own");
        Watcher::start(client, subject).await
    }

    /// The base address of the cloud's API.
    pub fn cloud_url(&self) -> &str {
        self.cloud.url()
    }

    /// Where clients keep what they keep, and `admin` is their kubeconfig.
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// The cloud's books.
    pub async fn ledger(&self) -> Ledger {
        SimAdmin::new(self.cloud.url()).ledger().await.expect("the cloud's books")
    }

    /// Apps that exist at the cloud.
    pub async fn existing(&self) -> usize {
        self.ledger().await.existing().count()
    }
}

fn gateway_arguments(ports: &[u16]) -> Vec<String> {
    vec!["gateway".to_owned(), format!("--listen=127.0.0.1:{}", ports[0])]
}

/// Runs a program in the project's folder. What it keeps, and its kubeconfig if there is one, is in `home`.
pub async fn run(program: &Path, arguments: &[&str], home: &Path) -> Output {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(ROOT).stdin(Stdio::null()).kill_on_drop(true);
    command.env("KUBECONFIG", home.join("admin")).env("HOME", home);
    for variable in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(variable);
    }
    command.output().await.expect("the program runs")
}

/// The standard output of a command that has to succeed.
pub fn succeeded(program: &str, arguments: &[&str], output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {err}{out}");
    out
}

fn with_files<'a>(command: &[&'a str], files: &'a [String]) -> Vec<&'a str> {
    command.iter().copied().chain(files.iter().flat_map(|file| ["-f", file.as_str()])).collect()
}

/// What a program wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
