//! What the watcher has seen, object by object, and what it noticed at once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::Value;

/// Everything that was seen, by UID.
#[derive(Default)]
pub struct Book {
    pub members: BTreeMap<String, Member>,
    pub requests: BTreeMap<String, Request>,
    pub pools: BTreeMap<String, Pool>,
    /// Names and claims that the test ends itself.
    pub told: BTreeSet<String>,
    pub all_told: bool,
    pub touched_by_owner: BTreeSet<String>,
    pub neighbours: BTreeSet<String>,
    /// What must not be, in words.
    pub broken: Vec<String>,
    /// The same, unless the pool of this UID ends its claims: pools are watched apart from Sandboxes.
    pub doubts: Vec<(String, String)>,
    pub events: usize,
    pub pools_listed: bool,
    sandboxes_listed: bool,
    /// While a new list comes in: what it showed so far.
    relisting: Option<BTreeSet<String>>,
}

/// One member.
#[derive(Default)]
pub struct Member {
    pub name: String,
    pub pool: String,
    pub version: u64,
    pub created: Timestamp,
    /// It had its finalizer when it was first seen.
    pub finalized: bool,
    /// Instance names by attempt, as written in the status.
    pub attempts: BTreeMap<i64, String>,
    /// When it was seen to sleep, and the attempt that had ended by then.
    pub sleeps: Vec<(Timestamp, i64)>,
    pub claim: Option<Claim>,
    pub failed: bool,
    /// A person gave its instance up.
    pub abandoned: bool,
    /// When the API server took its deletion.
    pub deleted: Option<Timestamp>,
    /// When it was seen to be gone.
    pub gone: Option<Timestamp>,
}

/// A claim as it was first seen; only its TTL may grow.
#[derive(Clone, Debug)]
pub struct Claim {
    pub id: String,
    pub holder: String,
    /// UID of the request that it was made for.
    pub request: Option<String>,
    pub ttl: SignedDuration,
    /// When the API server took it.
    pub since: Timestamp,
}

/// One request.
pub struct Request {
    pub version: u64,
    /// Its deletion was seen, or its end.
    pub over: bool,
    pub gone: bool,
}

/// One pool.
#[derive(Default)]
pub struct Pool {
    pub name: String,
    /// `limits.maxSandboxes`, and when it was seen.
    pub limits: Vec<(Timestamp, usize)>,
    /// A person ended its claims, or deletes it in the foreground.
    pub ends_claims: bool,
}

fn text(object: &DynamicObject, path: &str) -> Option<String> {
    object.data.pointer(path)?.as_str().map(str::to_owned)
}

fn version(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

impl Book {
    pub fn looks(&self) -> bool {
        self.pools_listed && self.sandboxes_listed
    }

    /// A new list begins: what it will not show is gone.
    pub fn relist(&mut self) -> Vec<String> {
        self.relisting = Some(BTreeSet::new());
        Vec::new()
    }

    pub fn relisted(&mut self, seen: Timestamp) -> Vec<String> {
        self.sandboxes_listed = true;
        let listed = self.relisting.take().unwrap_or_default();
        for (_, request) in self.requests.iter_mut().filter(|(uid, _)| !listed.contains(*uid)) {
            request.gone = true;
        }
        let missing = |(uid, member): &(&String, &mut Member)| member.gone.is_none() && !listed.contains(*uid);
        let missing: Vec<(&String, &mut Member)> = self.members.iter_mut().filter(missing).collect();
        let mut gone = Vec::new();
        for (uid, member) in missing {
            member.gone = Some(seen);
            gone.push(uid.clone());
        }
        gone
    }

    pub fn sandbox_gone(&mut self, object: &DynamicObject, seen: Timestamp) -> Vec<String> {
        self.sandbox(object, seen);
        let uid = object.uid().unwrap_or_default();
        if let Some(request) = self.requests.get_mut(&uid) {
            (request.over, request.gone) = (true, true);
            return Vec::new();
        }
        if let Some(member) = self.members.get_mut(&uid) {
            member.gone = Some(seen);
        }
        vec![uid]
    }

    /// Takes in one version of a Sandbox. Gives nothing: it is not gone.
    pub fn sandbox(&mut self, object: &DynamicObject, seen: Timestamp) -> Vec<String> {
        self.events += 1;
        let uid = object.uid().unwrap_or_default();
        if let Some(listed) = &mut self.relisting {
            listed.insert(uid.clone());
        }
        if object.data.pointer("/spec/slot").is_some() {
            self.member(&uid, object, seen);
        } else {
            let over = object.metadata.deletion_timestamp.is_some()
                || text(object, "/status/phase").as_deref() == Some("Ended");
            let request = self.requests.entry(uid).or_insert(Request { version: 0, over: false, gone: false });
            request.version = version(&object.resource_version().unwrap_or_default());
            request.over |= over;
        }
        Vec::new()
    }

    fn member(&mut self, uid: &str, object: &DynamicObject, seen: Timestamp) {
        let first = !self.members.contains_key(uid);
        let mut member = self.members.remove(uid).unwrap_or_default();
        member.version = version(&object.resource_version().unwrap_or_default());
        if first {
            member.name = object.name_any();
            member.pool = text(object, "/spec/template/poolUid").unwrap_or_default();
            member.finalized = object.finalizers().iter().any(|finalizer| finalizer.starts_with("sandbar.dev/"));
        }
        member.created = object.creation_timestamp().map_or(seen, |time| time.0);
        member.failed = text(object, "/status/phase").as_deref() == Some("Failed");
        member.abandoned |= object.annotations().contains_key("sandbar.dev/abandon-instance");
        self.attempt(&mut member, object);
        self.sleep(&mut member, object, seen);
        self.claim(uid, &mut member, object, seen);
        if member.deleted.is_none()
            && let Some(deleted) = &object.metadata.deletion_timestamp
        {
            member.deleted = Some(deleted.0);
            super::judge::deleted(self, &member);
        }
        self.members.insert(uid.to_owned(), member);
    }

    /// S1: one instance name for each attempt, and attempts only go up.
    fn attempt(&mut self, member: &mut Member, object: &DynamicObject) {
        let number = object.data.pointer("/status/instance/attempt").and_then(Value::as_i64);
        let (Some(number), Some(name)) = (number, text(object, "/status/instance/name")) else { return };
        let newest = member.attempts.keys().next_back().copied().unwrap_or_default();
        if number < newest {
            self.broken.push(format!("S1: {} went back from attempt {newest} to {number}", member.name));
        }
        let had = member.attempts.entry(number).or_insert_with(|| name.clone());
        if *had != name {
            self.broken.push(format!("S1: attempt {number} of {} was named {had}, and {name} then", member.name));
        }
    }

    /// Files: nobody sleeps whose files are not said to be whole in the store, or who is not held.
    fn sleep(&mut self, member: &mut Member, object: &DynamicObject, seen: Timestamp) {
        let attempt = member.attempts.keys().next_back().copied().unwrap_or_default();
        let asleep = text(object, "/status/phase").as_deref() == Some("Hibernated");
        if !asleep || member.sleeps.last().is_some_and(|(_, ended)| *ended == attempt) {
            return;
        }
        member.sleeps.push((seen, attempt));
        if text(object, "/status/hibernation/savedAt").is_none() {
            self.broken.push(format!("files: {} sleeps and its files are not whole in the store", member.name));
        }
        if text(object, "/spec/claim/id").is_none() {
            self.broken.push(format!("S6: {} sleeps and nobody holds it", member.name));
        }
    }

    /// S6: written once, never another's, never on two members.
    fn claim(&mut self, uid: &str, member: &mut Member, object: &DynamicObject, seen: Timestamp) {
        let now = claim_of(object, seen);
        match (&mut member.claim, now) {
            (None, None) => {}
            (Some(had), None) => self.broken.push(format!("S6: claim {} of {} vanished", had.id, member.name)),
            (None, Some(claim)) => {
                let elsewhere = self.members.iter().find(|(other, known)| {
                    *other != uid && known.claim.as_ref().is_some_and(|theirs| theirs.id == claim.id)
                });
                if let Some((_, other)) = elsewhere {
                    self.broken.push(format!("S6: claim {} is on {} and on {}", claim.id, other.name, member.name));
                }
                member.claim = Some(claim);
            }
            (Some(had), Some(claim)) => {
                if (&had.id, &had.holder, &had.request) != (&claim.id, &claim.holder, &claim.request) {
                    self.broken.push(format!("S6: the claim on {} was {had:?} and is {claim:?}", member.name));
                }
                had.ttl = claim.ttl;
            }
        }
    }

    pub fn pool(&mut self, object: &DynamicObject, seen: Timestamp) {
        self.events += 1;
        let pool = self.pools.entry(object.uid().unwrap_or_default()).or_default();
        pool.name = object.name_any();
        let limit = object.data.pointer("/spec/limits/maxSandboxes").and_then(Value::as_u64).unwrap_or(10) as usize;
        if pool.limits.last().is_none_or(|(_, last)| *last != limit) {
            pool.limits.push((seen, limit));
        }
        let word = object.annotations().get("sandbar.dev/end-claims").is_some_and(|word| word == "true");
        pool.ends_claims |= word || object.finalizers().iter().any(|finalizer| finalizer == "foregroundDeletion");
    }

    /// Whether everything in a list of that version was seen.
    pub fn has_seen(&self, listed: &[DynamicObject], at: &str) -> Result<(), String> {
        let mut there = BTreeSet::new();
        for object in listed {
            let uid = object.uid().unwrap_or_default();
            let known = self.members.get(&uid).map(|member| member.version);
            let known = known.or_else(|| self.requests.get(&uid).map(|request| request.version));
            if known.is_none_or(|known| known < version(&object.resource_version().unwrap_or_default())) {
                return Err(format!("{} is not seen as it is", object.name_any()));
            }
            there.insert(uid);
        }
        let old = |(uid, member): (&String, &Member)| {
            (member.gone.is_none() && member.version <= version(at) && !there.contains(uid))
                .then(|| member.name.clone())
        };
        match self.members.iter().find_map(old) {
            Some(name) => Err(format!("{name} is gone and not seen to be")),
            None => Ok(()),
        }
    }
}

fn claim_of(object: &DynamicObject, seen: Timestamp) -> Option<Claim> {
    let ttl = text(object, "/spec/claim/ttl").or_else(|| text(object, "/spec/template/claims/defaultTTL"));
    Some(Claim {
        id: text(object, "/spec/claim/id")?,
        holder: text(object, "/spec/claim/holder")?,
        request: text(object, "/spec/claim/for/uid"),
        ttl: ttl.and_then(|ttl| ttl.parse().ok()).unwrap_or_default(),
        since: written(object).unwrap_or(seen).min(seen),
    })
}

/// When the API server took the claim, by its own clock.
fn written(object: &DynamicObject) -> Option<Timestamp> {
    let claims = |fields: &Value| fields.pointer("/f:spec/f:claim").is_some();
    let entry = object.managed_fields().iter().find(|entry| entry.fields_v1.as_ref().is_some_and(|f| claims(&f.0)));
    entry.and_then(|entry| entry.time.as_ref()).map(|time| time.0)
}
