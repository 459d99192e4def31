//! Claims on a real API server. The tests make the members and their states themselves, in the operator's name.

mod commands;
mod completion;
mod forward;
mod inside;
mod library;
mod logs;
mod orphans;
mod shell;
mod snapshots;
mod waiting;

pub use inside::let_read_secrets;

use crate::world::{PROGRAM, TestEnv};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use sandbar::api::{Sandbox, SandboxPool, agent_secret_name};
use serde_json::{Value, json};
use std::process::Output;

/// The pool of every test.
pub const POOL: &str = "python";

/// Plays the operator in one test's namespace.
pub struct Operator {
    pub sandboxes: Api<Sandbox>,
    pub secrets: Api<Secret>,
}

impl Operator {
    pub async fn of(env: &TestEnv) -> Self {
        let client = env.world.local().as_operator().await.unwrap();
        Self {
            sandboxes: Api::namespaced(client.clone(), &env.namespace),
            secrets: Api::namespaced(client, &env.namespace),
        }
    }

    /// A member in this phase, at this address.
    pub async fn member(&self, slot: i32, phase: &str, url: &str) -> Sandbox {
        self.member_in("Service", slot, phase, url).await
    }

    /// A warm member in mode Worker, whose console is at this address.
    pub async fn worker(&self, slot: i32, url: &str) -> Sandbox {
        self.member_in("Worker", slot, "Warm", url).await
    }

    async fn member_in(&self, mode: &str, slot: i32, phase: &str, url: &str) -> Sandbox {
        let name = format!("{POOL}-{slot}");
        let credentials = json!({"name": "c", "key": "k"});
        let provider = json!({"digitalOcean": {"credentialsRef": credentials, "region": "nyc", "mode": mode}});
        let template = json!({"poolUid": "u", "poolGeneration": 1, "provider": provider,
            "image": {"registryType": "DOCR", "repository": "r", "tag": "1"},
            "claims": {"defaultTTL": "30m", "maxTTL": "2h", "waitTimeout": "5m"}});
        let object = json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
            "metadata": {"name": name, "labels": {"sandbar.dev/pool": POOL}},
            "spec": {"poolRef": {"name": POOL}, "slot": slot, "template": template}});
        let member: Sandbox = serde_json::from_value(object).unwrap();
        self.sandboxes.create(&PostParams::default(), &member).await.unwrap();
        self.status(&name, json!({"phase": phase, "url": url})).await
    }

    pub async fn warm(&self, slot: i32) -> Sandbox {
        self.member(slot, "Warm", "http://127.0.0.1:1").await
    }

    pub async fn status(&self, name: &str, status: Value) -> Sandbox {
        let patch = Patch::Merge(json!({"status": status}));
        self.sandboxes.patch_status(name, &PatchParams::default(), &patch).await.unwrap()
    }

    pub async fn token(&self, member: &Sandbox, token: &str) {
        let name = agent_secret_name(member.metadata.uid.as_deref().unwrap());
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"token": token}});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        self.secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
}

/// Makes the pool, which nothing reconciles.
pub async fn pool(env: &TestEnv) {
    let object = json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": POOL},
    "spec": {
        "provider": {"digitalOcean": {"credentialsRef": {"name": "digitalocean", "key": "token"}, "region": "nyc"}},
        "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox", "tag": "1"},
        "warm": {"target": 0}, "claims": {"defaultTTL": "30m", "maxTTL": "2h", "waitTimeout": "5m"},
    }});
    let object: SandboxPool = serde_json::from_value(object).unwrap();
    env.api().create(&PostParams::default(), &object).await.unwrap();
}

/// `sandbar ARGUMENTS`, as the normal user of the test.
pub async fn sandbar(env: &TestEnv, arguments: &[&str]) -> Output {
    command(env, arguments).output().await.unwrap()
}

/// A command as a user would type it, not yet started.
pub fn command(env: &TestEnv, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(arguments).env("KUBECONFIG", &env.user_kubeconfig).env("USER", "ada").kill_on_drop(true);
    command
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Standard output of a command that must succeed.
pub fn done(output: &Output) -> String {
    assert!(output.status.success(), "{:?}\n{}\n{}", output.status, out(output), err(output));
    out(output)
}

/// Standard error of a command that must fail with this code.
pub fn failed(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", out(output), err(output));
    err(output)
}
