//! Files: what a holder wrote is always somewhere, and never shown as what it is not.

use super::Judge;
use super::objects::is_deleting;
use crate::api::objects::text;
use crate::world::{INSTALLATION, World};
use sandbar::artifacts::hibernated_prefix;
use sandbar::cloudsim::admin::Entry;
use serde_json::Value;

fn says(member: &Value, kind: &str) -> bool {
    let conditions = member["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Whether its holder can use it, as far as the holder is told.
pub fn is_usable(member: &Value) -> bool {
    text(member, &["status", "phase"]) == "Claimed" && says(member, "Ready") && !says(member, "FilesLost")
}

/// Whether a member sleeps, or is woken and has not its files back.
pub fn keeps_its_files(member: &Value) -> bool {
    let hibernation = &member["status"]["hibernation"];
    hibernation["savedAt"].is_string() && hibernation["restoredAt"].is_null() && hibernation["lostAt"].is_null()
}

impl Judge {
    /// The status of a claimed member was written.
    pub(super) fn told(&mut self, world: &World, member: &Value) {
        let (uid, name) = (text(member, &["metadata", "uid"]), text(member, &["metadata", "name"]));
        if is_deleting(member) {
            return;
        }
        if is_usable(member) {
            let app = text(member, &["status", "instance", "id"]);
            let files = world.files();
            let (newest, there) = (files.newest(uid), files.in_app(app));
            drop(files);
            if newest.is_some_and(|newest| newest != there) {
                let what = format!("{name} is said to be ready with write {there}, and its holder wrote {newest:?}");
                self.accuse(world, "files", what);
            }
        }
        if text(member, &["status", "phase"]) == "Hibernated" {
            let books = world.cloud.ledger();
            let own = |app: &&Entry| app.marks.get("SANDBAR_UID").is_some_and(|mark| mark == uid);
            let left = books.existing().filter(own).find(|app| !self.strays.contains(&app.id));
            if let Some(app) = left {
                let what = format!("{name} is said to sleep while its app {} exists ({:?})", app.name, app.state);
                self.accuse(world, "S4", what);
            }
        }
    }

    /// An app of a member that lives is deleted: what was written in it must be kept.
    pub(super) fn ends_app(&mut self, world: &World, member: &Value, app: &str) {
        let (uid, name) = (text(member, &["metadata", "uid"]), text(member, &["metadata", "name"]));
        let files = world.files();
        let newest = files.newest(uid).filter(|newest| *newest == files.in_app(app));
        let kept = files.store.get(text(member, &["status", "hibernation", "snapshot"])).map(|stored| stored.written);
        drop(files);
        if newest.is_some() && kept != newest && member["spec"].get("claim").is_some() {
            self.accuse(world, "files", format!("the app of {name} goes with write {newest:?}, and {kept:?} is kept"));
        }
    }

    /// A snapshot is removed: not the only place of what a holder wrote.
    pub fn discards(&mut self, world: &World, snapshot: &str) {
        let all = world.objects().list("sandboxes", None);
        let of =
            |member: &Value| snapshot.starts_with(&hibernated_prefix(INSTALLATION, text(member, &["metadata", "uid"])));
        let Some(member) = all.iter().find(|member| of(member) && !is_deleting(member)) else { return };
        let (uid, app) = (text(member, &["metadata", "uid"]), text(member, &["status", "instance", "id"]));
        let files = world.files();
        let newest = files.newest(uid);
        let elsewhere = newest == Some(files.in_app(app))
            || files.store.iter().any(|(name, stored)| name != snapshot && newest == Some(stored.written));
        let only = newest.is_some() && !elsewhere;
        let goes = files.store.get(snapshot).is_some_and(|stored| newest == Some(stored.written));
        drop(files);
        if only && goes {
            let what = format!(
                "snapshot {snapshot} of {} is removed, the only place of {newest:?}",
                text(member, &["metadata", "name"])
            );
            self.accuse(world, "files", what);
        }
    }
}
