//! A provider's API that answers by a script, for tests.

use super::Timing;
use super::budget::Budget;
use super::digitalocean::DigitalOcean;
use crate::telemetry::secret::Secret;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One answer.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Json(u16, Value),
    Html(u16),
    With(u16, &'static str, String),
    /// No answer within any time-out.
    Silence,
}

#[derive(Default)]
struct Script {
    account: String,
    replies: VecDeque<Reply>,
    calls: Vec<String>,
}

/// The server; `/v2/account` answers with the account, anything else with the
/// next reply of the script. It ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Scripted {
    script: Arc<Mutex<Script>>,
    pub url: String,
}

impl Scripted {
    pub(super) async fn start(account: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        // Another test may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let script = Script { account: account.to_owned(), replies: replies.into_iter().collect(), calls: vec![] };
        let script = Arc::new(Mutex::new(script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = script.clone();
        let app = axum::Router::new().fallback(move |request: Request| answer(shared.clone(), request));
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { script, url }
    }

    pub(super) fn client(&self) -> DigitalOcean {
        let timing = Timing {
            create_timeout: Duration::from_millis(500),
            call_timeout: Duration::from_millis(500),
            ..Timing::default()
        };
        let token = Secret::new("dop_v1_hush".to_owned());
        DigitalOcean::new(&self.url, token, Arc::new(Budget::new()), &timing).expect("a client")
    }

    pub(super) fn move_to(&self, account: &str) {
        self.script.lock().expect("unpoisoned").account = account.to_owned();
    }

    /// Every call so far, such as `GET /v2/apps?page=1`, without those about the account.
    pub(super) fn calls(&self) -> Vec<String> {
        let script = self.script.lock().expect("unpoisoned");
        script.calls.iter().filter(|call| !call.ends_with("/v2/account")).cloned().collect()
    }

    pub(super) fn account_calls(&self) -> usize {
        let script = self.script.lock().expect("unpoisoned");
        script.calls.iter().filter(|call| call.ends_with("/v2/account")).count()
    }
}

async fn answer(script: Arc<Mutex<Script>>, request: Request) -> Response {
    let reply = {
        let mut script = script.lock().expect("unpoisoned");
        script.calls.push(format!("{} {}", request.method(), request.uri()));
        match request.uri().path() {
            "/v2/account" if script.account.is_empty() => {
                Reply::Json(401, json!({"message": "Unable to authenticate you"}))
            }
            "/v2/account" => Reply::Json(200, json!({"account": {"uuid": "user", "team": {"uuid": script.account}}})),
            _ => script.replies.pop_front().unwrap_or(Reply::Json(418, json!({"message": "the script is over"}))),
        }
    };
    let response =
        |status: u16, body: String| Response::builder().status(status).body(Body::from(body)).expect("a sound answer");
    match reply {
        Reply::Json(status, body) => response(status, body.to_string()),
        Reply::Html(status) => response(status, "<html><body>dop_v1_0123 is upset</body></html>".to_owned()),
        Reply::With(status, header, value) => {
            let mut answer = response(status, "{}".to_owned());
            answer.headers_mut().insert(header, value.parse().expect("a header value"));
            answer
        }
        Reply::Silence => std::future::pending().await,
    }
}
