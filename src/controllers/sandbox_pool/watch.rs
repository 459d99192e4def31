//! What makes the pool controller look.

use super::GuardedPool;
use crate::controllers::context::Context;
use futures::{Stream, StreamExt, TryStreamExt};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, WatchStreamExt, controller, watcher};
use kube::{Api, Resource, ResourceExt};
use std::sync::Arc;

/// How many pools are worked on at once.
const CONCURRENCY: u16 = 16;

/// The ends that [`wire`] joins.
pub struct Wiring<P> {
    /// Every pool that may be seen.
    pub api: Api<GuardedPool>,
    /// Fills the store in the context.
    pub writer: Writer<GuardedPool>,
    /// Reads it.
    pub store: Store<GuardedPool>,
    /// Pokes from elsewhere.
    pub pokes: P,
}

/// Runs the pool controller until `stop` resolves.
pub async fn wire<P, S>(context: Arc<Context>, wiring: Wiring<P>, stop: S)
where
    P: Stream<Item = ObjectRef<GuardedPool>> + Send + 'static,
    S: Future<Output = ()> + Send + Sync + 'static,
{
    let Wiring { api, writer, store, pokes } = wiring;
    let noting = Arc::clone(&context);
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|guarded| guarded.meta_mut().managed_fields = None)
        .reflect(writer)
        .inspect_ok(move |event| note(&noting, event))
        .touched_objects();
    Controller::for_stream(stream, store)
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(pokes)
        .graceful_shutdown_on(stop)
        .run(super::reconcile, |_, _, _| controller::Action::requeue(std::time::Duration::from_secs(5)), context)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn note(context: &Context, event: &Event<GuardedPool>) {
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
    let all = context.index.sandboxes(&context.sandboxes, &namespace, &pool.name_any());
    for request in super::observe::waiting(&all) {
        context.poke_sandbox.poke(&namespace, &request);
    }
}
