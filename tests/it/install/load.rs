//! People who claim, work and leave all the time, while the cluster changes under them: some take a warm sandbox, some
//! ask by an object. A few of them stay to the end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sandbar::api::{Sandbox, Span};
use sandbar::claims::{ClaimError, ClaimWish, Claims, RequestWish};
use sandbar::cloudsim::admin::{Ledger, State};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use crate::scene::{UID_MARK, held, name};
use crate::wait::{WITHIN, eventually};
use crate::watcher::Watcher;
use crate::world::PROGRAM;

/// The pool that they claim from.
pub const POOL: &str = "python";
/// How many of each sort stay.
const STAY: usize = 3;

/// A claim that stays.
#[derive(Clone, Debug)]
struct Kept {
    id: String,
    member: Sandbox,
}

#[derive(Clone, Copy, Debug)]
enum Sort {
    Takes,
    Asks,
}

/// What they have seen so far.
#[derive(Debug, Default)]
struct Seen {
    kept: Vec<Kept>,
    /// When which run had its sandbox and its file.
    had: Vec<(Timestamp, String)>,
}

/// Them.
pub struct Load {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    people: Vec<JoinHandle<()>>,
}

struct Person {
    cluster: Arc<Cluster>,
    watcher: Arc<Watcher>,
    claims: Claims,
    seen: Arc<Mutex<Seen>>,
    sort: Sort,
}

impl Load {
    /// They begin.
    pub fn start(cluster: &Arc<Cluster>, watcher: &Arc<Watcher>) -> Self {
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), CancellationToken::new());
        let person = |sort| Person {
            cluster: Arc::clone(cluster),
            watcher: Arc::clone(watcher),
            claims: Claims::new(cluster.client.clone(), "default"),
            seen: Arc::clone(&seen),
            sort,
        };
        let people = [Sort::Takes, Sort::Asks].map(|sort| tokio::spawn(person(sort).live(stop.clone())));
        Self { seen, stop, people: people.into() }
    }

    /// Waits until each sort has been served once more since `moment`. One that gave up makes the test fail with what
    /// it said.
    pub async fn goes_on(&mut self, moment: Timestamp) {
        for sort in [Sort::Takes, Sort::Asks] {
            let word = sort.word();
            let what = format!("who {word} is served since {moment}");
            let served = eventually(&what, async || {
                let seen = lock(&self.seen);
                let served = seen.had.iter().any(|(at, id)| *at > moment && id.starts_with(word));
                let gave_up = self.people.iter().any(JoinHandle::is_finished);
                if served || gave_up { Ok(served) } else { Err(format!("{:?}", seen.had.last())) }
            });
            if !served.await {
                for person in self.people.drain(..) {
                    person.await.expect("nobody gives up");
                }
            }
        }
    }

    /// They leave, but for those who stay: each of these has the sandbox, and in it the file, that it had at first.
    /// Gives how many there were in all.
    pub async fn end(self, cluster: &Cluster) -> usize {
        self.stop.cancel();
        for person in self.people {
            person.await.expect("nobody gives up");
        }
        let seen = std::mem::take(&mut *lock(&self.seen));
        assert!(!seen.kept.is_empty());
        for kept in &seen.kept {
            kept.stands(cluster).await;
        }
        eprintln!("load: {} claims, {} of them kept to the end", seen.had.len(), seen.kept.len());
        seen.had.len()
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Self::Takes => "takes",
            Self::Asks => "asks",
        }
    }
}

impl Person {
    async fn live(self, stop: CancellationToken) {
        let mut kept = 0;
        for number in 0.. {
            if stop.is_cancelled() {
                return;
            }
            let id = format!("{}-{number}", self.sort.word());
            let member = self.claimed(&id).await;
            exec(&self.cluster, &id, &format!("echo {id} > mine")).await;
            lock(&self.seen).had.push((Timestamp::now(), id.clone()));
            if kept < STAY && number % 2 == 0 {
                kept += 1;
                lock(&self.seen).kept.push(Kept { id, member });
                continue;
            }
            self.watcher.ends_by_word(&id);
            self.claims.release(&id).await.expect("a release");
        }
    }

    async fn claimed(&self, id: &str) -> Sandbox {
        let ttl: Option<Span> = Some("1h".parse().expect("a span"));
        match self.sort {
            Sort::Takes => {
                let wish = ClaimWish { holder: "ada".to_owned(), ttl, id: Some(id.to_owned()) };
                let taken = eventually("one is warm", async || match self.claims.claim_warm(POOL, &wish).await {
                    Err(ClaimError::NoneWarm { .. }) => Err("none is warm"),
                    other => Ok(other),
                });
                taken.await.expect("a claim").sandbox
            }
            Sort::Asks => {
                let (id, holder) = (id.to_owned(), "bob".to_owned());
                let wish =
                    RequestWish { id, pool: POOL.to_owned(), holder, ttl, snapshot: None, app: None, keep_ended: None };
                let request = self.claims.request(&wish).await.expect("a request");
                self.claims.wait_ready(&request, WITHIN, |_| ()).await.expect("a sandbox")
            }
        }
    }
}

impl Kept {
    async fn stands(&self, cluster: &Cluster) {
        let member = cluster.sandboxes().get(&name(&self.member)).await.expect("the claimed one");
        let (uid, id) = (&self.member.metadata.uid, self.id.as_str());
        assert!(member.metadata.uid == *uid && held(&member) == Some(id) && !member.is_deleting(), "{id}: {member:#?}");
        assert_eq!(exec(cluster, id, "cat mine").await.trim(), id, "the file of {id}");
        of_one_app(&cluster.ledger().await, uid.as_deref().unwrap_or_default());
    }
}

/// Exactly one app was made for a Sandbox, which is as it was put there at first.
fn of_one_app(ledger: &Ledger, uid: &str) {
    let mine: Vec<_> = ledger.apps.iter().filter(|app| app.marks.get(UID_MARK).is_some_and(|of| of == uid)).collect();
    let [app] = mine[..] else { panic!("not one app for {uid}: {mine:#?}") };
    assert!(app.state == State::Active && app.deployments == 1, "{app:#?}");
}

/// What a command in the run's sandbox prints. The agent's address may be unreachable for a moment.
async fn exec(cluster: &Cluster, id: &str, command: &str) -> String {
    let arguments = ["exec", id, "--", command];
    let within = Duration::from_secs(60);
    crate::wait::eventually_within(within, &format!("exec in {id}"), async || {
        let output = cluster.run(std::path::Path::new(PROGRAM), &arguments).await;
        let text = super::cluster::text;
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    })
    .await
}
