//! What the judge itself knows of the past, so that no operator's word is needed: when claims were taken, which members
//! were ready, who asked, until when a disturbance explains something, which apps were late.

use super::Judge;
use super::files::keeps_its_files;
use super::objects::is_deleting;
use crate::api::objects::text;
use crate::world::World;
use jiff::{SignedDuration, Timestamp};
use sandbar::api::Span;
use sandbar::cloudsim::admin::{Entry, State};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// An operator may act on a view that is so old: the longest stall of a watch, and calls under way.
pub(super) const OLD_VIEW: SignedDuration = SignedDuration::from_secs(300);
/// An app may be ready for so long before a probe could say so.
const PROBE: SignedDuration = SignedDuration::from_secs(120);
/// After a disturbance so much time may pass until nobody acts on what it made them believe.
const AFTERMATH: Duration = Duration::from_secs(300);
/// An orphan's grace and two sweeps, and three more where not one Sandbox is left.
const SWEPT: Duration = Duration::from_secs(900);

/// Memory of a run.
#[derive(Default)]
pub struct Known {
    /// Until when something that was done to the world explains what goes wrong.
    troubled: Option<Instant>,
    /// When the API server took the claim, by the member's UID.
    pub claimed: BTreeMap<String, Timestamp>,
    /// Members that were ready once, and since when that is known.
    pub ready: BTreeMap<String, Timestamp>,
    /// Pools that somebody asked for a sandbox.
    pub asked: BTreeSet<String>,
    /// Late apps: who made each, and when.
    pub late: BTreeMap<String, (String, Instant)>,
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

impl Judge {
    /// Something disturbs the world, for so long.
    pub fn trouble(&mut self, lasts: Duration) {
        self.known.troubled = self.known.troubled.max(Some(Instant::now() + lasts));
    }

    /// Somebody asks a pool for a sandbox.
    pub fn asked(&mut self, pool: String) {
        self.known.asked.insert(pool);
    }

    fn is_troubled(&self) -> bool {
        self.known.troubled.is_some_and(|until| Instant::now() < until + AFTERMATH)
    }

    /// Whether the cloud's books say why an operator gives up this instance.
    pub(super) fn is_explained(&self, world: &World, member: &Value, app: &Entry) -> bool {
        if app.vanished || app.deployments > 1 || matches!(app.state, State::Failed | State::Creating | State::Gone) {
            return true;
        }
        if app.state == State::Active && !world.cloud.agent_answers(&app.id) {
            return true;
        }
        // Where the files are in the store, the end of an instance costs its holder nothing; that they are is judged apart.
        if keeps_its_files(member) {
            return true;
        }
        let instance = &member["status"]["instance"];
        let deadline = text(member, &["spec", "template", "create", "deadline"]).parse::<Span>().ok();
        let until = time(&instance["requestedAt"])
            .zip(deadline)
            .and_then(|(asked, deadline)| asked.checked_add(deadline.signed()).ok());
        let late = app.ready.zip(until).is_none_or(|(ready, until)| until.duration_since(ready) < PROBE);
        late || (instance["readyAt"].is_null() && self.is_troubled())
    }

    /// A late app that no member takes for its own is an orphan, and orphans are swept (S15).
    pub fn strays_are_swept(&mut self, world: &World) {
        if self.strays.is_empty() {
            return;
        }
        let books = world.cloud.ledger();
        let exist: BTreeMap<&str, &Entry> = books
            .existing()
            .filter(|app| app.state != State::Deleting && self.strays.contains(&app.id))
            .map(|app| (app.id.as_str(), app))
            .collect();
        self.strays.retain(|id| books.existing().any(|app| app.id == *id));
        let all = world.objects().list("sandboxes", None);
        let calm = self.known.troubled.is_none_or(|until| Instant::now() > until + SWEPT);
        let owned = |app: &Entry| {
            let mark = |name: &str| app.marks.get(name).map(String::as_str).unwrap_or_default();
            let of = all.iter().find(|object| text(object, &["metadata", "uid"]) == mark("SANDBAR_UID"));
            of.is_some_and(|member| {
                let current = member["status"]["instance"]["attempt"].as_i64().unwrap_or_default();
                is_deleting(member) || current.to_string() == mark("SANDBAR_ATTEMPT")
            })
        };
        let left: Vec<String> = exist
            .iter()
            .filter(|(id, app)| {
                let old = self.known.late.get(**id).is_some_and(|(_, made)| made.elapsed() > SWEPT);
                calm && old && !owned(app)
            })
            .map(|(_, app)| app.name.clone())
            .collect();
        for name in left {
            self.accuse(world, "S15", format!("app {name} came late, belongs to nobody, and is not swept"));
        }
    }
}
