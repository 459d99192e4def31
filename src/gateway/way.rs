//! The way into a run's sandbox: where its agent is, and the token that opens it. The gateway reads both with its own
//! rights, so that nobody else needs to read Secrets.

use super::refused::Refused;
use super::run::{Run, State};
use crate::api::{AGENT_TOKEN_KEY, Phase, Sandbox, agent_secret_name};
use crate::claims::Fault;
use http::HeaderValue;
use http::uri::PathAndQuery;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use reqwest::Url;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for the API server.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a way is believed, as long as its run stays as it is.
const BELIEVED: Duration = Duration::from_secs(10);
/// Ways that are remembered at once.
const REMEMBERED: usize = 4096;

/// Where an agent is, and what it needs to hear. It has no `Debug`: the token must not get into logs.
pub struct Way {
    base: Url,
    token: String,
    /// The app that was launched there.
    pub app: Option<Launched>,
}

/// An app in its sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Where it listens.
    pub port: u16,
    /// Its process, once it was started.
    pub pid: Option<i32>,
}

impl Way {
    /// To an agent, with its token.
    pub fn new(base: Url, token: String, app: Option<Launched>) -> Self {
        Self { base, token, app }
    }

    /// The address of something at the agent. The path must have no parts that lead elsewhere.
    pub fn url(&self, rest: &PathAndQuery) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path().trim_end_matches('/'), rest.path()));
        url.set_query(rest.query());
        url.set_fragment(None);
        url
    }

    /// The agent's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The same, as a header. None for a token that no header can hold.
    pub fn bearer(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.token)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// A way, and what it was made from.
struct Known {
    since: Instant,
    /// UID of the run: a candidate may be bound to two, until it says whose it is.
    run: String,
    url: Option<String>,
    state: State,
    way: Arc<Way>,
}

/// Finds ways, and remembers them for some seconds.
pub struct Ways {
    sandboxes: Api<Sandbox>,
    secrets: Api<Secret>,
    known: Mutex<HashMap<String, Known>>,
}

impl Ways {
    /// Of this namespace. Needs `get` of its sandboxes and secrets.
    pub fn new(client: &Client, namespace: &str) -> Self {
        let (sandboxes, secrets) =
            (Api::namespaced(client.clone(), namespace), Api::namespaced(client.clone(), namespace));
        Self { sandboxes, secrets, known: Mutex::default() }
    }

    /// The way into this run's sandbox.
    ///
    /// # Errors
    /// [`Refused::Conflict`] when there is none now, with what to do; or the API server does not tell.
    pub async fn to(&self, run: &Run) -> Result<Arc<Way>, Refused> {
        let (name, uid) = sandbox_of(run)?;
        if let Some(way) = self.recall(run, uid) {
            return Ok(way);
        }
        let silent = |_| Fault::Unclear(format!("none within {} s", PATIENCE.as_secs()));
        let way = Arc::new(tokio::time::timeout(PATIENCE, self.find(run, name, uid)).await.map_err(silent)??);
        self.remember(run, uid, &way);
        Ok(way)
    }

    fn remember(&self, run: &Run, uid: &str, way: &Arc<Way>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, known| known.since.elapsed() < BELIEVED);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let made = Known {
            since: Instant::now(),
            run: run.uid.clone(),
            url: run.url.clone(),
            state: run.state,
            way: Arc::clone(way),
        };
        known.insert(uid.to_owned(), made);
    }

    /// Forgets the way into this run's sandbox: it led nowhere.
    pub fn forget(&self, run: &Run) {
        if let Ok((_, uid)) = sandbox_of(run) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        }
    }

    fn recall(&self, run: &Run, uid: &str) -> Option<Arc<Way>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(uid).filter(|known| known.since.elapsed() < BELIEVED)?;
        // An instance that woke has another address, and an app that is on its way gets a process.
        let same =
            known.run == run.uid && known.url == run.url && known.state == run.state && run.state != State::Launching;
        same.then(|| Arc::clone(&known.way))
    }

    async fn find(&self, run: &Run, name: &str, uid: &str) -> Result<Way, Refused> {
        let member = self.sandboxes.get_opt(name).await.map_err(Fault::from)?;
        let member = member.filter(|member| member.metadata.uid.as_deref() == Some(uid));
        let member = member.ok_or_else(|| ended(run, None))?;
        let url = enterable(run, &member)?;
        let app = member.status.as_ref().and_then(|status| status.app.as_ref()).and_then(|app| {
            let port = u16::try_from(app.app.port).ok()?;
            Some(Launched { port, pid: app.pid })
        });
        let secret = self.secrets.get_opt(&agent_secret_name(uid)).await.map_err(Fault::from)?;
        let token = secret.and_then(|secret| secret.data?.remove(AGENT_TOKEN_KEY));
        let token = token.and_then(|token| String::from_utf8(token.0).ok()).filter(|token| !token.is_empty());
        let no_token = || {
            let text = "has no token: nobody can enter it; stop the run and launch another one";
            Refused::Conflict(format!("sandbox {name} of run {} {text}", run.id))
        };
        Ok(Way::new(url, token.ok_or_else(no_token)?, app))
    }
}

/// Name and UID of the sandbox that a run says it has.
fn sandbox_of(run: &Run) -> Result<(&str, &str), Refused> {
    if run.is_over() || run.state == State::Stopping {
        return Err(ended(run, run.reason.as_deref()));
    }
    if run.state == State::Hibernated {
        return Err(asleep(run));
    }
    match &run.bound {
        Some(bound) => Ok((&bound.name, &bound.uid)),
        None if run.member => Ok((&run.name, &run.uid)),
        None => Err(waits(run)),
    }
}

/// The address of the run's sandbox, if somebody can work in it now.
fn enterable(run: &Run, member: &Sandbox) -> Result<Url, Refused> {
    let name = member.metadata.name.as_deref().unwrap_or_default();
    let status = member.status.as_ref();
    // Until the member says so itself, it is a candidate that may be somebody else's.
    let claim = member.spec.claim.as_ref().filter(|claim| claim.id == run.id);
    let claim = claim.filter(|claim| claim.for_.as_ref().is_none_or(|request| request.uid == run.uid));
    if claim.is_none() {
        return Err(waits(run));
    }
    if member.is_deleting() || matches!(member.phase(), Phase::Terminating | Phase::Failed | Phase::Ended) {
        return Err(ended(run, status.and_then(|status| status.reason.as_deref())));
    }
    if matches!(member.phase(), Phase::Hibernating | Phase::Hibernated) {
        return Err(asleep(run));
    }
    let id = &run.id;
    if let Some(snapshot) = member.awaited_snapshot() {
        let text = format!("does not have the files of snapshot {snapshot} yet; GET /v1/runs/{id} shows how far it is");
        return Err(Refused::Conflict(format!("sandbox {name} of run {id} {text}")));
    }
    let url = status.and_then(|status| status.url.as_deref()).and_then(|url| Url::parse(url).ok());
    if member.is_worker() {
        let text = "is in mode Worker, and is entered by its console: sandbar exec and sandbar cp without --gateway";
        return Err(Refused::Conflict(format!("sandbox {name} of run {id} {text}")));
    }
    url.filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
        let text = format!("has no address yet; GET /v1/runs/{id} shows how far it is");
        Refused::Conflict(format!("sandbox {name} of run {id} {text}"))
    })
}

fn waits(run: &Run) -> Refused {
    let id = &run.id;
    Refused::Conflict(format!("run {id} has no sandbox yet; GET /v1/runs/{id}/events?until=ready tells when it has"))
}

fn ended(run: &Run, reason: Option<&str>) -> Refused {
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    Refused::Conflict(format!("run {} has ended{reason}; launch another one", run.id))
}

fn asleep(run: &Run) -> Refused {
    let id = &run.id;
    Refused::Conflict(format!("run {id} is hibernated; sandbar wake {id} makes it a new instance with its files"))
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::request;
    use super::*;
    use serde_json::{Value, json};

    fn way(base: &str) -> Way {
        Way::new(Url::parse(base).expect("an address"), "secret".to_owned(), None)
    }

    #[test]
    fn an_address_keeps_its_base_and_the_rest_as_it_is() {
        let url = |base: &str, rest: &str| way(base).url(&rest.parse().expect("a path")).to_string();
        assert_eq!(url("https://box.example/", "/api/exec"), "https://box.example/api/exec");
        assert_eq!(
            url("http://h:80/edge/box", "/proxy/80//a%20b?x=%2f&y"),
            "http://h/edge/box/proxy/80//a%20b?x=%2f&y"
        );
        assert_eq!(url("https://box.example/?old#x", "/"), "https://box.example/");
    }

    fn member(claim: Value, status: Value) -> Sandbox {
        let mut member = request("run-1", status);
        member.metadata.name = Some("python-0".to_owned());
        member.spec.slot = Some(0);
        member.spec.claim = serde_json::from_value(claim).expect("a claim");
        member
    }

    #[test]
    fn only_a_sandbox_that_the_run_holds_and_can_use_is_entered() {
        let bound = json!({"phase": "Claimed", "boundTo": {"name": "python-0", "uid": "u"}});
        let run = Run::of(&request("run-1", bound)).expect("a run");
        let held = json!({"id": "run-1", "holder": "ada", "for": {"name": "run-1", "uid": "uid-run-1"}});
        let up = json!({"phase": "Claimed", "url": "http://127.0.0.1:1"});
        assert!(enterable(&run, &member(held.clone(), up.clone())).is_ok());
        let refused = |claim: &Value, status: Value| match enterable(&run, &member(claim.clone(), status)) {
            Err(Refused::Conflict(why)) => why,
            other => panic!("{other:?}"),
        };
        // A candidate that went to somebody else, one that nobody has, one of an older request of this name.
        for other in [
            json!({"id": "run-2", "holder": "bob"}),
            Value::Null,
            json!({"id": "run-1", "holder": "ada", "for": {"name": "run-1", "uid": "older"}}),
        ] {
            assert!(refused(&other, up.clone()).contains("no sandbox yet"), "{other}");
        }
        let gone = json!({"phase": "Failed", "reason": "InstanceLost", "url": "http://h"});
        assert!(refused(&held, gone).contains("has ended (InstanceLost); launch another"));
        assert!(refused(&held, json!({"phase": "Hibernated", "url": "http://h"})).contains("sandbar wake run-1"));
        for url in [json!(null), json!("ftp://h"), json!("")] {
            assert!(refused(&held, json!({"phase": "Booting", "url": url})).contains("no address yet"));
        }
    }

    #[tokio::test]
    async fn a_way_is_remembered_for_one_run_alone_s6() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().expect("an address")));
        let ways = Ways::new(&client.expect("a client"), "default");
        // Before a candidate says whose it is, two may be bound to it.
        let bound = json!({"phase": "Creating", "boundTo": {"name": "python-0", "uid": "u"}});
        let [holder, other] = ["run-1", "run-2"].map(|id| Run::of(&request(id, bound.clone())).expect("a run"));
        ways.remember(&holder, "u", &Arc::new(way("http://h")));
        assert!(ways.recall(&holder, "u").is_some());
        assert!(ways.recall(&other, "u").is_none());
    }

    #[test]
    fn a_run_that_has_none_says_what_to_do() {
        let refused = |status: Value| {
            let run = Run::of(&request("run-1", status)).expect("a run");
            sandbox_of(&run).expect_err("no sandbox").to_string()
        };
        assert!(refused(json!({})).contains("/v1/runs/run-1/events?until=ready"));
        let over = json!({"phase": "Ended", "reason": "Expired", "endedAt": "2026-11-22T11:00:00Z"});
        assert!(refused(over).contains("has ended (Expired); launch another one"));
        let slept = json!({"phase": "Hibernated", "boundTo": {"name": "m", "uid": "u"}});
        assert!(refused(slept).contains("sandbar wake run-1"));
    }
}
