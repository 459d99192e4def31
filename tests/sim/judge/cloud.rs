//! Apps: who makes them, who ends them, how many there are.

use super::known::OLD_VIEW;
use super::objects::is_deleting;
use super::pools::has_finalizer;
use super::{Judge, holds_lease};
use crate::api::objects::text;
use crate::net::Caller;
use crate::world::{INSTALLATION, World};
use bytes::Bytes;
use jiff::Timestamp;
use sandbar::api::MEMBER_FINALIZER;
use sandbar::cloudsim::admin::{Entry, Ledger, State};
use sandbar::providers::is_our_name;
use serde_json::Value;
use tokio::time::Instant;

/// A create call, as its body tells.
#[derive(Clone, Debug)]
pub struct Create {
    pub name: String,
    pub uid: String,
    pub attempt: i64,
}

fn mark<'a>(app: &'a Entry, name: &str) -> &'a str {
    app.marks.get(name).map(String::as_str).unwrap_or_default()
}

/// The variables of the first component in a create's body.
fn variable(body: &Value, name: &str) -> String {
    let envs = body["spec"]["services"][0]["envs"].as_array().into_iter().flatten();
    let value = envs.filter(|env| env["key"] == name).find_map(|env| env["value"].as_str());
    value.unwrap_or_default().to_owned()
}

/// The member that a call is about, by name.
fn about(world: &World, request: &http::Request<Bytes>) -> String {
    if request.method() == http::Method::POST {
        return variable(&serde_json::from_slice(request.body()).unwrap_or_default(), "SANDBAR_NAME");
    }
    let id = request.uri().path().rsplit('/').next().unwrap_or_default();
    let books = world.cloud.ledger();
    books.apps.iter().find(|app| app.id == id).map(|app| mark(app, "SANDBAR_NAME").to_owned()).unwrap_or_default()
}

impl Judge {
    /// An operator sends a call to the cloud; gives what a create is about.
    pub fn calls(
        &mut self,
        world: &World,
        caller: Caller,
        request: &http::Request<Bytes>,
        writes: bool,
        what: &str,
    ) -> Option<Create> {
        if writes && !holds_lease(world, caller) {
            self.accuse(world, "S15", format!("{what} is sent by who does not hold the Lease"));
        }
        if writes {
            self.said.push(format!("{what} {}", about(world, request)));
        }
        if !writes || request.method() != http::Method::POST {
            return None;
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let create = Create {
            name: text(&body, &["spec", "name"]).to_owned(),
            uid: variable(&body, "SANDBAR_UID"),
            attempt: variable(&body, "SANDBAR_ATTEMPT").parse().unwrap_or_default(),
        };
        let all = world.objects().list("sandboxes", None);
        let member = all.iter().find(|object| text(object, &["metadata", "uid"]) == create.uid);
        let stands = |member: &Value| {
            let attempt = &member["status"]["instance"];
            has_finalizer(Some(member), MEMBER_FINALIZER)
                && attempt["attempt"] == create.attempt
                && attempt["name"] == create.name
        };
        if !member.is_some_and(|member| stands(member)) {
            let what = format!(
                "create of {} for attempt {} that no finalized member has written",
                create.name, create.attempt
            );
            self.accuse(world, "S2", what);
        }
        if let Some(member) = member {
            self.may_create(world, &create, member);
        }
        Some(create)
    }

    /// A create for a member that its sender could know to be on its way out (S2), or to have had its one app (S1).
    fn may_create(&mut self, world: &World, create: &Create, member: &Value) {
        let long_ago = |time: Timestamp| world.wall.now().duration_since(time) > OLD_VIEW;
        let deleted = text(member, &["metadata", "deletionTimestamp"]).parse().is_ok_and(long_ago);
        if deleted {
            self.accuse(world, "S2", format!("create of {} for a member that was deleted long ago", create.name));
        }
        if self.known.ready.get(&create.uid).copied().is_some_and(long_ago) {
            self.accuse(world, "S1", format!("create of {} for a member that had its app", create.name));
        }
    }

    /// A call that changes something took effect, or did not.
    pub fn changed_cloud(&mut self, world: &World, caller: Caller, create: Option<&Create>, before: &Ledger) {
        let after = world.cloud.ledger();
        for app in after.apps.iter().skip(before.apps.len()) {
            self.creates += 1;
            self.appeared(world, caller, app, &after);
            if create.is_none() {
                self.accuse(world, "S9", format!("app {} was made by no create", app.name));
            }
        }
        for (was, is) in before.apps.iter().zip(&after.apps) {
            let lived = !matches!(was.state, State::Deleting | State::Gone);
            if lived && matches!(is.state, State::Deleting | State::Gone) {
                self.deletes += 1;
                self.disappears(world, was);
            }
        }
    }

    fn appeared(&mut self, world: &World, caller: Caller, app: &Entry, after: &Ledger) {
        let late = !holds_lease(world, caller);
        if late {
            self.strays.insert(app.id.clone());
            self.known.late.insert(app.id.clone(), (caller.to_string(), Instant::now()));
            let of_this_loss = self.known.late.values().filter(|(who, _)| *who == caller.to_string()).count();
            let most = self.pools.concurrent();
            if i64::try_from(of_this_loss).unwrap_or(i64::MAX) > most {
                self.accuse(
                    world,
                    "S15",
                    format!("{caller} made {of_this_loss} apps after it lost the Lease, of {most}"),
                );
            }
        }
        let uid = mark(app, "SANDBAR_UID");
        if uid.is_empty() {
            return self.accuse(world, "S2", format!("app {} has no marks: nobody will ever find it", app.name));
        }
        let twins = after.existing().filter(|other| mark(other, "SANDBAR_UID") == uid && other.id != app.id);
        let twins = twins.filter(|other| !self.strays.contains(&other.id)).count();
        if twins > 0 && !late {
            self.accuse(world, "S1", format!("{} has {} apps at once", mark(app, "SANDBAR_NAME"), twins + 1));
        }
        let pool_uid = mark(app, "SANDBAR_POOL_UID");
        let owned = after.existing().filter(|other| mark(other, "SANDBAR_POOL_UID") == pool_uid);
        let owned = owned.filter(|other| !self.strays.contains(&other.id)).count();
        let pools = world.objects().list("sandboxpools", None);
        let Some(pool) = pools.iter().find(|pool| text(pool, &["metadata", "uid"]) == pool_uid) else { return };
        let most = self.pools.most(text(pool, &["metadata", "name"]));
        if i64::try_from(owned).unwrap_or(i64::MAX) > most && !late {
            self.accuse(world, "S5", format!("a pool owns {owned} apps, and at most {most} are allowed"));
        }
    }

    fn disappears(&mut self, world: &World, app: &Entry) {
        let (uid, name) = (mark(app, "SANDBAR_UID"), &app.name);
        if mark(app, "SANDBAR_INSTALLATION") != INSTALLATION || !is_our_name(name) {
            return self.accuse(world, "S9", format!("app {name} is deleted, and it is not ours"));
        }
        let all = world.objects().list("sandboxes", None);
        let Some(member) = all.iter().find(|object| text(object, &["metadata", "uid"]) == uid) else { return };
        let instance = &member["status"]["instance"];
        let attempt: i64 = mark(app, "SANDBAR_ATTEMPT").parse().unwrap_or_default();
        let current = instance["attempt"].as_i64() == Some(attempt);
        if current && !is_deleting(member) {
            self.ends_app(world, member, &app.id);
        }
        // What an operator wrote about a failure counts only where the cloud's books know of one.
        let failed = instance.get("failure").is_some() && self.is_explained(world, member, app);
        let lives = !is_deleting(member) && !failed;
        if current && lives {
            let holder = text(member, &["spec", "claim", "id"]);
            self.accuse(
                world,
                "S3",
                format!("app {name} of {} is deleted; claim {holder:?}", text(member, &["metadata", "name"])),
            );
        }
    }
}
