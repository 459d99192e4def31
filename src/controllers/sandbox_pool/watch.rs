//! What makes the pool controller look.

use super::GuardedPool;
use crate::controllers::context::Context;
use kube::ResourceExt;
use kube::runtime::watcher::Event;

/// How many pools are worked on at once.
pub const CONCURRENCY: u16 = 16;

/// Passes an event on to whom it concerns.
pub fn note(context: &Context, event: &Event<GuardedPool>) {
    let pool = match event {
        Event::Delete(pool) => pool,
        Event::Apply(pool) => return wake_queue(context, pool),
        Event::InitDone => return context.filled.pools_read(),
        Event::Init | Event::InitApply(_) => return,
    };
    context.metrics.remove_pool(&pool.namespace().unwrap_or_default(), &pool.name_any());
    if let Some(uid) = pool.uid() {
        context.pool_memory.forget(&uid);
        context.gate.forget(&uid);
        context.backoff.succeeded(&uid);
    }
    wake_queue(context, pool);
}

/// Requests that wait for this pool see it come, change, and go.
fn wake_queue(context: &Context, pool: &GuardedPool) {
    let namespace = pool.namespace().unwrap_or_default();
    let all = context.index.requests(&context.sandboxes, &namespace, &pool.name_any());
    for request in super::observe::waiting(&all) {
        context.poke_sandbox.poke(&namespace, &request);
    }
}
