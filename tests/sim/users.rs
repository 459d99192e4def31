//! Those who use Sandbar: they make pools, take sandboxes, edit, give back. And what control plane and platform do.

use crate::api::objects::text;
use crate::api::{Request, Target};
use crate::doors::client;
use crate::judge::is_usable;
use crate::net::{Caller, Crash};
use crate::script::{Act, PoolPlan};
use crate::world::{ACCOUNT, INSTALLATION, NAMESPACE, OTHER_TOKEN, TOKEN, World};
use bytes::Bytes;
use data_encoding::BASE64;
use sandbar::api::{END_CLAIMS_ANNOTATION, Span};
use sandbar::claims::{ClaimWish, Claims, Extension, RequestWish};
use sandbar::cloudsim::admin::{AccountSettings, AgentState, Faults};
use sandbar::providers::instance_name;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The users of one world.
pub struct Users {
    world: Arc<World>,
    claims: Claims,
    /// Ids of all runs so far.
    runs: Vec<String>,
    foreign: u32,
}

fn path(plural: &str, name: Option<&str>) -> Target {
    let namespace = Some(NAMESPACE.to_owned());
    Target { plural: plural.to_owned(), namespace, name: name.map(str::to_owned), status: false }
}

pub fn pool_name(pool: usize) -> String {
    format!("pool{pool}")
}

impl Users {
    pub fn new(world: &Arc<World>) -> Self {
        let claims = Claims::new(client(world, Caller::User, None), NAMESPACE);
        Self { world: world.clone(), claims, runs: Vec::new(), foreign: 0 }
    }

    /// Makes the credentials and the pools.
    pub async fn begin(&self, pools: &[PoolPlan]) {
        let secret = json!({"metadata": {"name": "cloud"}, "stringData": {"token": TOKEN}});
        self.ask("POST", path("secrets", None), secret).await;
        for (index, plan) in pools.iter().enumerate() {
            self.ask("POST", path("sandboxpools", None), pool(index, plan)).await;
        }
    }

    async fn ask(&self, method: &str, target: Target, body: Value) {
        let method = http::Method::from_bytes(method.as_bytes()).unwrap_or_default();
        let request = Request { method, target, query: String::new(), metadata_only: false, body };
        // One who gets no answer here leaves it at that.
        let _ = self.world.ask_api(Caller::User, request).await;
    }

    async fn edit(&self, pool: usize, spec: Value) {
        let name = pool_name(pool);
        let valid = |current: &Value| {
            let mut merged = current.clone();
            for part in ["warm", "limits"] {
                for (key, value) in spec[part].as_object().into_iter().flatten() {
                    merged[part][key] = value.clone();
                }
            }
            merged["warm"]["target"].as_i64() <= merged["limits"]["maxSandboxes"].as_i64()
        };
        let key = path("sandboxpools", Some(&name)).key();
        let current = self.world.objects().get(&key).map(|pool| pool["spec"].clone());
        // Rule P8 refuses the others.
        if current.is_some_and(|current| valid(&current)) {
            self.ask("PATCH", path("sandboxpools", Some(&name)), json!({"spec": spec})).await;
        }
    }

    /// Lets something happen; what takes time goes on by itself.
    pub async fn act(&mut self, act: &Act) {
        self.world.note(&format!("ACT {act:?}"));
        match act {
            Act::Claim { pool, minutes } => self.claim(*pool, *minutes),
            Act::Request { pool, minutes } => self.request(*pool, *minutes),
            Act::Release { run } => self.with_run(*run, |claims, id| async move {
                let _ = claims.release(&id).await;
            }),
            Act::Extend { run, minutes } => {
                let more = Extension::By(Span::minutes(*minutes));
                self.with_run(*run, move |claims, id| async move {
                    let _ = claims.extend(&id, more).await;
                });
            }
            Act::Write { run } => self.write(*run),
            Act::Hibernate { run } => self.want(*run, "Hibernated").await,
            Act::Wake { run } => self.want(*run, "Running").await,
            Act::Target { pool, target } => self.edit(*pool, json!({"warm": {"target": target}})).await,
            Act::Limit { pool, most } => self.edit(*pool, json!({"limits": {"maxSandboxes": most}})).await,
            Act::Retag { pool } => self.edit(*pool, json!({"image": {"tag": format!("v{}", self.runs.len())}})).await,
            Act::DeletePool { pool, end_claims } => self.delete_pool(*pool, *end_claims).await,
            other => self.disturb(other).await,
        }
    }

    fn fresh_run(&mut self) -> String {
        let id = format!("run-{}", self.runs.len());
        self.runs.push(id.clone());
        id
    }

    fn claim(&mut self, pool: usize, minutes: u32) {
        self.world.judge().asked(pool_name(pool));
        let (claims, id) = (self.claims.clone(), self.fresh_run());
        let wish = ClaimWish { holder: "somebody".to_owned(), ttl: Some(Span::minutes(minutes)), id: Some(id) };
        tokio::spawn(async move {
            let _ = claims.claim_warm(&pool_name(pool), &wish).await;
        });
    }

    fn request(&mut self, pool: usize, minutes: u32) {
        self.world.judge().asked(pool_name(pool));
        let (claims, id) = (self.claims.clone(), self.fresh_run());
        let wish = RequestWish {
            id,
            pool: pool_name(pool),
            holder: "somebody".to_owned(),
            ttl: Some(Span::minutes(minutes)),
            snapshot: None,
            app: None,
            keep_ended: Some(Span::minutes(5)),
        };
        tokio::spawn(async move {
            let _ = claims.request(&wish).await;
        });
    }

    fn with_run<F>(&self, run: usize, then: impl FnOnce(Claims, String) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // Counted from the newest: most old ones are over.
        if let Some(id) = self.runs.iter().rev().nth(run) {
            tokio::spawn(then(self.claims.clone(), id.clone()));
        }
    }

    /// The member that one of the newest runs has.
    fn member_of(&self, run: usize) -> Option<Arc<Value>> {
        let id = self.runs.iter().rev().nth(run)?;
        let all = self.world.objects().list("sandboxes", Some(NAMESPACE));
        let holds = |object: &Value| object["spec"].get("slot").is_some() && object["spec"]["claim"]["id"] == **id;
        all.into_iter().find(|object| holds(object))
    }

    /// What its holder writes once it knows that it can be used, and has not asked for its sleep.
    fn write(&self, run: usize) {
        let Some(member) = self.member_of(run) else { return };
        let app = text(&member, &["status", "instance", "id"]);
        let running = self.world.cloud.ledger().existing().any(|known| known.id == app);
        if is_usable(&member) && running && member["spec"]["operatingMode"] != "Hibernated" {
            self.world.files().write(text(&member, &["metadata", "uid"]), app);
        }
    }

    async fn want(&self, run: usize, mode: &str) {
        if let Some(member) = self.member_of(run) {
            let name = text(&member, &["metadata", "name"]);
            self.ask("PATCH", path("sandboxes", Some(name)), json!({"spec": {"operatingMode": mode}})).await;
        }
    }

    async fn delete_pool(&self, pool: usize, end_claims: bool) {
        let name = pool_name(pool);
        if end_claims {
            let body = json!({"metadata": {"annotations": {END_CLAIMS_ANNOTATION: "true"}}});
            self.ask("PATCH", path("sandboxpools", Some(&name)), body).await;
        }
        self.ask("DELETE", path("sandboxpools", Some(&name)), Value::Null).await;
    }

    /// What nobody wishes for.
    async fn disturb(&mut self, act: &Act) {
        let world = self.world.clone();
        world.judge().trouble(act.lasts());
        let after = |seconds: u32| Instant::now() + Duration::from_secs(seconds.into());
        match act {
            Act::Cloud { trouble, seconds } => {
                let rules = trouble.rules().into_iter().map(|rule| rule.for_seconds(f64::from(*seconds))).collect();
                let seed = world.age().as_secs();
                let _ = world.cloud.set_faults(ACCOUNT, Faults { seed, rules });
            }
            Act::Api { percent, seconds } => {
                world.net().trouble = Some((f64::from(*percent) / 100.0, after(*seconds)));
            }
            Act::SlowCloud { percent, seconds } => {
                world.net().slow_cloud = Some((f64::from(*percent) / 100.0, after(*seconds)));
            }
            Act::Pause { operator, seconds } => {
                world.net().operators[*operator].paused_until = Some(after(*seconds));
            }
            Act::Crash { operator, calls, after } => {
                world.net().operators[*operator].crash = Some(Crash { calls: *calls, after: *after });
            }
            Act::Kill { operator } => world.kill_now(*operator),
            Act::Replace { member } => self.replace(*member),
            Act::Stall { operator, seconds } => {
                world.net().operators[*operator].stalled_until = Some(after(*seconds));
            }
            Act::Revoke { seconds } => self.revoke(*seconds),
            Act::Swap { seconds } if self.all_pools_live() => self.swap(*seconds),
            Act::Store { seconds } => world.files().down_until = Some(after(*seconds)),
            Act::Maintenance { app } => drop(self.emptied(*app).map(|id| world.cloud.maintenance(&id))),
            Act::Vanish { app } => drop(self.emptied(*app).map(|id| world.cloud.vanish(&id))),
            Act::Silence { app } => drop(self.app(*app).map(|id| world.cloud.set_agent(&id, AgentState::Dead))),
            Act::LookAlike { marked } => self.plant(*marked).await,
            _ => {}
        }
    }

    /// What `kubectl replace --force` does to a member whose finalizer somebody took off.
    fn replace(&self, index: usize) {
        let members = self.world.objects().list("sandboxes", Some(NAMESPACE));
        let Some(member) = members.iter().filter(|object| object["spec"].get("slot").is_some()).nth(index) else {
            return;
        };
        let key = path("sandboxes", member["metadata"]["name"].as_str()).key();
        let mut again = Value::clone(member);
        let mut objects = self.world.objects();
        objects.remove(&key);
        again["metadata"]["uid"] = objects.fresh_uid().into();
        if let Some(fields) = again.as_object_mut() {
            fields.remove("status");
        }
        objects.put(&key, again);
        drop(objects);
        self.world.changed.notify_waiters();
    }

    fn app(&self, index: usize) -> Option<String> {
        let books = self.world.cloud.ledger();
        books.existing().nth(index).map(|app| app.id.clone())
    }

    /// An app whose container goes with all that is in it.
    fn emptied(&self, index: usize) -> Option<String> {
        let books = self.world.cloud.ledger();
        let app = books.existing().nth(index)?;
        let uid = app.marks.get("SANDBAR_UID").map(String::as_str).unwrap_or_default();
        self.world.files().lose(uid, &app.id);
        Some(app.id.clone())
    }

    /// Whether every pool has an instance that nobody ends. A pool without any may live in another account, so the
    /// other token would be no fault, and the pool would rightly stay there with what it has made since.
    fn all_pools_live(&self) -> bool {
        let objects = self.world.objects();
        let sandboxes = objects.list("sandboxes", Some(NAMESPACE));
        let lives = |object: &Value| {
            let ready = object["status"]["instance"]["readyAt"].is_string() && object["status"]["phase"] != "Failed";
            ready && object["spec"].get("slot").is_some() && object["metadata"].get("deletionTimestamp").is_none()
        };
        objects.list("sandboxpools", Some(NAMESPACE)).iter().all(|pool| {
            let own = |object: &&Arc<Value>| object["spec"]["poolRef"]["name"] == pool["metadata"]["name"];
            sandboxes.iter().filter(own).any(|object| lives(object))
        })
    }

    /// Takes the token from the account for a while.
    fn revoke(&self, seconds: u32) {
        if self.world.cloud.move_token(TOKEN, None).is_ok() {
            self.later(seconds, give_token_back);
        }
    }

    /// Lets the Secret hold another account's token for a while.
    fn swap(&self, seconds: u32) {
        write_token(&self.world, OTHER_TOKEN);
        self.later(seconds, |world| write_token(world, TOKEN));
    }

    fn later(&self, seconds: u32, act: impl FnOnce(&World) + Send + 'static) {
        let world = self.world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            act(&world);
        });
    }

    /// An app of somebody else, with a name that could be ours.
    async fn plant(&mut self, marked: bool) {
        self.foreign += 1;
        let uid = format!("foreign-{}", self.foreign);
        let name = instance_name(INSTALLATION, &uid, 1);
        let mark = |key: &str, value: &str| json!({"key": key, "value": value, "scope": "RUN_TIME", "type": "GENERAL"});
        let marks =
            if marked { vec![mark("SANDBAR_INSTALLATION", "abroad"), mark("SANDBAR_UID", &uid)] } else { vec![] };
        let service = json!({"name": "web", "image": {"registry_type": "DOCKER_HUB", "registry": "library",
            "repository": "nginx", "tag": "1"}, "envs": marks});
        let body = json!({"spec": {"name": name, "region": "nyc", "services": [service]}});
        let request = http::Request::post("/v2/apps")
            .header(http::header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(body.to_string()));
        if let Ok(request) = request {
            let _ = self.world.cloud.call(request).await;
        }
    }
}

/// The Secret holds the token that it had, and the token opens its account again.
pub fn mend_credentials(world: &World) {
    write_token(world, TOKEN);
    give_token_back(world);
}

fn give_token_back(world: &World) {
    if world.cloud.move_token(TOKEN, Some(ACCOUNT)).is_err() {
        let _ = world.cloud.put_account(ACCOUNT, AccountSettings::with_token(TOKEN));
    }
}

fn write_token(world: &World, token: &str) {
    let key = path("secrets", Some("cloud")).key();
    let mut objects = world.objects();
    let Some(secret) = objects.get(&key) else { return };
    let data = json!(BASE64.encode(token.as_bytes()));
    if secret["data"]["token"] != data {
        let mut secret = Value::clone(secret);
        secret["data"]["token"] = data;
        objects.put(&key, secret);
        drop(objects);
        world.changed.notify_waiters();
    }
}

fn pool(index: usize, plan: &PoolPlan) -> Value {
    let mut warm = json!({"target": plan.target, "activation": plan.activation});
    if plan.max_age > 0 {
        warm["maxAge"] = format!("{}m", plan.max_age).into();
    }
    json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool",
        "metadata": {"name": pool_name(index), "namespace": NAMESPACE},
        "spec": {
            "provider": {"digitalOcean": {"credentialsRef": {"name": "cloud", "key": "token"}, "region": "nyc"}},
            "image": {"registryType": "GHCR", "registry": "acme", "repository": "sandbox", "tag": "v1"},
            "warm": warm,
            "limits": {"maxSandboxes": plan.most, "maxConcurrentCreates": plan.concurrent},
            "onEmpty": plan.on_empty,
            "create": {"deadline": format!("{}m", plan.deadline)},
            "rollout": {"strategy": plan.rollout},
        },
    })
}

/// Garbage collection: what was owned by an object that is gone goes too.
pub async fn collect_garbage(world: Arc<World>) {
    let mut position = 0;
    loop {
        let change = world.change_at(position).await;
        position += 1;
        if !change.deleted {
            continue;
        }
        tokio::time::sleep_until(change.at + Duration::from_secs(2)).await;
        let owner = change.object["metadata"]["uid"].clone();
        for plural in ["sandboxes", "secrets"] {
            let all = world.objects().list(plural, Some(NAMESPACE));
            let owned = |object: &Value| {
                let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
                owners.into_iter().any(|reference| reference["uid"] == owner)
            };
            for object in all.iter().filter(|object| owned(object)) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let body = json!({"preconditions": {"uid": object["metadata"]["uid"]}});
                let method = http::Method::DELETE;
                let target = path(plural, Some(name));
                let request = Request { method, target, query: String::new(), metadata_only: false, body };
                let _ = world.ask_api(Caller::Cluster, request).await;
            }
        }
    }
}
