//! A simulated cloud with a client that checks every answer it gets.

use super::contract;
use reqwest::Method;
use reqwest::header::HeaderMap;
use sandbar::cloudsim::admin::{AccountSettings, Ledger, Limits, Seconds, SimAdmin, Timings};
use sandbar::cloudsim::{CloudSim, Options, Running};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub const TOKEN: &str = "dop_v1_test";

/// One simulated cloud.
pub struct Cloud {
    pub running: Running,
    pub admin: SimAdmin,
    pub client: Client,
}

/// A client with one token.
#[derive(Clone)]
pub struct Client {
    url: String,
    token: String,
    http: reqwest::Client,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Everything at once: a test that wants a delay says so.
pub fn instant() -> AccountSettings {
    let zero = Seconds::Fixed(0.0);
    AccountSettings {
        timings: Timings { ready_seconds: zero, fail_seconds: zero, delete_seconds: zero, ..Timings::default() },
        limits: Limits { enabled: false, ..Limits::default() },
        ..AccountSettings::with_token(TOKEN)
    }
}

/// The account `default` with these settings, virtual apps, seed 1.
pub fn options(settings: AccountSettings) -> Options {
    let accounts = BTreeMap::from([("default".to_owned(), settings)]);
    Options { virtual_apps: true, seed: 1, accounts, ..Options::default() }
}

impl Cloud {
    pub async fn start(settings: AccountSettings) -> Self {
        Self::with(options(settings)).await
    }

    pub async fn with(options: Options) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let running = CloudSim::start(options).await.expect("the simulator starts");
        let (admin, client) = (SimAdmin::new(running.url()), Client::new(running.url(), TOKEN));
        Self { running, admin, client }
    }

    pub async fn ledger(&self) -> Ledger {
        self.admin.ledger().await.expect("a ledger")
    }
}

impl Client {
    pub fn new(url: &str, token: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { url: url.to_owned(), token: token.to_owned(), http: reqwest::Client::new() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a call without looking at what comes back.
    pub async fn raw(&self, method: &str, path: &str, body: Option<&Value>) -> reqwest::Result<reqwest::Response> {
        let method: Method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await
    }

    /// A call whose JSON answer must be one that the API description allows.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let response = self.raw(method, path, body).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body: Value = response.json().await.expect("a JSON body");
        contract::check(method, path, status, &body);
        assert!(headers.contains_key("x-request-id"), "every answer has a request id");
        if status >= 400 {
            assert_eq!(body["request_id"], headers["x-request-id"].to_str().unwrap());
        }
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body)).await
    }

    pub async fn delete(&self, id: &str) -> Answer {
        self.call("DELETE", &format!("/v2/apps/{id}"), None).await
    }

    /// Makes an app that must be accepted, and gives its id.
    pub async fn create(&self, name: &str) -> String {
        let answer = self.post("/v2/apps", &spec(name)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["app"]["id"].as_str().expect("an id").to_owned()
    }

    pub async fn app(&self, id: &str) -> Value {
        let answer = self.get(&format!("/v2/apps/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["app"].clone()
    }

    /// The names a page of the listing shows.
    pub async fn names(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/v2/apps{query}")).await;
        let apps = answer.body["apps"].as_array().expect("apps").clone();
        apps.iter().map(|app| app["spec"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A create request for a service with a mark and a secret.
pub fn spec(name: &str) -> Value {
    json!({ "spec": { "name": name, "region": "nyc", "services": [{
        "name": "sandbox",
        "image": { "registry_type": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1" },
        "instance_size_slug": "apps-s-1vcpu-1gb",
        "http_port": 8080,
        "envs": [
            { "key": "SANDBAR_UID", "value": format!("uid-of-{name}"), "scope": "RUN_TIME", "type": "GENERAL" },
            { "key": "SANDBOX_API_TOKEN", "value": "s3cret", "scope": "RUN_TIME", "type": "SECRET" },
        ],
    }] } })
}

/// Waits for a condition, at most 20 seconds.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < end, "waited 20 s in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
