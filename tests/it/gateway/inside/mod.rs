//! What is in a run's sandbox, through the gateway: real agents, real apps, and rights that the cluster knows.

mod anonymous;
mod checkout;
mod commands;
mod hostile;
mod rights;
mod streams;

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use http::HeaderMap;
use kube::api::{Patch, PatchParams};
use sandbar::api::Sandbox;
use sandbar::claims::{ClaimWish, Claims};
use sandbar::gateway::Settings;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Inside, Stand};
use crate::agent::{Agent, TOKEN};
use crate::wait::eventually;

/// A run in a real agent behind a gateway, and somebody who may enter it but reads no Secrets.
struct Held {
    stand: Stand,
    gateway: Inside,
    agent: Agent,
    /// Id of the run.
    run: String,
    /// Address of the run at the gateway.
    url: String,
    /// Token of somebody with role `sandbar-enter` alone.
    enters: String,
}

impl Held {
    async fn start(name: &str) -> Self {
        Self::with(name, Agent::start(), 200).await
    }

    /// Of this agent, which answers with this status.
    async fn with(name: &str, agent: Agent, status: u16) -> Self {
        let stand = Stand::start(name).await;
        let member = stand.operator.member(0, "Warm", &agent.base).await;
        stand.operator.token(&member, TOKEN).await;
        let run = claim(&stand).await;
        let gateway = stand.gateway(Settings::default()).await;
        let enters = stand.somebody("enters", Some("sandbar-enter")).await;
        let url = format!("{}/v1/runs/{run}", gateway.url);
        let held = Self { stand, gateway, agent, run, url, enters };
        eventually("the right holds", async || match held.get("/api/processes").await {
            (found, _) if found == status => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        held
    }

    /// Status and text of a question that somebody who may enter asks.
    async fn get(&self, path: &str) -> (u16, String) {
        let request = self.stand.ask(reqwest::Method::GET, &format!("{}{path}", self.url)).bearer_auth(&self.enters);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }
}

/// Claims the warm member in one write.
async fn claim(stand: &Stand) -> String {
    let wish = ClaimWish { holder: "ada".to_owned(), ttl: None, id: None };
    let claims = Claims::new(stand.env.user.clone(), &stand.env.namespace);
    claims.claim_warm(crate::claims::POOL, &wish).await.expect("a run").id
}

/// Gives a request this member, as the operator would, with an app that runs.
async fn bind(stand: &Stand, request: &Sandbox, member: &Sandbox, app: Option<(u16, i32)>) {
    let (name, uid) = (request.metadata.name.as_deref().expect("a name"), request.metadata.uid.as_deref());
    let member_name = member.metadata.name.as_deref().expect("a name");
    let wish = request.spec.claim.as_ref().expect("a claim");
    let claim = json!({"id": wish.id, "holder": wish.holder, "ttl": "30m", "app": wish.app,
        "for": {"name": name, "uid": uid}});
    let patch = Patch::Merge(json!({"spec": {"claim": claim}}));
    stand.operator.sandboxes.patch(member_name, &PatchParams::default(), &patch).await.expect("claimed");
    let mut status = json!({"phase": "Running"});
    if let Some((port, pid)) = app {
        status["app"] = json!({"app": {"name": "snake", "run": "true", "port": port}, "attempt": 1,
            "begunAt": "2026-11-22T10:00:00Z", "step": "Ready", "pid": pid});
    }
    let member = stand.operator.status(member_name, status).await;
    let ready = json!({"type": "AppReady", "status": "True", "reason": "Healthy", "message": "the app answers",
        "lastTransitionTime": "2026-11-22T10:00:04Z"});
    let url = member.status.and_then(|status| status.url);
    let bound = json!({"name": member_name, "uid": member.metadata.uid});
    let status = json!({"phase": "Running", "boundTo": bound, "url": url, "conditions": [ready],
        "expiresAt": "2099-01-01T00:00:00Z"});
    stand.status(name, status).await;
}

/// An app on a port of its own: it tells what it was asked, and echoes what comes over a WebSocket.
async fn app() -> u16 {
    let asked = async |method: http::Method, uri: http::Uri, headers: HeaderMap, body: String| {
        let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        let told = [("set-cookie", "a=1; Path=/"), ("clear-site-data", "\"*\"")];
        (told, format!("{method} {uri}\n{}\n\n{body}", headers.join("\n"))).into_response()
    };
    let echo = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            while let Some(Ok(message @ Message::Text(_))) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let router = Router::new().route("/echo", get(echo)).fallback(any(asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}
