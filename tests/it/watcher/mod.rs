//! The independent watcher: no part of the operator and none of its code.
//!
//! From the start of a test it follows every pool and Sandbox of the namespace
//! through a client of its own, as raw objects, and reads the cloud's books.
//! It judges at every event (S1, S4, S6, S7), and over the whole time-line when
//! it is asked for a [verdict](Watcher::verdict) (S1, S2, S5, S9).

mod book;
mod judge;
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watcher};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::cloudsim::admin::{Ledger, SimAdmin};
use tokio_util::task::AbortOnDropHandle;

use self::book::Book;
use crate::wait::eventually;

/// What is watched, and whose books are read.
#[derive(Clone)]
pub struct Subject {
    /// The namespace.
    pub namespace: String,
    /// The simulated cloud.
    pub sim: SimAdmin,
    /// The account that the namespace's pools use.
    pub account: String,
    /// The installation that works there.
    pub installation: String,
}

/// Watches until it is dropped.
pub struct Watcher {
    book: Arc<Mutex<Book>>,
    subject: Subject,
    sandboxes: Api<DynamicObject>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// What was seen and found, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Changes of objects.
    pub events: usize,
    /// Members that ever were.
    pub members: usize,
    /// Members that were claimed.
    pub claims: usize,
    /// Members that are gone.
    pub ends: usize,
    /// Apps of the installation that were ever made for them.
    pub apps: usize,
    /// The most of one pool that existed at once.
    pub peak: usize,
    /// Apps of others in the account.
    pub foreign: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, members, claims, ends, apps, peak, foreign } = self;
        write!(
            formatter,
            "{events} changes of {members} members ({claims} claimed, {ends} gone); {apps} apps, at most {peak} of one \
             pool at once; {foreign} foreign apps"
        )
    }
}

/// What may go beyond the rules in one test, and why it is said there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leeway {
    /// Apps that a request already handed to the network may still make (architecture, below the invariants).
    pub in_network: usize,
}

impl Watcher {
    /// Begins to watch. `client` must be the watcher's own.
    pub async fn start(client: Client, subject: Subject) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let api = |resource: &ApiResource| Api::namespaced_with(client.clone(), &subject.namespace, resource);
        let sandboxes: Api<DynamicObject> = api(&ApiResource::erase::<Sandbox>(&()));
        let pools: Api<DynamicObject> = api(&ApiResource::erase::<SandboxPool>(&()));
        let of_sandboxes = follow_sandboxes(sandboxes.clone(), subject.clone(), Arc::clone(&book));
        let of_pools = follow_pools(pools, Arc::clone(&book));
        let tasks = [tokio::spawn(of_sandboxes), tokio::spawn(of_pools)].map(AbortOnDropHandle::new);
        let watcher = Self { book, subject, sandboxes, _tasks: tasks };
        // Nothing may happen before it looks.
        eventually("the watcher looks", async || if watcher.lock().looks() { Ok(()) } else { Err("not listed yet") })
            .await;
        watcher
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    /// The test ends this claimed member itself, as holder or owner, by the member's name or the claim's id.
    pub fn ends_by_word(&self, name_or_claim: &str) {
        self.lock().told.insert(name_or_claim.to_owned());
    }

    /// The test ends every claim there is: it deletes the namespace.
    pub fn all_end_by_word(&self) {
        self.lock().all_told = true;
    }

    /// The test, as their owner, does what it likes with apps of this name.
    pub fn owner_touches(&self, app_name: &str) {
        self.lock().touched_by_owner.insert(app_name.to_owned());
    }

    /// Another installation works in the account and may end its own apps.
    pub fn has_neighbour(&self, installation: &str) {
        self.lock().neighbours.insert(installation.to_owned());
    }

    /// Everything that was seen until now, judged.
    ///
    /// # Panics
    /// When an invariant was broken; the message holds every case.
    pub async fn verdict(&self) -> Summary {
        self.verdict_with(Leeway::default()).await
    }

    /// [`Self::verdict`] with what this test may have beyond the rules.
    pub async fn verdict_with(&self, leeway: Leeway) -> Summary {
        self.catch_up().await;
        let Subject { sim, account, installation, .. } = &self.subject;
        let ledger = sim.ledger_of(account).await.expect("the books");
        let calls = sim.calls(account, 0).await.expect("the calls");
        let (broken, summary) = {
            let book = self.lock();
            let mut broken = book.broken.clone();
            let summary = judge::whole(&book, &ledger, &calls, installation, leeway, &mut broken);
            (broken, summary)
        };
        assert!(broken.is_empty(), "the watcher found ({summary}):\n- {}\n{ledger:#?}", broken.join("\n- "));
        eprintln!("watched {}: {summary}", self.subject.namespace);
        summary
    }

    /// Waits until everything that the API server shows now was seen.
    async fn catch_up(&self) {
        eventually("the watcher is up to date", async || {
            let list = self.sandboxes.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            self.lock().has_seen(&list.items, list.metadata.resource_version.as_deref().unwrap_or_default())
        })
        .await;
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow_sandboxes(api: Api<DynamicObject>, subject: Subject, book: Arc<Mutex<Book>>) {
    let mut events = std::pin::pin!(watcher(api, Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        let seen = Timestamp::now();
        let gone = match event {
            Ok(Event::Init) => lock(&book).relist(),
            Ok(Event::InitApply(object) | Event::Apply(object)) => lock(&book).sandbox(&object, seen),
            Ok(Event::InitDone) => lock(&book).relisted(seen),
            Ok(Event::Delete(object)) => lock(&book).sandbox_gone(&object, seen),
            // The API server is away: it watches again when it is back.
            Err(_) => Vec::new(),
        };
        if !gone.is_empty() {
            let ledger = books(&subject).await;
            let mut book = lock(&book);
            for uid in gone {
                judge::gone(&mut book, &uid, &ledger);
            }
        }
    }
}

async fn books(subject: &Subject) -> Ledger {
    subject.sim.ledger_of(&subject.account).await.expect("the books of the simulated cloud")
}

async fn follow_pools(api: Api<DynamicObject>, book: Arc<Mutex<Book>>) {
    let mut events = std::pin::pin!(watcher(api, Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        let seen = Timestamp::now();
        match event {
            Ok(Event::InitApply(object) | Event::Apply(object)) => lock(&book).pool(&object, seen),
            Ok(Event::InitDone) => lock(&book).pools_listed = true,
            _ => {}
        }
    }
}
