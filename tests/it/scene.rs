//! A pool, its operator and its account: what end-to-end tests share.
//!
//! Every test gets a world of its own ([`Scene`]), says what the pool is like
//! as a patch on a small one, and asserts on objects and on the cloud's books.
//! [`Scene::sound`] checks what must hold at the end of every test, with a
//! [`Watcher`] that looked from its start.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use sandbar::api::{Claim, Phase, Sandbox, SandboxPool, SandboxPoolStatus};
use sandbar::cloudsim::admin::{AccountSettings, Call, Entry, Ledger, Op, State, Totals};
use serde_json::{Value, json};

use crate::wait::{eventually, wait_for, wait_for_all, wait_gone};
use crate::watcher::Watcher;
use crate::world::{OperatorSpec, TestEnv, TestOperator, World, quick_account};

/// The pool of every test.
pub const POOL: &str = "python";
/// The mark that says for which Sandbox an app was made.
pub const UID_MARK: &str = "SANDBAR_UID";

/// One test's pool, operator and account.
pub struct Scene {
    pub env: TestEnv,
    pub operator: TestOperator,
    pub watcher: Watcher,
    pub pools: Api<SandboxPool>,
    pub sandboxes: Api<Sandbox>,
}

impl Scene {
    /// With a quick operator and a quick account.
    pub async fn start(name: &str) -> Self {
        Self::with(name, quick_account, OperatorSpec::default()).await
    }

    /// With a quick operator and this account.
    pub async fn on(name: &str, account: impl Fn(AccountSettings) -> AccountSettings) -> Self {
        Self::with(name, |token| account(quick_account(token)), OperatorSpec::default()).await
    }

    pub async fn with(name: &str, account: impl Fn(String) -> AccountSettings, operator: OperatorSpec) -> Self {
        let env = World::get().await.test_with(name, account).await;
        let watcher = env.watcher().await;
        let operator = env.operator(operator).await;
        let (pools, sandboxes) = (env.api(), env.api());
        Self { env, operator, watcher, pools, sandboxes }
    }

    /// Makes the pool: [`pool`] with `patch` in it.
    pub async fn pool(&self, patch: Value) -> SandboxPool {
        self.pools.create(&PostParams::default(), &pool(patch)).await.expect("the API server takes the pool")
    }

    /// Changes the pool's spec.
    pub async fn edit(&self, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.pools.patch(POOL, &PatchParams::default(), &patch).await.expect("the API server takes the change");
    }

    /// What `kubectl scale` does.
    pub async fn scale(&self, target: i32) {
        let patch = Patch::Merge(json!({"spec": {"replicas": target}}));
        self.pools.patch_scale(POOL, &PatchParams::default(), &patch).await.expect("the pool can be scaled");
    }

    /// Waits until so many are warm and nothing else is going on. A status may still be from before the last claim:
    /// it counts when the members are so, too.
    pub async fn level(&self, warm: i32) -> SandboxPool {
        let free = |member: &&Sandbox| is_free(member) && member.spec.pool_ref.name == POOL;
        let all_there = |members: &[Sandbox]| i32::try_from(members.iter().filter(free).count()) == Ok(warm);
        let what = format!("{warm} warm, nothing moving");
        loop {
            self.pool_shows(&what, |status| is_level(status, warm)).await;
            wait_for_all(&self.sandboxes, &what, all_there).await;
            let pool = self.pools.get(POOL).await.expect("the pool");
            let current = |status: &&SandboxPoolStatus| status.observed_generation == pool.metadata.generation;
            if pool.status.as_ref().filter(current).is_some_and(|status| is_level(status, warm)) {
                return pool;
            }
        }
    }

    /// Waits until the pool's status, as of its newest spec, is like this.
    pub async fn pool_shows(&self, what: &str, like: impl Fn(&SandboxPoolStatus) -> bool) -> SandboxPool {
        wait_for(&self.pools, POOL, what, |pool| {
            let current = |status: &&SandboxPoolStatus| status.observed_generation == pool.metadata.generation;
            pool.status.as_ref().filter(current).is_some_and(&like)
        })
        .await
    }

    /// Waits until a condition of the pool is `status` for `reason`.
    pub async fn pool_says(&self, kind: &str, status: &str, reason: &str) -> SandboxPool {
        let what = format!("{kind}={status} ({reason})");
        self.pool_shows(&what, |pool| {
            condition(&pool.conditions, kind) == status && condition_reason(&pool.conditions, kind) == reason
        })
        .await
    }

    /// The pool's members, by name.
    pub async fn members(&self) -> Vec<Sandbox> {
        let list = self.sandboxes.list(&Default::default()).await.expect("a list");
        list.items.into_iter().filter(Sandbox::is_member).collect()
    }

    /// Waits until a Sandbox is like this.
    pub async fn shows(&self, name: &str, what: &str, like: impl Fn(&Sandbox) -> bool) -> Sandbox {
        wait_for(&self.sandboxes, name, what, like).await
    }

    /// Waits until a warm, unclaimed member is there, and gives it.
    pub async fn warm_member(&self) -> Sandbox {
        let all = wait_for_all(&self.sandboxes, "a warm member", |all: &[Sandbox]| all.iter().any(is_free)).await;
        all.into_iter().find(is_free).expect("there is one")
    }

    /// The one write of a claim, as a user. An `Err` is the server's answer.
    pub async fn claim(&self, member: &Sandbox, id: &str, ttl: &str) -> Result<Sandbox, kube::Error> {
        claim(&self.env.user_api(), member, id, ttl).await
    }

    /// Claims some warm member, again if its status was written in between.
    pub async fn claim_one(&self, id: &str, ttl: &str) -> Sandbox {
        let claimed = eventually("claimed", async || {
            let member = self.warm_member().await;
            self.claim(&member, id, ttl).await
        })
        .await;
        let uid = claimed.metadata.uid.clone();
        // The claim may be short and the machine slow: on its way out it still says what it was.
        self.shows(&name(&claimed), "a claim with an expiry", |member| {
            member.metadata.uid == uid
                && member.held_by().is_some()
                && member.status.as_ref().is_some_and(|status| status.expires_at.is_some())
        })
        .await
    }

    /// Asks for a sandbox by an object, as a user.
    pub async fn request(&self, name: &str, claim: Value) -> Sandbox {
        let users: Api<Sandbox> = self.env.user_api();
        users.create(&PostParams::default(), &request(name, claim)).await.expect("the API server takes the request")
    }

    /// Waits until a request can be used.
    pub async fn ready(&self, name: &str) -> Sandbox {
        self.shows(name, "Ready", |request| is(request, "Ready")).await
    }

    /// Waits until a request has ended for this reason.
    pub async fn ended(&self, name: &str, reason: &str) -> Sandbox {
        self.shows(name, &format!("Ended ({reason})"), |request| {
            request.phase() == Phase::Ended
                && request.status.as_ref().is_some_and(|status| status.reason.as_deref() == Some(reason))
        })
        .await
    }

    /// Deletes the pool and waits until it is gone: at that very moment nothing may be left.
    pub async fn delete_pool(&self) {
        self.pools.delete(POOL, &DeleteParams::default()).await.expect("the pool can be deleted");
        wait_gone(&self.pools, POOL).await;
        assert_eq!(self.totals().await.existing, 0, "the pool was let go before its apps were gone");
        self.watcher.verdict().await;
    }

    /// Deletes a Sandbox, as a user, and waits until it is gone.
    pub async fn delete(&self, name: &str) {
        self.watcher.ends_by_word(name);
        let users: Api<Sandbox> = self.env.user_api();
        users.delete(name, &DeleteParams::default()).await.expect("it can be deleted");
        wait_gone(&self.sandboxes, name).await;
    }

    pub async fn ledger(&self) -> Ledger {
        self.env.sim.ledger_of(&self.env.account).await.expect("the books")
    }

    /// Apps made, existing, and at most at once, in the test's account.
    pub async fn totals(&self) -> Totals {
        self.ledger().await.accounts.remove(&self.env.account).unwrap_or_default()
    }

    /// Waits until the books are like this.
    pub async fn books_show(&self, what: &str, like: impl Fn(&Totals) -> bool) -> Totals {
        eventually(what, async || {
            let totals = self.totals().await;
            if like(&totals) { Ok(totals) } else { Err(format!("{totals:?}")) }
        })
        .await
    }

    /// The app that was last made for a Sandbox.
    pub async fn app_of(&self, sandbox: &Sandbox) -> Entry {
        let uid = sandbox.metadata.uid.as_ref();
        let made = self.ledger().await.apps.into_iter().rev().find(|app| app.marks.get(UID_MARK) == uid);
        made.unwrap_or_else(|| panic!("no app was made for {}", name(sandbox)))
    }

    /// The calls of the account after that number.
    pub async fn calls(&self, since: u64) -> Vec<Call> {
        self.env.sim.calls(&self.env.account, since).await.expect("the calls")
    }

    /// How many calls of one kind there were.
    pub async fn count(&self, op: Op) -> usize {
        self.calls(0).await.iter().filter(|call| call.op == op).count()
    }

    /// Waits until the account was listed successfully so many times more.
    pub async fn listings(&self, more: usize) {
        let count =
            |calls: Vec<Call>| calls.iter().filter(|call| call.op == Op::List && call.status == Some(200)).count();
        let before = count(self.calls(0).await);
        eventually(&format!("listed {more} times more"), async || {
            let seen = count(self.calls(0).await) - before;
            if seen >= more { Ok(()) } else { Err(format!("{seen} listings")) }
        })
        .await;
    }

    /// Name and version of everything in the namespace that the operator may write.
    pub async fn versions(&self) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        for pool in self.pools.list(&Default::default()).await.expect("pools") {
            seen.insert(format!("pool {:?}", pool.metadata.name), pool.metadata.resource_version.unwrap_or_default());
        }
        for sandbox in self.sandboxes.list(&Default::default()).await.expect("sandboxes") {
            let meta = sandbox.metadata;
            seen.insert(format!("sandbox {:?}", meta.name), meta.resource_version.unwrap_or_default());
        }
        for secret in self.env.api::<Secret>().list(&Default::default()).await.expect("secrets") {
            let meta = secret.metadata;
            seen.insert(format!("secret {:?}", meta.name), meta.resource_version.unwrap_or_default());
        }
        let events: Api<k8s_openapi::api::events::v1::Event> = self.env.api();
        for event in events.list(&Default::default()).await.expect("events") {
            let meta = event.metadata;
            seen.insert(format!("event {:?}", meta.name), meta.resource_version.unwrap_or_default());
        }
        seen
    }

    /// What holds at any moment of any test: no Sandbox ever had two apps at
    /// once (S1), the account never more than `cap` (S5), and the watcher saw
    /// no invariant broken.
    pub async fn sound(&self, cap: u32) {
        sound(&self.ledger().await, &self.env.account, cap);
        self.watcher.verdict().await;
    }

    /// Waits until something that is no object is so.
    pub async fn within<T, F: Future<Output = Result<T, String>>>(&self, what: &str, check: impl Fn() -> F) -> T {
        eventually(what, check).await
    }
}

/// See [`Scene::claim`].
pub async fn claim(users: &Api<Sandbox>, member: &Sandbox, id: &str, ttl: &str) -> Result<Sandbox, kube::Error> {
    let patch = json!({
        "metadata": {"uid": member.metadata.uid, "resourceVersion": member.metadata.resource_version,
            "ownerReferences": []},
        "spec": {"claim": {"id": id, "holder": "ada", "ttl": ttl}},
    });
    users.patch(&name(member), &PatchParams::default(), &Patch::Merge(patch)).await
}

/// Whether a Sandbox can be claimed now.
pub fn is_free(sandbox: &Sandbox) -> bool {
    sandbox.phase() == Phase::Warm && sandbox.held_by().is_none() && !sandbox.is_deleting()
}

fn is_level(status: &SandboxPoolStatus, warm: i32) -> bool {
    status.warm == warm && status.creating == 0 && condition(&status.conditions, "Progressing") == "False"
}

/// See [`Scene::sound`].
pub fn sound(ledger: &Ledger, account: &str, cap: u32) {
    let totals = ledger.accounts.get(account).cloned().unwrap_or_default();
    assert!(totals.peak <= cap, "{} apps at once, {cap} allowed (S5): {ledger:#?}", totals.peak);
    let mut by_uid: BTreeMap<&String, Vec<&Entry>> = BTreeMap::new();
    for app in ledger.apps.iter().filter(|app| app.account == account) {
        by_uid.entry(app.marks.get(UID_MARK).unwrap_or(&app.id)).or_default().push(app);
    }
    for apps in by_uid.values() {
        for pair in apps.windows(2) {
            let apart = pair[0].gone.is_some_and(|gone| gone <= pair[1].created);
            assert!(apart, "two apps of one Sandbox at once (S1): {pair:#?}");
        }
    }
}

/// The fewest apps that were ready at any moment since `since`.
pub fn fewest_ready(ledger: &Ledger, since: Timestamp) -> usize {
    let ready = |at: Timestamp| {
        let up = |app: &&Entry| app.ready.is_some_and(|ready| ready <= at) && app.gone.is_none_or(|gone| gone > at);
        ledger.apps.iter().filter(up).count()
    };
    let ends = ledger.apps.iter().filter_map(|app| app.gone).filter(|gone| *gone >= since);
    ends.map(ready).min().unwrap_or_else(|| ready(since))
}

/// Apps that exist and are not on their way out.
pub fn living(ledger: &Ledger) -> Vec<&Entry> {
    ledger.existing().filter(|app| app.state != State::Deleting).collect()
}

/// A small, impatient pool with `patch` in its spec.
pub fn pool(patch: Value) -> SandboxPool {
    let mut object = json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": POOL},
        "spec": {
            "provider": {"digitalOcean": {"credentialsRef": {"name": "digitalocean", "key": "token"}, "region": "nyc"}},
            "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
            "warm": {"target": 2, "scaleDownDelay": "1s", "cooldownAfterClaim": "1s"},
            "limits": {"maxSandboxes": 4, "maxConcurrentCreates": 2},
            // Longer than two operators that are killed keep their Lease.
            "create": {"deadline": "2m", "maxAttempts": 2, "backoff": {"initial": "1s", "max": "2s"}},
        },
    });
    merge(&mut object["spec"], patch);
    serde_json::from_value(object).expect("a pool")
}

/// A request that holds `claim`, whose id is the name where it has none.
pub fn request(name: &str, claim: Value) -> Sandbox {
    let mut wish = json!({"id": name, "holder": "ada"});
    merge(&mut wish, claim);
    let object = json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox", "metadata": {"name": name},
        "spec": {"poolRef": {"name": POOL}, "claim": wish},
    });
    serde_json::from_value(object).expect("a request")
}

fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}

pub fn name(sandbox: &Sandbox) -> String {
    sandbox.metadata.name.clone().unwrap_or_default()
}

/// The id of the claim on a member.
pub fn held(sandbox: &Sandbox) -> Option<&str> {
    sandbox.held_by().map(|claim: &Claim| claim.id.as_str())
}

/// Whether a condition of a Sandbox is True.
pub fn is(sandbox: &Sandbox, kind: &str) -> bool {
    sandbox.status.as_ref().is_some_and(|status| condition(&status.conditions, kind) == "True")
}

/// Whether a condition of a Sandbox is False.
pub fn is_not(sandbox: &Sandbox, kind: &str) -> bool {
    sandbox.status.as_ref().is_some_and(|status| condition(&status.conditions, kind) == "False")
}

/// The status of a condition; empty where there is none.
pub fn condition<'a>(
    conditions: &'a [k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    kind: &str,
) -> &'a str {
    conditions.iter().find(|condition| condition.type_ == kind).map_or("", |condition| condition.status.as_str())
}

/// The reason of a condition; empty where there is none.
pub fn condition_reason<'a>(
    conditions: &'a [k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition],
    kind: &str,
) -> &'a str {
    conditions.iter().find(|condition| condition.type_ == kind).map_or("", |condition| condition.reason.as_str())
}
