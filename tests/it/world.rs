//! One world for the whole test run, one namespace and one cloud account for
//! every test.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_pool_reaches_its_level() {
//!     let env = World::get().await.test("level").await;   // own namespace, own account
//!     let operator = env.operator(OperatorSpec::default()).await;
//!     let pools: Api<SandboxPool> = env.api();
//!     pools.create(&Default::default(), &pool).await.unwrap();
//!     wait_for(&pools, "python", "two warm", |pool| pool.status.as_ref().is_some_and(|s| s.warm == 2)).await;
//!     let ledger = env.sim.ledger_of(&env.account).await.unwrap();
//!     ...
//! }
//! ```
//!
//! The control plane and the cloud start with the first test and end with
//! the test process, however that ends. Nothing is cleaned up in between: a
//! test's namespace, account and Lease are its own. When a test panics, the
//! ends of its operators' logs are printed.
//!
//! Who is who: [`TestEnv::client`] is a cluster administrator,
//! [`TestEnv::user`] a normal user with role `sandbar-user` in the test's
//! namespace, operators run under the shipped service account with the
//! shipped roles. The slot policy holds for the first two.

use std::io::Write;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use sandbar::cloudsim::admin::{AccountSettings, Limits, Seconds, SimAdmin, Timings};
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::kubeconfig::{self, Identity};
use sandbar::dev::operator::OperatorOptions;
use sandbar::dev::place::PlaceError;
use sandbar::dev::world::{LocalWorld, WorldError, WorldOptions};
use sandbar::dev::{install, write_private};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

pub use crate::operator::{OperatorSpec, TestOperator};
use crate::watcher::{Subject, Watcher};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_sandbar");

/// The world that all tests of this process share.
pub struct World {
    local: LocalWorld,
}

impl World {
    /// The world, started by whoever asks first (5 to 30 s).
    pub async fn get() -> &'static Self {
        static WORLD: OnceCell<World> = OnceCell::const_new();
        WORLD.get_or_init(Self::start).await
    }

    async fn start() -> Self {
        install_tls();
        for number in 0.. {
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("world-{number}"));
            let cloud = CloudOptions { token: new_token(), speed: None, virtual_apps: true, seed: Some(1) };
            let options = WorldOptions { dir, program: PROGRAM.into(), cloud, operator: None, gateway: false };
            match LocalWorld::start(&options, &tell).await {
                Ok(local) => return Self { local },
                // Another test process runs next to this one.
                Err(WorldError::Place(PlaceError::Taken { .. })) => {}
                Err(error) => panic!("the world does not start: {}", sandbar::failure::chain(&error)),
            }
        }
        unreachable!("there is always a higher number")
    }

    /// An environment of its own for one test; `name` is for people, at most
    /// 30 of `a-z0-9-`. Its account is quick, see [`quick_account`].
    pub async fn test(&'static self, name: &str) -> TestEnv {
        self.test_with(name, quick_account).await
    }

    /// Like [`Self::test`], with an account made from its token by `account`;
    /// `AccountSettings::with_token` is one like at the real cloud.
    pub async fn test_with(&'static self, name: &str, account: impl Fn(String) -> AccountSettings) -> TestEnv {
        let namespace = format!("{name}-{:06x}", rand::random_range(0..1 << 24));
        let client = self.local.client().await.expect("a client of the administrator");
        let token = new_token();
        let settings = account(token.clone());
        let account = namespace.clone();
        let sim = SimAdmin::new(self.local.cloud().url());
        sim.put_account(&account, &settings).await.expect("an account");
        let dir = self.local.logs().join(&namespace);
        std::fs::create_dir_all(&dir).expect("a folder for logs");
        let env = TestEnv {
            world: self,
            kubeconfig: self.local.kubeconfig(),
            user_kubeconfig: dir.join("user.kubeconfig"),
            user: client.clone(),
            namespace,
            client,
            account,
            token,
            sim,
            dir,
        };
        env.populate().await
    }

    /// The base address of the simulated cloud.
    pub fn cloud_url(&self) -> &str {
        self.local.cloud().url()
    }

    /// Everything else about the world.
    pub fn local(&self) -> &LocalWorld {
        &self.local
    }
}

/// What one test has for itself.
pub struct TestEnv {
    /// The world around it.
    pub world: &'static World,
    /// Its namespace.
    pub namespace: String,
    /// A cluster administrator. Not the operator: the slot policy holds for it.
    pub client: Client,
    /// A normal user: a service account with role `sandbar-user` in the
    /// namespace and nothing else.
    pub user: Client,
    /// The name of its simulated account, the same as the namespace.
    pub account: String,
    /// The DigitalOcean token of that account. Secret `digitalocean`, key
    /// `token`, in the namespace holds it.
    pub token: String,
    /// Faults, ledger and calls of the cloud; pass [`Self::account`].
    pub sim: SimAdmin,
    /// The administrator's kubeconfig file, for commands run as a person would.
    pub kubeconfig: PathBuf,
    /// The normal user's kubeconfig file; its default namespace is the test's.
    pub user_kubeconfig: PathBuf,
    dir: PathBuf,
}

impl TestEnv {
    async fn populate(mut self) -> Self {
        let name = &self.namespace;
        self.apply(&Api::<Namespace>::all(self.client.clone()), name, serde_json::json!({})).await;
        self.apply(&self.api::<ServiceAccount>(), "user", serde_json::json!({})).await;
        let binding = serde_json::json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sandbar-user"},
            "subjects": [{"kind": "ServiceAccount", "name": "user", "namespace": name}],
        });
        self.apply(&self.api::<RoleBinding>(), "user", binding).await;
        self.set_credentials(&self.token).await;
        let token = install::service_account_token(&self.client, name, "user").await.expect("a token");
        let text = self.world.local.plane().kubeconfig(&Identity::Token(token), name);
        write_private(&self.user_kubeconfig, &text).expect("the user's kubeconfig");
        self.user = kubeconfig::client(&text).await.expect("a client of the user");
        self
    }

    async fn apply<K>(&self, api: &Api<K>, name: &str, fields: serde_json::Value)
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let mut object = fields;
        object["apiVersion"] = K::api_version(&()).into();
        object["kind"] = K::kind(&()).into();
        object["metadata"] = serde_json::json!({"name": name});
        let params = PatchParams::apply("test").force();
        api.patch(name, &params, &Patch::Apply(&object)).await.expect("the API server takes it");
    }

    /// An API of the test's namespace, as administrator.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// An API of the test's namespace, as the normal user.
    pub fn user_api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.user.clone(), &self.namespace)
    }

    /// Puts `token` into Secret `digitalocean` of the namespace.
    pub async fn set_credentials(&self, token: &str) {
        let data = serde_json::json!({"stringData": {install::CREDENTIALS_KEY: token}});
        self.apply(&self.api::<Secret>(), install::CREDENTIALS, data).await;
    }

    /// Starts an operator that watches only this namespace, with a Lease and
    /// an installation id of the test's own, and waits until it is ready.
    pub async fn operator(&self, spec: OperatorSpec) -> TestOperator {
        TestOperator::start(self.options(&spec)).await
    }

    /// Like [`Self::operator`], but returns at once: for an operator that is
    /// not going to be ready, or that waits for the Lease.
    pub async fn operator_unready(&self, spec: OperatorSpec) -> TestOperator {
        TestOperator::spawn(self.options(&spec)).await
    }

    fn options(&self, spec: &OperatorSpec) -> OperatorOptions {
        let mut options = self.world.local.operator_options();
        let installation = self.installation();
        for (flag, value) in [
            ("--watch-namespace", &self.namespace),
            ("--lease-name", &self.namespace),
            ("--installation-id", &installation),
        ] {
            options.server.arguments.extend([flag.to_owned(), value.clone()]);
        }
        options.server.arguments.extend(spec.flags());
        options.server.environment.extend(spec.environment.iter().cloned());
        if let Some(cloud) = &spec.cloud {
            options.cloud_url.clone_from(cloud);
        }
        options.server.log = self.dir.join(format!("{}.log", spec.name));
        options
    }

    /// A watcher of this namespace and account, with a client of its own.
    pub async fn watcher(&self) -> Watcher {
        self.watcher_of(&self.account).await
    }

    /// The same, judging the books of another account.
    pub async fn watcher_of(&self, account: &str) -> Watcher {
        let client = self.world.local.client().await.expect("a client of the watcher's own");
        let subject = Subject {
            namespace: self.namespace.clone(),
            sim: self.sim.clone(),
            account: account.to_owned(),
            installation: self.installation(),
        };
        Watcher::start(client, subject).await
    }

    /// The installation id of this test's operators.
    pub fn installation(&self) -> String {
        format!("it{}", &self.namespace[self.namespace.len() - 6..])
    }
}

/// An account in which an app is ready after 0.3 s, gone 0.2 s after its
/// DELETE, failed after 0.5 s, and that refuses nobody for calling often.
pub fn quick_account(token: String) -> AccountSettings {
    let timings = Timings {
        ready_seconds: Seconds::Fixed(0.3),
        fail_seconds: Seconds::Fixed(0.5),
        delete_seconds: Seconds::Fixed(0.2),
        ..Timings::default()
    };
    let limits = Limits { enabled: true, per_minute: 100_000, per_hour: 1_000_000 };
    AccountSettings { timings, limits, ..AccountSettings::with_token(token) }
}

/// Past the test runner, which would keep the words to itself: building the
/// programs takes minutes the first time.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Chooses the TLS library, once per process. Tests that build a client
/// without [`World::get`] call it first.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An object as people read it, for messages of failed tests.
pub fn yaml(object: &impl Serialize) -> String {
    serde_yaml::to_string(object).unwrap_or_else(|error| format!("(no YAML: {error})"))
}
