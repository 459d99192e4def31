//! The gateway on a real API server. Most tests play the operator, so that they decide what happens when; one has a
//! real one.

mod auth;
mod bad_input;
mod demo;
mod inside;
#[cfg(feature = "failpoints")]
mod killed;
mod launches;
mod limits;
mod openapi;
mod played;
pub mod sse;

use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::dev::install::{GATEWAY_ACCOUNT, NAMESPACE, service_account_token};
use sandbar::dev::kubeconfig::{self, Identity};
use sandbar::gateway::{Gateway, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::claims::Operator;
use crate::wait::eventually;
use crate::world::{TestEnv, World};

/// A namespace with a pool that has apps, and whoever asks in it.
pub struct Stand {
    pub env: TestEnv,
    pub operator: Operator,
    /// Kubeconfig of the gateways.
    pub kubeconfig: String,
    /// Token of a user with role `sandbar-user`.
    pub token: String,
    http: Client,
}

/// A gateway inside the test.
pub struct Inside {
    pub url: String,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
}

impl Inside {
    pub async fn stop(mut self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(60), &mut self.served).await;
        ended.expect("it ends in time").expect("no panic").expect("it ended well");
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Lets the shipped identity of gateways serve a namespace; gives its kubeconfig.
pub async fn let_serve(env: &TestEnv) -> String {
    bind(env, "gateway", "sandbar-gateway", NAMESPACE, GATEWAY_ACCOUNT).await;
    let token = service_account_token(&env.client, NAMESPACE, GATEWAY_ACCOUNT).await.expect("a token");
    env.world.local().plane().kubeconfig(&Identity::Token(token), &env.namespace)
}

async fn bind(env: &TestEnv, name: &str, role: &str, namespace: &str, account: &str) {
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    });
    let binding: RoleBinding = serde_json::from_value(binding).expect("a binding");
    env.api::<RoleBinding>().create(&PostParams::default(), &binding).await.expect("bound");
}

/// A gateway with these settings.
pub async fn gateway(kubeconfig: &str, namespace: &str, settings: Settings) -> Inside {
    let client = kubeconfig::client(kubeconfig).await.expect("a client");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let stop = CancellationToken::new();
    let settings = Settings { namespace: namespace.to_owned(), ..settings };
    let served = tokio::spawn(Gateway::new(client, settings).serve(listener, stop.clone()));
    is_ready(&url).await;
    Inside { url, stop, served }
}

/// Waits until it has read what there is: its rights may be seconds old.
pub async fn is_ready(url: &str) {
    eventually("the gateway is ready", async || {
        let answer = reqwest::get(format!("{url}/readyz")).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.text().await.unwrap_or_default()) }
    })
    .await;
}

impl Stand {
    pub async fn start(name: &str) -> Self {
        let env = World::get().await.test(name).await;
        let kubeconfig = let_serve(&env).await;
        let operator = Operator::of(&env).await;
        let token = service_account_token(&env.client, &env.namespace, "user").await.expect("a token");
        let stand = Self { env, operator, kubeconfig, token, http: Client::new() };
        stand.pool("python", 1, &["snake", "memory"]).await;
        stand.pool("node", 0, &["tic-tac-toe", "snake"]).await;
        stand
    }

    /// Makes a pool, which nothing reconciles.
    pub async fn pool(&self, name: &str, target: i32, apps: &[&str]) {
        let apps: Vec<Value> = apps.iter().map(|name| json!({"name": name, "run": "true"})).collect();
        let object = json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": name},
        "spec": {
            "provider": {"digitalOcean": {"credentialsRef": {"name": "digitalocean", "key": "token"}, "region": "nyc"}},
            "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"},
            "warm": {"target": target}, "apps": apps,
            "claims": {"defaultTTL": "30m", "maxTTL": "2h", "waitTimeout": "5m"},
        }});
        let pool: SandboxPool = serde_json::from_value(object).expect("a pool");
        self.env.api::<SandboxPool>().create(&PostParams::default(), &pool).await.expect("the API server takes it");
    }

    pub async fn gateway(&self, settings: Settings) -> Inside {
        gateway(&self.kubeconfig, &self.env.namespace, settings).await
    }

    /// The token of another service account, with this role if one is given.
    pub async fn somebody(&self, name: &str, role: Option<&str>) -> String {
        let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}})).expect("an account");
        self.env.api::<ServiceAccount>().create(&PostParams::default(), &account).await.expect("made");
        if let Some(role) = role {
            bind(&self.env, name, role, &self.env.namespace, name).await;
        }
        service_account_token(&self.env.client, &self.env.namespace, name).await.expect("a token")
    }

    pub fn ask(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Status and body of a question that the usual user asks.
    pub async fn get(&self, url: &str) -> (StatusCode, Value) {
        json_of(self.ask(Method::GET, url).bearer_auth(&self.token).send().await.expect("an answer")).await
    }

    pub async fn post(&self, url: &str, body: Value) -> (StatusCode, Value) {
        let request = self.ask(Method::POST, url).bearer_auth(&self.token).json(&body);
        json_of(request.send().await.expect("an answer")).await
    }

    /// Launches Snake as the usual user; gives the id of the run.
    pub async fn launch(&self, gateway: &str) -> String {
        let (status, body) = self.post(&format!("{gateway}/api/launch/warm"), json!({"game": "snake"})).await;
        assert_eq!(status, 202, "{body}");
        body["run_id"].as_str().expect("an id").to_owned()
    }

    /// Every request of the namespace.
    pub async fn requests(&self) -> Vec<Sandbox> {
        let all = self.operator.sandboxes.list(&ListParams::default()).await.expect("a list");
        all.items.into_iter().filter(|sandbox| !sandbox.is_member()).collect()
    }

    /// Writes the status of a request, in the operator's name.
    pub async fn status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        self.operator.sandboxes.patch_status(name, &PatchParams::default(), &patch).await.expect("written");
    }
}

pub async fn json_of(answer: Response) -> (StatusCode, Value) {
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
