//! How a controller is joined to its watch: the same for every kind.

use super::context::Context;
use futures::{Stream, StreamExt, TryFuture, TryStreamExt};
use kube::runtime::controller::Action;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, WatchStreamExt, controller, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// After an error that the reconcile did not turn into a pause of its own.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// The ends that [`wire`] joins.
pub struct Wiring<K, P>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// Every object that may be seen.
    pub api: Api<K>,
    /// Fills the store in the context.
    pub writer: Writer<K>,
    /// Reads it.
    pub store: Store<K>,
    /// Pokes from elsewhere.
    pub pokes: P,
    /// How many objects are worked on at once.
    pub concurrency: u16,
    /// Takes an event of the watch down, right behind the store.
    pub note: fn(&Context, &Event<K>),
}

/// Runs one controller until `stop` resolves and its passes have ended.
pub async fn wire<K, P, S, F>(
    context: Arc<Context>,
    wiring: Wiring<K, P>,
    reconcile: impl FnMut(Arc<K>, Arc<Context>) -> F,
    stop: S,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    P: Stream<Item = ObjectRef<K>> + Send + 'static,
    S: Future<Output = ()> + Send + Sync + 'static,
    F: TryFuture<Ok = Action> + Send + 'static,
    F::Error: std::error::Error + Send + 'static,
{
    let Wiring { api, writer, store, pokes, concurrency, note } = wiring;
    let noting = Arc::clone(&context);
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect_ok(move |event| note(&noting, event))
        .touched_objects();
    Controller::for_stream(stream, store)
        .with_config(controller::Config::default().concurrency(concurrency))
        .reconcile_on(pokes)
        .graceful_shutdown_on(stop)
        .run(reconcile, |_, _, _| Action::requeue(AFTER_ERROR), context)
        .for_each(|_| std::future::ready(()))
        .await;
}
