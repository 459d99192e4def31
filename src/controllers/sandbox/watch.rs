//! What makes the Sandbox controller look, and what a changed Sandbox makes others look at.

use super::Guarded;
use crate::api::{Phase, Sandbox};
use crate::controllers::context::Context;
use crate::controllers::index::{pool_of, readable};
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use std::collections::HashSet;

/// How many Sandboxes are worked on at once.
pub const CONCURRENCY: u16 = 64;

/// Passes an event on to whom it concerns.
pub fn note(context: &Context, event: &Event<Guarded>) {
    context.index.note(event);
    let (guarded, deleted) = match event {
        Event::Apply(guarded) | Event::InitApply(guarded) => (guarded, false),
        Event::Delete(guarded) => (guarded, true),
        Event::InitDone => return filled(context),
        Event::Init => return,
    };
    let namespace = guarded.namespace().unwrap_or_default();
    if deleted && let Some(uid) = guarded.uid() {
        context.memory.forget(&uid);
        context.probes.forget(&uid);
        context.transfers.forget(&uid);
        context.launches.forget(&uid);
        context.gate.forget(&uid);
        context.backoff.succeeded(&uid);
    }
    let Some(pool) = pool_of(guarded) else { return };
    context.poke_pool.poke(&namespace, &pool);
    let Ok(sandbox) = &guarded.0 else { return };
    if sandbox.is_member() {
        member_changed(context, &namespace, &pool, sandbox)
    } else {
        request_changed(context, &namespace, sandbox)
    }
}

/// A whole list was read: what it does not show went unseen, and is forgotten.
fn filled(context: &Context) {
    let all = context.sandboxes.state();
    let uids: HashSet<String> = all.iter().filter_map(|guarded| guarded.uid()).collect();
    context.probes.retain(&uids);
    context.transfers.retain(&uids);
    context.launches.retain(&uids);
    context.memory.retain(&uids);
    context.index.retain(&context.sandboxes);
    context.filled.sandboxes_read();
}

/// A request that holds the member, and those that wait for one.
fn member_changed(context: &Context, namespace: &str, pool: &str, member: &Sandbox) {
    if let Some(held) = member.held_by() {
        if let Some(request) = &held.for_ {
            context.poke_sandbox.poke(namespace, &request.name);
        }
        return;
    }
    for request in readable(&context.index.requests(&context.sandboxes, namespace, pool)) {
        let waits = request.status.as_ref().is_none_or(|status| status.claimed_at.is_none());
        if waits && request.phase() != Phase::Ended {
            context.poke_sandbox.poke(namespace, &request.name_any());
        }
    }
}

/// The member that a request holds; it ends with the request.
fn request_changed(context: &Context, namespace: &str, request: &Sandbox) {
    if let Some(bound) = request.status.as_ref().and_then(|status| status.bound_to.as_ref()) {
        context.poke_sandbox.poke(namespace, &bound.name);
    }
}
