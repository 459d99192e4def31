//! Waiting for conditions, always with a bound. On time-out the last thing
//! seen is printed, so that a failed test says what was there instead.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, Event, watch_object, watcher};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::world::yaml;

/// The bound when none is given: for a machine on which many tests wait for two cores.
pub const WITHIN: Duration = Duration::from_secs(120);

/// A kind that can be watched and printed.
pub trait Kind: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + 'static> Kind for K {}

/// Waits (watching, up to two minutes) until the object exists and `condition`
/// holds, and gives it. `what` completes "waiting for NAME: ...".
pub async fn wait_for<K: Kind>(api: &Api<K>, name: &str, what: &str, condition: impl Fn(&K) -> bool) -> K {
    wait_for_within(WITHIN, api, name, what, condition).await
}

/// [`wait_for`] with another bound.
pub async fn wait_for_within<K: Kind>(
    within: Duration,
    api: &Api<K>,
    name: &str,
    what: &str,
    condition: impl Fn(&K) -> bool,
) -> K {
    let states = watch_object(api.clone(), name).default_backoff();
    let met = |state: &Option<K>| state.as_ref().filter(|object| condition(object)).cloned();
    watch_until(within, states, &format!("{name}: {what}"), met).await
}

/// Waits (watching, up to two minutes) until no object of that name exists.
pub async fn wait_gone<K: Kind>(api: &Api<K>, name: &str) {
    let states = watch_object(api.clone(), name).default_backoff();
    watch_until(WITHIN, states, &format!("{name}: gone"), |state: &Option<K>| state.is_none().then_some(())).await;
}

/// Waits (watching, up to two minutes) until `condition` holds for all objects of
/// the kind in the API's namespace, sorted by name, and gives them.
pub async fn wait_for_all<K: Kind>(api: &Api<K>, what: &str, condition: impl Fn(&[K]) -> bool) -> Vec<K> {
    let events = watcher(api.clone(), Config::default()).default_backoff();
    let lists = events.scan((BTreeMap::new(), false), |(objects, complete), event| {
        let list = event.map(|event| {
            fold(objects, complete, event);
            complete.then(|| objects.values().cloned().collect::<Vec<K>>())
        });
        std::future::ready(Some(list))
    });
    let met = |state: &Option<Vec<K>>| state.as_ref().filter(|list| condition(list)).cloned();
    watch_until(WITHIN, lists, what, met).await
}

fn fold<K: Kind>(objects: &mut BTreeMap<String, K>, complete: &mut bool, event: Event<K>) {
    let name = |object: &K| object.meta().name.clone().unwrap_or_default();
    match event {
        Event::Init => {
            objects.clear();
            *complete = false;
        }
        Event::InitApply(object) | Event::Apply(object) => {
            objects.insert(name(&object), object);
        }
        Event::InitDone => *complete = true,
        Event::Delete(object) => {
            objects.remove(&name(&object));
        }
    }
}

async fn watch_until<S: Serialize, T, E: Debug>(
    within: Duration,
    states: impl Stream<Item = Result<S, E>>,
    what: &str,
    met: impl Fn(&S) -> Option<T>,
) -> T {
    let until = Instant::now() + within;
    let mut states = pin!(states);
    let mut last = "nothing".to_owned();
    loop {
        match timeout_at(until, states.next()).await {
            Err(_) | Ok(None) => panic!("after {within:?} still waiting for {what}; last seen:\n{last}"),
            Ok(Some(Err(error))) => last = format!("{error:?}"),
            Ok(Some(Ok(state))) => match met(&state) {
                Some(met) => return met,
                None => last = yaml(&state),
            },
        }
    }
}

/// Asks again and again (every 50 ms, up to two minutes) until `check` is `Ok`, and
/// gives that: for what cannot be watched, such as the cloud's ledger. An
/// `Err` says what was seen instead.
pub async fn eventually<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    what: &str,
    check: impl Fn() -> F,
) -> T {
    eventually_within(WITHIN, what, check).await
}

/// [`eventually`] with another bound.
pub async fn eventually_within<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    within: Duration,
    what: &str,
    check: impl Fn() -> F,
) -> T {
    let until = Instant::now() + within;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(seen) if Instant::now() >= until => panic!("after {within:?} not {what}; last seen: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Checks every 50 ms for as long as `lasting` that `check` stays `Ok`: for
/// what must not happen, such as a write when all is level.
pub async fn holds<E: std::fmt::Display, F: Future<Output = Result<(), E>>>(
    lasting: Duration,
    what: &str,
    check: impl Fn() -> F,
) {
    let (began, until) = (Instant::now(), Instant::now() + lasting);
    while Instant::now() < until {
        if let Err(seen) = check().await {
            panic!("after {:?} no longer {what}; seen: {seen}", began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
