//! The cloud with two accounts, and the control plane with the operator.

use crate::Result;
use crate::script::Script;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PostParams};
use sandbar::cloudsim::admin::{AccountSettings, SimAdmin};
use sandbar::dev::cloud::{CloudOptions, new_token};
use sandbar::dev::nursery::tail;
use sandbar::dev::operator::{Operator, OperatorOptions};
use sandbar::dev::world::{LocalWorld, WorldOptions};
use sandbar::providers::Timing;
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where the pool is.
pub const NAMESPACE: &str = "default";
/// The Secret with the token of Sandbar's account.
pub const CREDENTIALS: &str = "cloud";

/// Whose account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Library,
    Sandbar,
}

impl Account {
    pub const BOTH: [Self; 2] = [Self::Library, Self::Sandbar];

    /// Its name at the cloud.
    pub fn name(self) -> &'static str {
        match self {
            Self::Library => "library",
            Self::Sandbar => "sandbar",
        }
    }
}

/// Everything that runs but the library.
pub struct World {
    operator: Deployment,
    local: LocalWorld,
    pub client: Client,
    pub sim: SimAdmin,
    /// Opens the library's account.
    pub library_token: String,
}

impl World {
    /// Starts it in a folder. Both accounts are as at the real cloud: the same spread of start-up times (43 to 97 s),
    /// the same rate limits.
    pub async fn start(folder: &Path, script: &Script) -> Result<Self> {
        let say = |line: &str| eprintln!("{line}");
        let program = env!("CARGO_BIN_EXE_sandbar").into();
        let seed = Some(crate::script::SEED);
        let cloud = CloudOptions { token: new_token(), speed: Some(script.speed), virtual_apps: true, seed };
        let options = WorldOptions { dir: folder.join("world"), program, cloud, operator: None, gateway: false };
        let local = LocalWorld::start(&options, &say).await?;
        let (client, sim) = (local.client().await?, SimAdmin::new(local.cloud().url()));
        let tokens = [new_token(), new_token()];
        for (account, token) in Account::BOTH.into_iter().zip(&tokens) {
            sim.put_account(account.name(), &AccountSettings::with_token(token)).await?;
        }
        let [library_token, token] = tokens;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": CREDENTIALS}, "stringData": {"token": token}});
        let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        let options = local.operator_options().with(flags(script.speed));
        let operator = Deployment::start(options).await?;
        Ok(Self { operator, local, client, sim, library_token })
    }

    /// The cloud's address.
    pub fn cloud_url(&self) -> &str {
        self.local.cloud().url()
    }

    /// The end of the operator's log.
    pub fn operator_log(&self) -> String {
        tail(&self.operator.log, 20)
    }

    /// Ends it.
    pub async fn stop(self) {
        self.operator.stop().await;
        self.local.stop().await;
    }
}

/// The operator, started again when it ends, as a Deployment does: it ends by itself when it cannot keep its Lease, which
/// happens where the machine has too much to do.
struct Deployment {
    log: PathBuf,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Deployment {
    async fn start(options: OperatorOptions) -> Result<Self> {
        let (log, stop) = (options.server.log.clone(), CancellationToken::new());
        let operator = Operator::start(&options).await?;
        let keeper = tokio::spawn(keep(operator, options, stop.clone()));
        Ok(Self { log, stop, keeper })
    }

    async fn stop(self) {
        self.stop.cancel();
        let _ = self.keeper.await;
    }
}

async fn keep(mut operator: Operator, options: OperatorOptions, stop: CancellationToken) {
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            status = operator.child().wait() => Some(status),
        };
        let Some(status) = ended else {
            operator.stop().await;
            return;
        };
        eprintln!("the operator ended ({status}) and is started again:\n{}", operator.child().tail(1));
        match Operator::start(&options).await {
            Ok(started) => operator = started,
            Err(error) => return eprintln!("the operator does not start again: {error}"),
        }
    }
}

/// The operator's periods at this speed; at speed 1 the defaults. Its back-offs after errors stay as they are.
fn flags(speed: f64) -> Vec<String> {
    if speed == 1.0 {
        return Vec::new();
    }
    let timing = Timing::default();
    let periods = [
        ("listing-period", timing.listing_period),
        ("listing-slow", timing.listing_slow),
        ("create-timeout", timing.create_timeout),
        ("call-timeout", timing.call_timeout),
        ("visibility-grace", timing.visibility_grace),
        ("credentials-ttl", timing.credentials_ttl),
        ("probe-warm", timing.probe_warm),
        ("probe-claimed", timing.probe_claimed),
        ("replace-unreachable", timing.replace_unreachable),
        ("orphan-grace", timing.orphan_grace),
        ("orphan-sweep", timing.orphan_sweep),
    ];
    periods.iter().map(|(flag, period)| format!("--{flag}={}ms", period.div_f64(speed).as_millis())).collect()
}
