//! What pools were allowed lately: edits reach an operator late, so the most of the last while counts.

use super::Judge;
use crate::api::objects::text;
use crate::world::World;
use sandbar::api::POOL_FINALIZER;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long an edit may take until every decision rests on it: lag, retries, a member on its way.
const WHILE: Duration = Duration::from_secs(15 * 60);

/// Targets and limits by pool name, with the time from which each held; requests by UID, with their end.
#[derive(Default)]
pub struct Limits {
    /// `limits.maxConcurrentCreates` of every pool there was.
    concurrent: BTreeMap<String, i64>,
    edits: BTreeMap<String, Vec<(Instant, i64, i64)>>,
    requests: BTreeMap<String, (String, Option<Instant>)>,
}

impl Limits {
    fn note(&mut self, pool: &Value) {
        let number = |path: [&str; 3]| pool[path[0]][path[1]][path[2]].as_i64().unwrap_or_default();
        let (target, most) = (number(["spec", "warm", "target"]), number(["spec", "limits", "maxSandboxes"]));
        let concurrent = number(["spec", "limits", "maxConcurrentCreates"]);
        self.concurrent.insert(text(pool, &["metadata", "uid"]).to_owned(), concurrent);
        let edits = self.edits.entry(text(pool, &["metadata", "name"]).to_owned()).or_default();
        if edits.last().is_none_or(|(_, known, limit)| (*known, *limit) != (target, most)) {
            edits.push((Instant::now(), target, most));
        }
    }

    fn lately(&self, pool: &str) -> impl Iterator<Item = &(Instant, i64, i64)> {
        let edits = self.edits.get(pool).map(Vec::as_slice).unwrap_or_default();
        let current = edits.len().saturating_sub(1);
        let holds = move |at: usize| at == current || edits[at + 1].0.elapsed() < WHILE;
        edits.iter().enumerate().filter(move |(at, _)| holds(*at)).map(|(_, edit)| edit)
    }

    /// The highest `limits.maxSandboxes` of the last while.
    pub fn most(&self, pool: &str) -> i64 {
        self.lately(pool).map(|(_, _, most)| *most).max().unwrap_or_default()
    }

    /// Creates that one operator may have had on their way when it lost the Lease.
    pub fn concurrent(&self) -> i64 {
        self.concurrent.values().sum()
    }

    /// Free members that a pool may have had a reason for lately: its level, and one for every request.
    pub fn wanted(&self, pool: &str) -> i64 {
        let level = self.lately(pool).map(|(_, target, _)| *target).max().unwrap_or_default();
        let lately = |ended: &Option<Instant>| ended.is_none_or(|ended| ended.elapsed() < WHILE);
        let requests = self.requests.values().filter(|(of, ended)| of == pool && lately(ended)).count();
        level + i64::try_from(requests).unwrap_or_default()
    }

    /// Takes down whether a request may still be a reason for a member.
    pub fn request(&mut self, object: &Value, over: bool) {
        let (uid, pool) = (text(object, &["metadata", "uid"]), text(object, &["spec", "poolRef", "name"]));
        let entry = self.requests.entry(uid.to_owned()).or_insert_with(|| (pool.to_owned(), None));
        if over && entry.1.is_none() {
            entry.1 = Some(Instant::now());
        }
    }
}

impl Judge {
    pub(super) fn pool(&mut self, world: &World, old: Option<&Value>, new: Option<&Value>) {
        if let Some(pool) = new {
            self.pools.note(pool);
        }
        let Some(old) = old else { return };
        if !has_finalizer(Some(old), POOL_FINALIZER) || has_finalizer(new, POOL_FINALIZER) {
            return;
        }
        let (uid, name) = (text(old, &["metadata", "uid"]), text(old, &["metadata", "name"]));
        let left = world.cloud.ledger();
        let left: Vec<&str> = left
            .existing()
            .filter(|app| app.marks.get("SANDBAR_POOL_UID").is_some_and(|mark| mark == uid))
            .filter(|app| !self.strays.contains(&app.id))
            .map(|app| app.name.as_str())
            .collect();
        if !left.is_empty() {
            let what = format!("pool {name} is let go while {} of its apps exist", left.len());
            self.accuse(world, "S4", what);
        }
    }
}

pub(super) fn has_finalizer(object: Option<&Value>, finalizer: &str) -> bool {
    let all = object.and_then(|object| object["metadata"]["finalizers"].as_array());
    all.is_some_and(|all| all.iter().any(|one| one == finalizer))
}
