//! The rules of the CRDs that decide who wins: B4–B9, B11 and B14 of `api/rules.rs`, which the real API server evaluates in
//! `tests/it/rules`.

use sandbar::api::Span;
use serde_json::Value;

/// Why the API server refuses this change of a Sandbox; None = it does not.
pub fn refused(old: &Value, new: &Value) -> Option<String> {
    let (before, after) = (&old["spec"], &new["spec"]);
    for (id, field) in [("B4", "poolRef"), ("B5", "slot"), ("B6", "template")] {
        if before.get(field) != after.get(field) {
            return Some(format!("{id}: spec.{field} cannot be changed"));
        }
    }
    let (had, has) = (before.get("claim"), after.get("claim"));
    if let Some(had) = had {
        let same = |field: &str| has.is_some_and(|has| has.get(field) == had.get(field));
        if !(same("id") && same("holder") && same("for")) {
            return Some(format!("B7: spec.claim: held by claim {}", had["id"]));
        }
    }
    let ttl = |claim: Option<&Value>| claim.and_then(|claim| span(&claim["ttl"]));
    if ttl(had).is_some() && ttl(has) < ttl(had) {
        return Some("B8: spec.claim.ttl: a claim can only be extended".to_owned());
    }
    let most = span(&after["template"]["claims"]["maxTTL"]);
    if most.is_some() && ttl(has) > most {
        return Some("B9: spec.claim.ttl: more than the pool's claims.maxTTL".to_owned());
    }
    if after["operatingMode"] == "Hibernated" && (after.get("slot").is_none() || has.is_none()) {
        return Some("B14: spec.operatingMode: Hibernated is for a sandbox that somebody holds".to_owned());
    }
    let phase = old["status"]["phase"].as_str();
    let claimable = phase.is_none_or(|phase| ["Pending", "Creating", "Booting", "Warm"].contains(&phase));
    if after.get("slot").is_some() && had.is_none() && has.is_some() && !claimable {
        return Some(format!("B11: spec.claim: it is {} and cannot be claimed", phase.unwrap_or_default()));
    }
    None
}

fn span(value: &Value) -> Option<std::time::Duration> {
    value.as_str()?.parse::<Span>().ok().map(Span::duration)
}
