//! Sandboxes: cap, level, claims, deletions, finalizers.

use super::Judge;
use super::pools::has_finalizer;
use crate::api::objects::text;
use crate::world::{NAMESPACE, World};
use jiff::{SignedDuration, Timestamp};
use sandbar::api::{END_CLAIMS_ANNOTATION, MEMBER_FINALIZER, Span};
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
        let free = |object: &Value| {
            object["spec"].get("claim").is_none() && !is_deleting(object) && object["status"]["phase"] != "Failed"
        };
        let free = i64::try_from(members.iter().filter(|object| free(object)).count()).unwrap_or_default();
        // Replacement by age makes before it breaks.
        let key = ("sandboxpools".to_owned(), NAMESPACE.to_owned(), pool.clone());
        let aging = world.objects().get(&key).map_or(0, |object| {
            let ages = object["spec"]["warm"].get("maxAge").is_some();
            if ages { object["spec"]["limits"]["maxConcurrentCreates"].as_i64().unwrap_or_default() } else { 0 }
        });
        let wanted = self.pools.wanted(&pool) + aging;
        if free > wanted {
            self.accuse(world, "overshoot", format!("pool {pool} has {free} free members, and {wanted} are wanted"));
        }
    }

    /// Somebody's claim was stored on a member.
    fn claimed(&mut self, world: &World, old: &Value, new: &Value) {
        let name = text(new, &["metadata", "name"]);
        if is_deleting(old) {
            self.accuse(world, "S6", format!("a claim is stored on {name}, which is on its way out: it is lost"));
        }
        let (id, request) = (text(new, &["spec", "claim", "id"]), text(new, &["spec", "claim", "for", "uid"]));
        let all = world.objects().list("sandboxes", None);
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
        let ends = time(&old["status"]["claimedAt"]).zip(ttl).and_then(|(at, ttl)| at.checked_add(ttl.signed()).ok());
        let expired = ends.is_some_and(|ends| ends <= now.saturating_add(TELLING_TIME).unwrap_or(now));
        let lost = text(old, &["status", "phase"]) == "Failed";
        if expired || lost || request_is_gone(world, old) || pool_ends_claims(world, old) {
            return;
        }
        let name = text(old, &["metadata", "name"]);
        self.accuse(world, "S7", format!("the operator deletes {name}, claimed by {} until {ends:?}", claim["id"]));
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
