//! What makes the pool controller look.

use super::GuardedPool;
use crate::controllers::context::Context;
use crate::controllers::index::readable;
use kube::ResourceExt;
use kube::runtime::watcher::Event;
use std::collections::HashSet;

/// Namespace and name.
type Key = (String, String);

/// How many pools are worked on at once.
pub const CONCURRENCY: u16 = 16;

fn key(pool: &GuardedPool) -> Key {
    (pool.namespace().unwrap_or_default(), pool.name_any())
}

/// Passes an event on to whom it concerns.
pub fn note(context: &Context, event: &Event<GuardedPool>) {
    let pool = match event {
        Event::Delete(pool) => pool,
        Event::Apply(pool) => {
            wake_ended(context, &key(pool));
            return wake_queue(context, &key(pool));
        }
        Event::InitDone => return filled(context),
        Event::Init | Event::InitApply(_) => return,
    };
    leave(context, pool.uid().as_deref(), &key(pool));
}

/// A whole list was read: pools that it does not show went unseen.
fn filled(context: &Context) {
    let all = context.pools.state();
    let uids: HashSet<String> = all.iter().filter_map(|guarded| guarded.uid()).collect();
    let gone = context.pool_memory.gone(&uids);
    for (uid, key) in &gone {
        leave(context, Some(uid), key);
    }
    context.filled.pools_read();
}

/// The pool is gone: what is known of it goes too, and whoever waits for it looks.
fn leave(context: &Context, uid: Option<&str>, key: &Key) {
    wake_ended(context, key);
    context.metrics.remove_pool(&key.0, &key.1);
    if let Some(uid) = uid {
        context.pool_memory.forget(uid);
        context.gate.forget(uid);
        context.backoff.succeeded(uid);
    }
    wake_queue(context, key);
}

/// Members that have ended go when their cost stands in the pool, or there is none.
fn wake_ended(context: &Context, (namespace, name): &Key) {
    let all = context.index.sandboxes(&context.sandboxes, namespace, name);
    let ended = readable(&all).filter(|sandbox| {
        let cost = sandbox.status.as_ref().and_then(|status| status.cost.as_ref());
        cost.is_some_and(|cost| cost.ended_at.is_some())
    });
    for member in ended {
        context.poke_sandbox.poke(namespace, &member.name_any());
    }
}

/// Requests that wait for this pool see it come, change, and go.
fn wake_queue(context: &Context, (namespace, name): &Key) {
    let all = context.index.requests(&context.sandboxes, namespace, name);
    for request in super::observe::waiting(&all) {
        context.poke_sandbox.poke(namespace, &request);
    }
}
