//! Sandboxes: cap, level, claims, deletions, finalizers.

use super::Judge;
use super::files::keeps_its_files;
use super::known::OLD_VIEW;
use super::pools::has_finalizer;
use crate::api::objects::text;
use crate::world::{NAMESPACE, World};
use jiff::{SignedDuration, Timestamp};
use sandbar::api::{END_CLAIMS_ANNOTATION, MEMBER_FINALIZER, Span};
use sandbar::cloudsim::admin::Entry;
use serde_json::Value;

/// An operator tells the API server's time to within this.
const TELLING_TIME: SignedDuration = SignedDuration::from_secs(2);

fn is_member(object: &Value) -> bool {
    object["spec"].get("slot").is_some()
}

pub(super) fn is_deleting(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

impl Judge {
    pub(super) fn sandbox(&mut self, world: &World, operator: bool, old: Option<&Value>, new: Option<&Value>) {
        let Some(any) = new.or(old) else { return };
        if !is_member(any) {
            let ended = new.is_none_or(|new| text(new, &["status", "phase"]) == "Ended");
            self.pools.request(any, ended);
            return;
        }
        match (old, new) {
            (None, Some(new)) if operator => self.made(world, new),
            (Some(old), Some(new)) if old["spec"].get("claim").is_none() && new["spec"].get("claim").is_some() => {
                self.claimed(world, old, new);
            }
            (Some(old), Some(new)) => self.changed(world, old, new),
            _ => {}
        }
        if let Some(new) = new.filter(|new| operator && new["spec"].get("claim").is_some()) {
            self.told(world, new);
        }
        let Some(old) = old else { return };
        let deleted = !is_deleting(old) && new.is_none_or(is_deleting);
        if operator && deleted && old["spec"].get("claim").is_some() {
            self.ended(world, old);
        }
        if has_finalizer(Some(old), MEMBER_FINALIZER) && !has_finalizer(new, MEMBER_FINALIZER) {
            self.let_go(world, old);
        }
    }

    /// The operator made a member.
    fn made(&mut self, world: &World, new: &Value) {
        let pool = text(new, &["spec", "poolRef", "name"]).to_owned();
        self.may_fill(world, &pool);
        let all = world.objects().list("sandboxes", None);
        let members: Vec<_> = all
            .iter()
            .filter(|object| is_member(object) && text(object, &["spec", "poolRef", "name"]) == pool)
            .collect();
        let count = i64::try_from(members.len()).unwrap_or_default();
        if count > self.pools.most(&pool) {
            let what = format!("pool {pool} has {count} members, and at most {} are allowed", self.pools.most(&pool));
            self.accuse(world, "S5", what);
        }
        let key = ("sandboxpools".to_owned(), NAMESPACE.to_owned(), pool.clone());
        let spec = world.objects().get(&key).map_or(Value::Null, |pool| pool["spec"].clone());
        // Replacement makes before it breaks: of those of an older template, and of as many old ones as it makes.
        let replaces = spec["rollout"]["strategy"] != "OnReplenish";
        let outdated = |object: &Value| replaces && object["spec"]["template"]["image"]["tag"] != spec["image"]["tag"];
        let ages = spec["warm"].get("maxAge").is_some();
        let aging = spec["limits"]["maxConcurrentCreates"].as_i64().filter(|_| ages).unwrap_or_default();
        let free = |object: &Value| {
            object["spec"].get("claim").is_none() && !is_deleting(object) && object["status"]["phase"] != "Failed"
        };
        let counts = members.iter().filter(|object| free(object) && !outdated(object)).count();
        let free = i64::try_from(counts).unwrap_or_default();
        let wanted = self.pools.wanted(&pool) + aging;
        if free > wanted {
            self.accuse(world, "overshoot", format!("pool {pool} has {free} free members, and {wanted} are wanted"));
        }
    }

    /// Whether its pool may have new members at all.
    fn may_fill(&mut self, world: &World, pool: &str) {
        let key = ("sandboxpools".to_owned(), NAMESPACE.to_owned(), pool.to_owned());
        let Some(object) = world.objects().get(&key).cloned() else { return };
        let deleted = time(&object["metadata"]["deletionTimestamp"]);
        // One on its way waits as long as its sender stands still.
        if deleted.is_some_and(|at| world.wall.now().duration_since(at) > OLD_VIEW + OLD_VIEW) {
            self.accuse(world, "S2", format!("a member is made for pool {pool}, which was deleted long ago"));
        }
        if object["spec"]["warm"]["activation"] == "OnFirstClaim" && !self.known.asked.contains(pool) {
            self.accuse(world, "S11", format!("pool {pool} gets a member before anybody asked"));
        }
    }

    /// A member that is there was written: its claim stays whose it is, and its attempts end with its life.
    fn changed(&mut self, world: &World, old: &Value, new: &Value) {
        let name = text(new, &["metadata", "name"]);
        let (had, has) = (&old["spec"]["claim"], &new["spec"]["claim"]);
        if !had.is_null() && ["id", "holder", "for"].iter().any(|field| had.get(field) != has.get(field)) {
            self.accuse(world, "S6", format!("the claim {had} on {name} becomes {has}"));
        }
        let attempt = |object: &Value| object["status"]["instance"]["attempt"].as_i64().unwrap_or_default();
        let uid = text(new, &["metadata", "uid"]);
        if attempt(new) > attempt(old) {
            // The write meets the version that its sender saw, so there is no lag to allow for.
            if is_deleting(old) {
                self.accuse(world, "S2", format!("attempt {} of {name}, which is on its way out", attempt(new)));
            }
            if self.known.ready.contains_key(uid) {
                self.accuse(world, "S1", format!("attempt {} of {name}, which was ready once", attempt(new)));
            }
        }
        if keeps_its_files(new) {
            // Waking is a new attempt, and what was in the old one is kept.
            self.known.ready.remove(uid);
        } else if new["status"]["instance"]["readyAt"].is_string() {
            self.known.ready.entry(uid.to_owned()).or_insert(world.wall.now());
        }
    }

    /// Somebody's claim was stored on a member.
    fn claimed(&mut self, world: &World, old: &Value, new: &Value) {
        let name = text(new, &["metadata", "name"]);
        if is_deleting(old) {
            self.accuse(world, "S6", format!("a claim is stored on {name}, which is on its way out: it is lost"));
        }
        let (id, request) = (text(new, &["spec", "claim", "id"]), text(new, &["spec", "claim", "for", "uid"]));
        let uid = text(new, &["metadata", "uid"]);
        self.known.claimed.insert(uid.to_owned(), world.wall.now());
        let all = world.objects().list("sandboxes", None);
        // An operator writes whom a request gets before it claims, by name and UID.
        let asks = all.iter().find(|object| !request.is_empty() && text(object, &["metadata", "uid"]) == request);
        let asks = asks.filter(|object| !is_deleting(object) && text(object, &["status", "phase"]) != "Ended");
        if asks.is_some_and(|asks| text(asks, &["status", "boundTo", "uid"]) != uid) {
            self.accuse(world, "S6", format!("{name} is claimed for a request that is bound to another member"));
        }
        let same = |object: &Value| {
            let for_ = text(object, &["spec", "claim", "for", "uid"]);
            text(object, &["spec", "claim", "id"]) == id
                && for_ == request
                && text(object, &["metadata", "name"]) != name
        };
        let others = all.iter().filter(|object| is_member(object) && !is_deleting(object) && same(object)).count();
        if others > 0 {
            self.accuse(world, "S6", format!("claim {id} holds {name} and {others} other members"));
        }
    }

    /// The operator deleted a claimed member: only for a reason of the claim's own.
    fn ended(&mut self, world: &World, old: &Value) {
        let now = world.wall.now();
        let claim = &old["spec"]["claim"];
        let ttl = claim["ttl"].as_str().and_then(|text| text.parse::<Span>().ok());
        let taken = self.known.claimed.get(text(old, &["metadata", "uid"])).copied();
        let ends = taken.zip(ttl).and_then(|(at, ttl)| at.checked_add(ttl.signed()).ok());
        let expired = ends.is_some_and(|ends| ends <= now.saturating_add(TELLING_TIME).unwrap_or(now));
        let lost = text(old, &["status", "phase"]) == "Failed" && self.lost(world, old);
        if expired || lost || request_is_gone(world, old) || pool_ends_claims(world, old) {
            return;
        }
        let name = text(old, &["metadata", "name"]);
        self.accuse(world, "S7", format!("the operator deletes {name}, claimed by {} until {ends:?}", claim["id"]));
    }

    /// Whether no app of this member is well, by the cloud's books.
    fn lost(&self, world: &World, member: &Value) -> bool {
        let uid = text(member, &["metadata", "uid"]);
        let books = world.cloud.ledger();
        let own = |app: &&Entry| app.marks.get("SANDBAR_UID").is_some_and(|mark| mark == uid);
        books.existing().filter(own).all(|app| self.is_explained(world, member, app))
    }

    /// The finalizer of a member goes.
    fn let_go(&mut self, world: &World, old: &Value) {
        let (uid, name) = (text(old, &["metadata", "uid"]), text(old, &["metadata", "name"]));
        let books = world.cloud.ledger();
        let left = books
            .existing()
            .find(|app| app.marks.get("SANDBAR_UID").is_some_and(|mark| mark == uid) && !self.strays.contains(&app.id));
        if let Some(app) = left {
            self.accuse(world, "S4", format!("{name} is let go while its app {} exists ({:?})", app.name, app.state));
        }
    }
}

fn request_is_gone(world: &World, member: &Value) -> bool {
    let held = &member["spec"]["claim"]["for"];
    let Some(uid) = held["uid"].as_str() else { return false };
    let all = world.objects().list("sandboxes", None);
    let request = all.iter().find(|object| text(object, &["metadata", "uid"]) == uid);
    request.is_none_or(|request| text(request, &["status", "boundTo", "uid"]) != text(member, &["metadata", "uid"]))
}

fn pool_ends_claims(world: &World, member: &Value) -> bool {
    let pool = text(member, &["spec", "poolRef", "name"]).to_owned();
    let key = ("sandboxpools".to_owned(), NAMESPACE.to_owned(), pool);
    let objects = world.objects();
    let ends = |pool: &Value| is_deleting(pool) && pool["metadata"]["annotations"][END_CLAIMS_ANNOTATION] == "true";
    objects.get(&key).is_some_and(|pool| ends(pool))
}
