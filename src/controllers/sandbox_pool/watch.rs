//! What makes the pool controller look.

use super::GuardedPool;
use crate::controllers::context::Context;
use crate::controllers::index::readable;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

/// How many pools are worked on at once.
pub const CONCURRENCY: u16 = 16;

/// Passes an event on to whom it concerns.
pub fn note(context: &Context, event: &Event<GuardedPool>) {
    let pool = match event {
        Event::Delete(pool) => pool,
        Event::Apply(pool) => {
            wake_ended(context, pool);
            return wake_queue(context, pool);
        }
        Event::InitDone => return context.filled.pools_read(),
        Event::Init | Event::InitApply(_) => return,
    };
    wake_ended(context, pool);
    context.metrics.remove_pool(&pool.namespace().unwrap_or_default(), &pool.name_any());
    if let Some(uid) = pool.uid() {
        context.pool_memory.forget(&uid);
        context.gate.forget(&uid);
        context.backoff.succeeded(&uid);
    }
    wake_queue(context, pool);
}

/// Members that have ended go when their cost stands in the pool, or there is none.
fn wake_ended(context: &Context, pool: &GuardedPool) {
    let namespace = pool.namespace().unwrap_or_default();
    let all = context.index.sandboxes(&context.sandboxes, &namespace, &pool.name_any());
    let ended = readable(&all).filter(|sandbox| {
        let cost = sandbox.status.as_ref().and_then(|status| status.cost.as_ref());
        cost.is_some_and(|cost| cost.ended_at.is_some())
    });
    for member in ended {
        context.poke_sandbox.poke(&namespace, &member.name_any());
    }
}

/// Requests that wait for this pool see it come, change, and go.
fn wake_queue(context: &Context, pool: &GuardedPool) {
    let namespace = pool.namespace().unwrap_or_default();
    let all = context.index.requests(&context.sandboxes, &namespace, &pool.name_any());
    for request in super::observe::waiting(&all) {
        context.poke_sandbox.poke(&namespace, &request);
    }
}
