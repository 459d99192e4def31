//! Flipped between an operator (or a claimer) and the API server.

use super::Mutation;
use crate::api::objects::text;
use crate::api::{Answer, Request, failure};
use crate::net::Caller;
use crate::world::World;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How old the cache is that a mutated sweep asks.
const OLD: Duration = Duration::from_secs(20 * 60);

fn remove(object: &mut Value, fields: &[&str]) {
    if let Some(all) = object.as_object_mut() {
        fields.iter().for_each(|field| drop(all.remove(*field)));
    }
}

/// The request as it arrives; None = it never does, and the writer is told that it did.
pub fn request(world: &World, caller: Caller, request: &Request) -> Option<Request> {
    let mut request = request.clone();
    let Some(mutation) = world.mutation.filter(|_| caller != Caller::Cluster) else { return Some(request) };
    let plural = request.target.plural.as_str();
    match (mutation, request.method.as_str(), plural) {
        (Mutation::ClaimWithoutVersion, "PATCH", "sandboxes") if !request.body["spec"]["claim"]["id"].is_null() => {
            remove(&mut request.body["metadata"], &["uid", "resourceVersion"]);
        }
        (Mutation::BoundToWithoutUid, "PATCH", "sandboxes") if !request.body["spec"]["claim"]["id"].is_null() => {
            remove(&mut request.body["metadata"], &["uid"]);
        }
        (Mutation::DeleteWithoutVersion, "DELETE", "sandboxes") => remove(&mut request.body, &["preconditions"]),
        (Mutation::LeaseWithoutVersion, "PUT", "leases") => {
            remove(&mut request.body["metadata"], &["resourceVersion"]);
        }
        (Mutation::AttemptNotWritten, "PUT", "sandboxes") => {
            let stored = world.objects().get(&request.target.key()).cloned();
            let attempt = |object: &Value| object["status"]["instance"]["attempt"].as_i64();
            let before = stored.and_then(|stored| attempt(&stored));
            if attempt(&request.body).is_some() && attempt(&request.body) != before {
                return None;
            }
        }
        _ => {}
    }
    Some(request)
}

/// What a write that never arrived is told.
pub fn pretended(world: &World, request: &Request) -> Answer {
    let stored = world.objects().get(&request.target.key()).cloned();
    let Some(mut object) = stored.map(|stored| Value::clone(&stored)) else { return failure(404, "NotFound", "gone") };
    object["status"] = request.body["status"].clone();
    (200, object)
}

/// The answer as it is read.
pub fn answered(world: &World, caller: Caller, request: &Request, answer: Answer) -> Answer {
    let (Some(mutation), "sandboxes") = (world.mutation, request.target.plural.as_str()) else { return answer };
    let operator = matches!(caller, Caller::Operator { .. });
    let (code, mut body) = answer;
    match (mutation, request.method.as_str()) {
        (Mutation::NextSlotAfterOurOwn, "POST") if operator && code == 409 => {
            let name = text(&request.body, &["metadata", "name"]).to_owned();
            world.mutant().collided.insert(name);
        }
        (Mutation::NextSlotAfterOurOwn, "GET") if operator && code == 200 => {
            let name = request.target.name.clone().unwrap_or_default();
            if world.mutant().collided.remove(&name) {
                body["spec"]["poolRef"]["name"] = "somebody-else".into();
            }
        }
        (Mutation::SweepFromCache, "GET") if operator && world.judge().sweeps => {
            let objects = world.objects().as_of("sandboxes", OLD);
            return match &request.target.name {
                None => {
                    body["items"] = objects.iter().map(|object| crate::api::objects::partial(object)).collect();
                    (200, body)
                }
                Some(name) => match objects.iter().find(|object| text(object, &["metadata", "name"]) == name) {
                    Some(object) => (200, Value::clone(object)),
                    None => failure(404, "NotFound", "gone"),
                },
            };
        }
        (Mutation::BoundToWithoutUid, "GET") if operator && code == 200 && !request.metadata_only => {
            let all = world.objects().list("sandboxes", None);
            let named =
                |object: &Value| Some(text(object, &["status", "boundTo", "name"])) == request.target.name.as_deref();
            if let Some(bound) = all.iter().find(|object| named(object) && object["status"]["phase"] != "Ended") {
                body["metadata"]["uid"] = bound["status"]["boundTo"]["uid"].clone();
            }
        }
        (Mutation::UnclearClaimForgotten, "GET")
            if caller == Caller::User && request.target.name.is_some() && !body["spec"]["claim"]["id"].is_null() =>
        {
            body["spec"]["claim"]["id"] = "somebody-else".into();
        }
        _ => {}
    }
    (code, body)
}

/// An object as an operator's cache takes it in.
pub fn shown(world: &World, object: &Arc<Value>) -> Arc<Value> {
    let Some(mutation) = world.mutation else { return object.clone() };
    let mut shown = Value::clone(object);
    let member = shown["spec"].get("slot").is_some();
    match mutation {
        Mutation::ClaimUnseen if member && text(object, &["status", "phase"]) == "Warm" => {
            remove(&mut shown["spec"], &["claim"]);
        }
        Mutation::ExtensionUnseen if member && !object["spec"]["claim"]["ttl"].is_null() => {
            let ttl = text(object, &["spec", "claim", "ttl"]).to_owned();
            let id = text(object, &["spec", "claim", "id"]).to_owned();
            let first = world.mutant().ttls.entry(id).or_insert(ttl).clone();
            shown["spec"]["claim"]["ttl"] = first.into();
        }
        Mutation::NoisyStatus if member => remove(&mut shown["status"], &["observedGeneration"]),
        Mutation::CapUnseen if shown["spec"].get("limits").is_some() => {
            shown["spec"]["limits"]["maxSandboxes"] = 100.into();
        }
        _ => {}
    }
    Arc::new(shown)
}
