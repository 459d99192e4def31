//! One simulated world: an API server, a cloud, the network to both, and the judge who sees all of it.

use crate::api::objects::{Change, Objects};
use crate::api::{self, Answer};
use crate::files::Files;
use crate::judge::Judge;
use crate::mutation::{Memory, Mutation};
use crate::net::{Caller, Fate, Net};
use crate::trace::Trace;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use sandbar::cloudsim::admin::AccountSettings;
use sandbar::cloudsim::{InProcess, Options};
use sandbar::wall::Wall;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Namespace of pools and Sandboxes.
pub const NAMESPACE: &str = "work";
/// Namespace of the operator.
pub const SYSTEM: &str = "sandbar-system";
/// The installation that both operators are.
pub const INSTALLATION: &str = "home";
/// The account with the pools' apps, and its token.
pub const ACCOUNT: &str = "default";
pub const TOKEN: &str = "dop_v1_home";
/// Another account, and its token: a token opens one account for ever.
pub const OTHER_ACCOUNT: &str = "other";
pub const OTHER_TOKEN: &str = "dop_v1_other";

/// No answer came.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost")]
pub struct Lost;

/// Everything outside of the operators.
pub struct World {
    pub wall: Wall,
    began: Instant,
    objects: Mutex<Objects>,
    pub changed: Notify,
    pub cloud: InProcess,
    net: Mutex<Net>,
    files: Mutex<Files>,
    judge: Mutex<Judge>,
    trace: Mutex<Trace>,
    pub mutation: Option<Mutation>,
    mutant: Mutex<Memory>,
    /// Told when an operator dies.
    pub died: [Notify; 2],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The so-manyth change of an object, once it has happened.
    pub async fn change_at(&self, position: usize) -> Change {
        loop {
            let changed = self.changed.notified();
            let found = self.objects().changes.get(position).cloned();
            match found {
                Some(change) => return change,
                None => changed.await,
            }
        }
    }

    pub fn new(seed: u64, mutation: Option<Mutation>) -> Arc<Self> {
        let start = Timestamp::from_second(1_900_000_000).unwrap_or_default();
        let wall = Wall::starting_at(start);
        let accounts = BTreeMap::from([
            (ACCOUNT.to_owned(), AccountSettings::with_token(TOKEN)),
            (OTHER_ACCOUNT.to_owned(), AccountSettings::with_token(OTHER_TOKEN)),
        ]);
        let options = Options { accounts, seed, ..Options::default() };
        let cloud = InProcess::new(&options, wall).unwrap_or_else(|error| panic!("the cloud does not start: {error}"));
        Arc::new(Self {
            wall,
            began: Instant::now(),
            objects: Mutex::new(Objects::new(seed)),
            changed: Notify::new(),
            cloud,
            net: Mutex::new(Net::new(seed)),
            files: Mutex::default(),
            judge: Mutex::new(Judge::default()),
            trace: Mutex::new(Trace::default()),
            mutation,
            mutant: Mutex::default(),
            died: Default::default(),
        })
    }

    pub fn objects(&self) -> MutexGuard<'_, Objects> {
        lock(&self.objects)
    }

    pub fn net(&self) -> MutexGuard<'_, Net> {
        lock(&self.net)
    }

    pub fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }

    pub fn judge(&self) -> MutexGuard<'_, Judge> {
        lock(&self.judge)
    }

    pub fn trace(&self) -> MutexGuard<'_, Trace> {
        lock(&self.trace)
    }

    /// What the mutation remembers.
    pub fn mutant(&self) -> MutexGuard<'_, Memory> {
        lock(&self.mutant)
    }

    pub fn mutates(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn note(&self, line: &str) {
        self.trace().note(self.age(), line);
    }

    /// One request to the API server, by whoever calls.
    pub async fn ask_api(self: &Arc<Self>, caller: Caller, request: api::Request) -> Result<Answer, Lost> {
        let writes = request.method != http::Method::GET;
        let lease = request.target.plural == "leases" || request.target.plural == "events";
        let what = format!("{caller} {} {} {}", request.method, request.target.plural, name_of(&request));
        let fate = self.net().api_fate(caller, &what, Instant::now());
        if writes && !lease {
            let owner = self.owner_of(&request);
            self.judge().issued(self, caller, &format!("{what} {owner}"));
        } else if writes && request.target.plural == "events" && matches!(caller, Caller::Operator { .. }) {
            let what = format!("{what} {}", request.body["regarding"]["name"]);
            self.judge().said.push(what);
        }
        let asked = request.clone();
        let effect = move |world: Arc<Self>| -> BoxFuture<'static, Answer> {
            Box::pin(async move {
                let answer = world.carry_out(caller, &asked, fate.refused);
                world.note(&format!("{what} -> {}", answer.0));
                answer
            })
        };
        let answer = self.carry(caller, fate, writes && !lease, effect).await?;
        Ok(crate::mutation::answered(self, caller, &request, answer))
    }

    /// Who owns what a request is about, by name: a secret's own name tells nobody.
    fn owner_of(&self, request: &api::Request) -> String {
        let owner =
            |object: &serde_json::Value| object["metadata"]["ownerReferences"][0]["name"].as_str().map(str::to_owned);
        let stored = || self.objects().get(&request.target.key()).and_then(|object| owner(object));
        owner(&request.body).or_else(stored).unwrap_or_default()
    }

    fn carry_out(&self, caller: Caller, request: &api::Request, refused: bool) -> Answer {
        if refused {
            return api::failure(503, "ServiceUnavailable", "the server is too busy");
        }
        let Some(request) = crate::mutation::request(self, caller, request) else {
            return crate::mutation::pretended(self, request);
        };
        let mut objects = self.objects();
        let name = request.body["metadata"]["name"].as_str().map(str::to_owned);
        let mut target = request.target.clone();
        target.name = target.name.or(name);
        let key = target.key();
        let old = objects.get(&key).cloned();
        let answer = api::answer(&mut objects, &request, self.wall.now());
        let new = objects.get(&key).cloned();
        drop(objects);
        if request.method != http::Method::GET && answer.0 < 300 && old != new {
            self.judge().wrote(self, caller, &key, old.as_deref(), new.as_deref());
            self.changed.notify_waiters();
        }
        answer
    }

    /// One call to the cloud.
    pub async fn ask_cloud(
        self: &Arc<Self>,
        caller: Caller,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Lost> {
        let what = format!("{caller} {} {}", request.method(), request.uri().path());
        let fate = self.net().cloud_fate(&what, Instant::now());
        let writes =
            matches!(request.method().as_str(), "POST" | "DELETE") && !request.uri().path().ends_with("propose");
        let create = self.judge().calls(self, caller, &request, writes, &what);
        let effect = move |world: Arc<Self>| -> BoxFuture<'static, Option<http::Response<Bytes>>> {
            Box::pin(async move {
                let before = writes.then(|| world.cloud.ledger());
                let request = crate::mutation::to_cloud(&world, request);
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                // The effect comes with the first poll; only the answer takes time.
                let mut call = std::pin::pin!(world.cloud.call(request));
                let first = futures::poll!(&mut call);
                if let Some(before) = before {
                    world.judge().changed_cloud(&world, caller, create.as_ref(), &before);
                }
                let answer = match first {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => call.await,
                };
                let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
                world.note(&format!("{what} -> {status}"));
                answer.ok().map(|answer| crate::mutation::from_cloud(&world, &method, &path, answer))
            })
        };
        self.carry(caller, fate, true, effect).await?.ok_or(Lost)
    }

    /// Brings one call to its server and the answer back. Once it left, it arrives, whatever becomes of its caller.
    async fn carry<A: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        fate: Fate,
        counted: bool,
        effect: impl FnOnce(Arc<Self>) -> BoxFuture<'static, A> + Send + 'static,
    ) -> Result<A, Lost> {
        let (send, receive) = oneshot::channel();
        let world = self.clone();
        tokio::spawn(async move {
            // A process that stands still right here sends it when it goes on, whatever time-out is over by then.
            world.awake(caller).await;
            if counted {
                world.crash_point(caller, false).await;
            }
            tokio::time::sleep(fate.out).await;
            if fate.lost_before {
                tokio::time::sleep(fate.back).await;
                return;
            }
            let answer = effect(world).await;
            tokio::time::sleep(fate.back).await;
            if !fate.lost_after {
                // The caller may be gone.
                let _ = send.send(answer);
            }
        });
        let answer = receive.await;
        self.awake(caller).await;
        if counted {
            self.crash_point(caller, true).await;
        }
        answer.map_err(|_| Lost)
    }

    /// Waits while the caller's process stands still; for ever, if it is dead.
    pub async fn awake(&self, caller: Caller) {
        loop {
            let (dead, until) = {
                let net = self.net();
                (net.is_dead(caller), net.paused_until(caller, Instant::now()))
            };
            match until {
                _ if dead => std::future::pending::<()>().await,
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    async fn crash_point(&self, caller: Caller, after: bool) {
        if self.net().crashes_here(caller, after) {
            self.kill(caller).await;
        }
    }

    /// An operator dies at a moment that is not one of its calls.
    pub fn kill_now(&self, index: usize) {
        let mut net = self.net();
        if net.operators[index].dead || net.operators[index].life == 0 {
            return;
        }
        net.operators[index].dead = true;
        net.crashes += 1;
        drop(net);
        self.died[index].notify_one();
    }

    async fn kill(&self, caller: Caller) {
        self.note(&format!("{caller} crashes"));
        if let Caller::Operator { index, .. } = caller {
            self.died[index].notify_one();
        }
        std::future::pending().await
    }
}

fn name_of(request: &api::Request) -> String {
    let name = request.target.name.clone().or_else(|| request.body["metadata"]["name"].as_str().map(str::to_owned));
    let status = if request.target.status { "/status" } else { "" };
    format!("{}{status}", name.unwrap_or_default())
}
