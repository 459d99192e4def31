//! What must be left when everything has healed: the level, one app for each member, and nothing else.

use crate::api::objects::text;
use crate::script::Script;
use crate::world::{INSTALLATION, NAMESPACE, World};
use sandbar::cloudsim::admin::{Entry, Op};
use sandbar::providers::budget::{PER_HOUR, PER_MINUTE};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

fn all(world: &World, plural: &str) -> Vec<Arc<Value>> {
    world.objects().list(plural, Some(NAMESPACE))
}

fn name(object: &Value) -> &str {
    text(object, &["metadata", "name"])
}

/// What is left, or why this is not the end yet.
pub fn end_state(world: &World, script: &Script) -> Result<Vec<String>, String> {
    let sandboxes = all(world, "sandboxes");
    let (members, requests): (Vec<_>, Vec<_>) =
        sandboxes.iter().partition(|object| object["spec"].get("slot").is_some());
    for request in &requests {
        if text(request, &["status", "phase"]) != "Ended" {
            return Err(format!("request {} is {:?}", name(request), request["status"]["phase"]));
        }
    }
    let pools = all(world, "sandboxpools");
    let mut end = Vec::new();
    for pool in &pools {
        end.push(level(pool, &members)?);
    }
    for member in &members {
        let pool = text(member, &["spec", "poolRef", "name"]);
        if !pools.iter().any(|object| name(object) == pool) {
            return Err(format!("member {} of a pool that is gone", name(member)));
        }
    }
    apps(world, &members)?;
    if let Some(left) = world.files().store.keys().next() {
        return Err(format!("snapshot {left} is left in the store, and all claims are over"));
    }
    secrets(world, &members)?;
    if pools.len() > script.pools.len() {
        return Err("more pools than were made".to_owned());
    }
    Ok(end)
}

/// One pool at its level, and saying so.
fn level(pool: &Value, members: &[&Arc<Value>]) -> Result<String, String> {
    let name = name(pool);
    if pool["metadata"].get("deletionTimestamp").is_some() {
        return Err(format!("pool {name} is still on its way out"));
    }
    let lazy = pool["spec"]["warm"]["activation"] == "OnFirstClaim";
    let target = if lazy { 0 } else { pool["spec"]["warm"]["target"].as_u64().unwrap_or_default() };
    let own: Vec<_> = members.iter().filter(|member| text(member, &["spec", "poolRef", "name"]) == name).collect();
    for member in &own {
        let warm = text(member, &["status", "phase"]) == "Warm" && member["spec"].get("claim").is_none();
        if !warm || member["metadata"].get("deletionTimestamp").is_some() {
            return Err(format!("member {} is {:?}", self::name(member), member["status"]["phase"]));
        }
    }
    let (count, told) = (own.len() as u64, pool["status"]["warm"].as_u64().unwrap_or_default());
    if count != target || told != target {
        return Err(format!("pool {name} has {count} members and tells {told}, and its level is {target}"));
    }
    Ok(format!("{name}: {count} warm"))
}

/// One app for each member and no other of ours; foreign ones untouched.
fn apps(world: &World, members: &[&Arc<Value>]) -> Result<(), String> {
    let books = world.cloud.ledger();
    let ours = |app: &&Entry| app.marks.get("SANDBAR_INSTALLATION").is_some_and(|mark| mark == INSTALLATION);
    let exist: BTreeSet<&str> = books.existing().filter(ours).map(|app| app.id.as_str()).collect();
    let known: BTreeSet<&str> = members.iter().map(|member| text(member, &["status", "instance", "id"])).collect();
    if exist != known {
        let orphans = exist.difference(&known).count();
        return Err(format!(
            "{orphans} apps without a member, {} members without an app",
            known.difference(&exist).count()
        ));
    }
    let bare = |app: &&Entry| !app.marks.contains_key("SANDBAR_INSTALLATION") && app.marks.contains_key("SANDBOX_MODE");
    match books.existing().find(bare) {
        Some(app) => Err(format!("app {} has no marks, so nobody will ever find it", app.name)),
        None => Ok(()),
    }
}

/// One token for each member.
fn secrets(world: &World, members: &[&Arc<Value>]) -> Result<(), String> {
    let tokens = all(world, "secrets").iter().filter(|secret| name(secret).starts_with("sandbar-")).count();
    if tokens == members.len() { Ok(()) } else { Err(format!("{tokens} tokens for {} members", members.len())) }
}

/// What a pool's status says that it cost, against the cloud's books (S14).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    pub told_usd: f64,
    pub billed_usd: f64,
    /// What a minute of each of its apps cost.
    pub minutes_usd: f64,
}

/// The costs of the pools that are left.
pub fn costs(world: &World) -> Vec<Cost> {
    let (books, now) = (world.cloud.ledger(), world.wall.now());
    let cost = |pool: &Arc<Value>| {
        let told = &pool["status"]["cost"];
        let usd = |field: &str| text(told, &[field]).parse::<f64>().unwrap_or_default();
        let since: Option<jiff::Timestamp> = text(told, &["since"]).parse().ok();
        let hours = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64() / 3600.0);
        let uid = text(pool, &["metadata", "uid"]);
        let own = books.apps.iter().filter(|app| app.marks.get("SANDBAR_POOL_UID").is_some_and(|mark| mark == uid));
        let minute = |app: &Entry| {
            let seconds = app.gone.unwrap_or(now).duration_since(app.created).as_secs_f64();
            app.usd / seconds.max(60.0) * 60.0
        };
        Cost {
            told_usd: usd("settledUsd") + usd("usdPerHour") * hours,
            billed_usd: own.clone().map(|app| app.usd).sum(),
            minutes_usd: own.map(minute).sum(),
        }
    };
    all(world, "sandboxpools").iter().map(cost).collect()
}

/// Pools that replace their members by age, by name.
pub fn ageing(world: &World) -> Vec<String> {
    let pools = all(world, "sandboxpools");
    let ageing = pools.iter().filter(|pool| pool["spec"]["warm"].get("maxAge").is_some());
    ageing.map(|pool| name(pool).to_owned()).collect()
}

/// Calls that the cloud's rate limit would have refused (S12).
pub fn refused_calls(world: &World) -> Option<String> {
    let summary = world.cloud.summary();
    let over = summary.peaks.values().find(|peak| peak.minute >= PER_MINUTE || peak.hour >= PER_HOUR)?;
    let creates = summary.counts.iter().filter(|count| count.op == Op::Create).map(|count| count.calls).sum::<u64>();
    Some(format!("S12: {} calls in a minute, {} in an hour; {creates} creates", over.minute, over.hour))
}
