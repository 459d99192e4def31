//! What holders write, and where it is: in containers, and in a store in memory. The double stands where the operator's
//! way to agents and to the object store is: slow, lossy, and what was sent arrives whatever becomes of its sender.

use crate::mutation::Mutation;
use crate::net::Caller;
use crate::world::World;
use async_trait::async_trait;
use jiff::Timestamp;
use sandbar::api::conditions::Reason;
use sandbar::controllers::transfers::{Depot, Kept, MoveError, Purpose, Say, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Bytes of every snapshot.
const SIZE: u64 = 1024;

/// One container's files.
#[derive(Clone, Debug, Default)]
struct Container {
    /// The number of the newest write that it holds; 0 in a fresh one.
    written: u32,
    /// Snapshots that were put into it, and what for.
    has: BTreeSet<(Purpose, String)>,
}

/// A snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    pub written: u32,
    at: Timestamp,
}

/// All files of the world.
#[derive(Debug, Default)]
pub struct Files {
    containers: BTreeMap<String, Container>,
    pub store: BTreeMap<String, Stored>,
    /// The newest write of the holder of each member, by UID.
    wrote: BTreeMap<String, u32>,
    writes: u32,
    /// Nothing gets into the store or out of it before this.
    pub down_until: Option<Instant>,
}

impl Files {
    /// The holder of a member writes a file into its app.
    pub fn write(&mut self, uid: &str, app: &str) {
        self.writes += 1;
        self.wrote.insert(uid.to_owned(), self.writes);
        self.containers.entry(app.to_owned()).or_default().written = self.writes;
    }

    /// The platform takes the container away: nobody can be blamed for what was in it.
    pub fn lose(&mut self, uid: &str, app: &str) {
        self.containers.remove(app);
        self.wrote.remove(uid);
    }

    /// What the holder of a member must find again; none if it has written nothing.
    pub fn newest(&self, uid: &str) -> Option<u32> {
        self.wrote.get(uid).copied()
    }

    /// What is in an app.
    pub fn in_app(&self, app: &str) -> u32 {
        self.containers.get(app).map_or(0, |container| container.written)
    }
}

/// One operator's way to files.
pub struct Shelf {
    pub world: Arc<World>,
    pub caller: Caller,
}

fn app_of(target: &Target) -> String {
    target.url.rsplit('/').next().unwrap_or_default().to_owned()
}

fn silent(who: &str) -> MoveError {
    MoveError::passing(Reason::TransferFailed, format!("{who} does not answer"))
}

fn missing(snapshot: &str) -> MoveError {
    let message = format!("there is no snapshot {snapshot}");
    MoveError { reason: Reason::SnapshotMissing, message, passing: false }
}

impl Shelf {
    /// Time goes by; a process that stands still goes on later, a dead one never.
    async fn way(&self, what: &str) {
        self.world.awake(self.caller).await;
        let pause = self.world.net().chance(&format!("{} on its way to {what}", self.caller)).millis(50, 8_000);
        tokio::time::sleep(pause).await;
        self.world.awake(self.caller).await;
    }

    fn store_is_up(&self) -> Result<(), MoveError> {
        let down = self.world.files().down_until.is_some_and(|until| Instant::now() < until);
        if down { Err(silent("the store")) } else { Ok(()) }
    }

    /// Sends what changes something: it arrives, and the answer to it may not.
    async fn send(&self, what: String, effect: impl FnOnce(&World) -> bool + Send + 'static) -> Result<(), MoveError> {
        // Right here a process can stand still, after it has made sure that it leads.
        let mut chance = self.world.net().chance(&format!("{} {what}", self.caller));
        let still = chance.millis(0, 40);
        tokio::time::sleep(still).await;
        self.world.awake(self.caller).await;
        let (out, back, lost) = (chance.millis(5, 2_000), chance.millis(5, 200), chance.hits(0.05));
        let (told, answer) = oneshot::channel();
        let (world, caller) = (self.world.clone(), self.caller);
        tokio::spawn(async move {
            tokio::time::sleep(out).await;
            let done = effect(&world);
            world.note(&format!("{caller} {what} -> {done}"));
            tokio::time::sleep(back).await;
            // The sender may be gone.
            let _ = told.send(done && !lost);
        });
        let done = answer.await.unwrap_or_default();
        self.world.awake(self.caller).await;
        if done { Ok(()) } else { Err(silent("the other side")) }
    }
}

#[async_trait]
impl Depot for Shelf {
    async fn save(&self, target: &Target, snapshot: &str, may_finish: &Say<'_>) -> Result<u64, MoveError> {
        self.way(snapshot).await;
        if !self.world.cloud.agent_answers(&target.url) {
            return Err(silent("the agent"));
        }
        let written = self.world.files().in_app(&app_of(target));
        self.way(snapshot).await;
        if self.world.mutates(Mutation::SaveOnlySaid) {
            return Ok(SIZE);
        }
        self.store_is_up()?;
        if !may_finish() {
            return Err(MoveError::passing(Reason::TransferFailed, "fenced"));
        }
        let name = snapshot.to_owned();
        self.send(format!("keeps {written} in {snapshot}"), move |world| {
            let at = world.wall.now();
            world.files().store.insert(name, Stored { written, at });
            true
        })
        .await?;
        Ok(SIZE)
    }

    async fn restore(
        &self,
        target: &Target,
        snapshot: &str,
        purpose: Purpose,
        may_unpack: &Say<'_>,
    ) -> Result<u64, MoveError> {
        self.way(snapshot).await;
        if self.world.mutates(Mutation::RestoreOnlySaid) {
            return Ok(SIZE);
        }
        self.store_is_up()?;
        let stored = self.world.files().store.get(snapshot).copied();
        let Some(stored) = stored else {
            return Err(missing(snapshot));
        };
        self.way(snapshot).await;
        if !may_unpack() {
            return Err(MoveError::passing(Reason::TransferFailed, "fenced"));
        }
        let (app, url, name) = (app_of(target), target.url.clone(), snapshot.to_owned());
        self.send(format!("puts {} of {snapshot} into {app}", stored.written), move |world| {
            if !world.cloud.agent_answers(&url) {
                return false;
            }
            let mut files = world.files();
            let container = files.containers.entry(app).or_default();
            if container.has.insert((purpose, name)) {
                container.written = stored.written;
            }
            true
        })
        .await?;
        Ok(SIZE)
    }

    async fn find(&self, _: &str, snapshot: &str) -> Result<u64, MoveError> {
        self.way(snapshot).await;
        self.store_is_up()?;
        match self.world.files().store.contains_key(snapshot) {
            true => Ok(SIZE),
            false => Err(missing(snapshot)),
        }
    }

    async fn check(&self, namespace: &str, snapshot: &str) -> Result<u64, MoveError> {
        self.find(namespace, snapshot).await
    }

    async fn remove(&self, _: &str, snapshot: &str) -> Result<(), MoveError> {
        self.way(snapshot).await;
        self.store_is_up()?;
        let name = snapshot.to_owned();
        self.send(format!("removes {snapshot}"), move |world| {
            world.judge().discards(world, &name);
            world.files().store.remove(&name);
            true
        })
        .await
    }

    async fn kept(&self, namespace: Option<&str>, prefix: &str) -> Result<Vec<Kept>, MoveError> {
        self.way(prefix).await;
        self.store_is_up()?;
        let namespace = namespace.unwrap_or(crate::world::NAMESPACE);
        let files = self.world.files();
        let ours = files.store.iter().filter(|(name, _)| name.starts_with(prefix));
        let kept = |(name, stored): (&String, &Stored)| Kept {
            namespace: namespace.to_owned(),
            name: name.clone(),
            written: stored.at,
        };
        Ok(ours.map(kept).collect())
    }
}
