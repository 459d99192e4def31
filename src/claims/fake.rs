//! An API server in memory for the answers that a real one gives too rarely: lost ones, repeated ones.

use crate::api::Sandbox;
use crate::claims::Claims;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// What happens to one write on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// It takes effect, and the answer is lost.
    LostReply,
    /// It never arrives, and the answer is an error of the edge.
    NeverArrived,
    /// A layer below sends it twice and gives the second answer.
    SentTwice,
    /// It never arrives, and somebody else's claim does.
    Overtaken,
    /// The operator writes the status just before it.
    StatusMoved,
    /// A rule says no.
    Refused,
}

/// What the server holds and did.
#[derive(Debug, Default)]
pub struct State {
    pub objects: BTreeMap<String, Value>,
    pub tricks: VecDeque<Trick>,
    pub reads: u32,
    pub writes: u32,
    version: u64,
}

pub type Shared = Arc<Mutex<State>>;

/// Claims against a server with these Sandboxes, and the server.
pub fn claims_with(sandboxes: impl IntoIterator<Item = Sandbox>, tricks: &[Trick]) -> (Claims, Shared) {
    let mut state = State { tricks: tricks.iter().copied().collect(), version: 1000, ..State::default() };
    for sandbox in sandboxes {
        let name = sandbox.metadata.name.clone().expect("a name");
        state.objects.insert(name, serde_json::to_value(sandbox).expect("JSON"));
    }
    let state = Arc::new(Mutex::new(state));
    let server = state.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = server.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let (status, answer) = server.lock().expect("no panic before").answer(&parts, &body);
            let answer = Response::builder().status(status).body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, Infallible>(answer.expect("a response"))
        }
    });
    (Claims::new(Client::new(service, "default"), "default"), state)
}

/// A warm member as the operator would make it.
pub fn warm(pool: &str, slot: i32) -> Sandbox {
    let name = format!("{pool}-{slot}");
    serde_json::from_value(json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"), "resourceVersion": "1",
            "labels": {"sandbar.dev/pool": pool},
            "ownerReferences": [{"apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "name": pool, "uid": "p"}],
        },
        "spec": {"poolRef": {"name": pool}, "slot": slot, "template": {
            "poolUid": "p", "poolGeneration": 1, "provider": {},
            "image": {"registryType": "DOCR", "repository": "sandbox", "tag": "1"},
        }},
        "status": {"phase": "Warm", "url": "http://127.0.0.1:1"},
    }))
    .expect("a member")
}

impl State {
    /// Ids of the claims on members.
    pub fn held(&self) -> Vec<String> {
        let id = |object: &Value| object.pointer("/spec/claim/id").and_then(Value::as_str).map(str::to_owned);
        self.objects.values().filter(|object| object["spec"]["slot"].is_i64()).filter_map(id).collect()
    }

    fn answer(&mut self, parts: &http::request::Parts, body: &[u8]) -> (StatusCode, Value) {
        let name = parts.uri.path().rsplit_once("/sandboxes").map(|(_, name)| name.trim_start_matches('/').to_owned());
        let body = || serde_json::from_slice::<Value>(body).expect("JSON");
        match (parts.method.clone(), name.unwrap_or_default()) {
            (Method::GET, name) => {
                self.reads += 1;
                if name.is_empty() { (StatusCode::OK, self.list()) } else { self.get(&name) }
            }
            (Method::PATCH, name) => self.tricky(&name, |state| state.patch(&name, &body())),
            (Method::POST, _) => {
                let object = body();
                let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
                self.tricky(&name.clone(), |state| state.create(&name, object.clone()))
            }
            (method, name) => panic!("unexpected {method} {name}"),
        }
    }

    fn tricky(&mut self, name: &str, write: impl Fn(&mut Self) -> (StatusCode, Value)) -> (StatusCode, Value) {
        self.writes += 1;
        let lost = (StatusCode::INTERNAL_SERVER_ERROR, status(500, "the answer was lost"));
        match self.tricks.pop_front() {
            None => write(self),
            Some(Trick::LostReply) => {
                write(self);
                lost
            }
            Some(Trick::NeverArrived) => lost,
            Some(Trick::SentTwice) => {
                write(self);
                write(self)
            }
            Some(Trick::Overtaken) => {
                let claim = json!({"id": "other", "holder": "other", "ttl": "5m"});
                self.change(name, &json!({"spec": {"claim": claim}, "status": {"phase": "Claimed"}}));
                lost
            }
            Some(Trick::StatusMoved) => {
                self.change(name, &json!({"status": {"reason": "Healthy"}}));
                write(self)
            }
            Some(Trick::Refused) => (StatusCode::UNPROCESSABLE_ENTITY, status(422, "B9: no")),
        }
    }

    fn list(&self) -> Value {
        let items: Vec<_> = self.objects.values().collect();
        json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxList", "metadata": {}, "items": items})
    }

    fn get(&self, name: &str) -> (StatusCode, Value) {
        match self.objects.get(name) {
            Some(object) => (StatusCode::OK, object.clone()),
            None => (StatusCode::NOT_FOUND, status(404, "no such Sandbox")),
        }
    }

    fn create(&mut self, name: &str, mut object: Value) -> (StatusCode, Value) {
        if self.objects.contains_key(name) {
            return (StatusCode::CONFLICT, status(409, "already exists"));
        }
        object["metadata"]["uid"] = json!(format!("uid-{name}"));
        self.objects.insert(name.to_owned(), object);
        self.change(name, &json!({}));
        self.get(name)
    }

    fn patch(&mut self, name: &str, patch: &Value) -> (StatusCode, Value) {
        let Some(object) = self.objects.get(name) else { return self.get(name) };
        let stays = |field: &str| patch["metadata"][field] == object["metadata"][field];
        if !stays("uid") || !stays("resourceVersion") {
            return (StatusCode::CONFLICT, status(409, "the object has been modified"));
        }
        self.change(name, patch);
        self.get(name)
    }

    fn change(&mut self, name: &str, patch: &Value) {
        self.version += 1;
        let object = self.objects.get_mut(name).expect("the object");
        merge(object, patch);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn status(code: u16, message: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message})
}
