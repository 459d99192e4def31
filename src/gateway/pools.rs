//! The pools of the namespace, and which of them launches an app.

use super::refused::Refused;
use crate::api::{App, Lean, SandboxPool};
use crate::claims::Fault;
use crate::failure::chain;
use crate::telemetry::readiness::{Check, Readiness};
use futures::{Stream, StreamExt};
use kube::api::{Api, ListParams};
use kube::runtime::watcher::{self, Event};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Name of the check in `/readyz`.
pub const CHECK: &str = "store sandboxpools";

/// Between two lists of the API server.
const LISTED_EVERY: Duration = Duration::from_secs(1);

/// A pool, shared.
pub type Pool = Arc<SandboxPool>;

/// Which pools are asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefer {
    /// Those that hold a warm level (`warm.target` above 0).
    Warm,
    /// Those that hold none.
    Cold,
    /// Whichever comes first by name.
    Any,
}

/// The pools, by name.
#[derive(Debug, Default)]
pub struct Pools(Mutex<BTreeMap<String, Pool>>);

impl Pools {
    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Pool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every pool, by name.
    pub fn all(&self) -> Vec<Pool> {
        self.table().values().cloned().collect()
    }

    /// Follows the watch for as long as it goes on.
    pub async fn fill(
        &self,
        events: impl Stream<Item = Result<Event<Lean<SandboxPool>>, watcher::Error>>,
        readiness: &Readiness,
    ) {
        readiness.set(CHECK, Check::Missing("not read yet".to_owned()));
        let mut events = pin!(events);
        let mut listed = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(pool)) => listed.extend(named(&pool)),
                Ok(Event::InitDone) => {
                    *self.table() = std::mem::take(&mut listed);
                    readiness.set(CHECK, Check::Ok);
                }
                Ok(Event::Apply(pool)) => self.table().extend(named(&pool)),
                Ok(Event::Delete(pool)) => {
                    if let Some((name, _)) = named(&pool) {
                        self.table().remove(&name);
                    }
                }
                Err(error) => tracing::warn!(error = chain(&error), "the watch of pools is begun again"),
            }
        }
    }
}

fn named(pool: &Lean<SandboxPool>) -> Option<(String, Pool)> {
    let pool = pool.0.as_ref().ok()?;
    Some((pool.metadata.name.clone()?, Arc::clone(pool)))
}

/// Asks the API server for the pools of this moment, however many callers want them, once in [`LISTED_EVERY`]: who asks
/// for an app that nobody has must not make it work.
#[derive(Default)]
pub struct Listing(tokio::sync::Mutex<Option<(Instant, Vec<Pool>)>>);

impl Listing {
    /// The pools as they are after this call, by name: somebody may have made one just now.
    ///
    /// # Errors
    /// When the API server cannot be used.
    pub async fn fresh(&self, api: &Api<SandboxPool>) -> Result<Vec<Pool>, Fault> {
        self.since(Instant::now(), async || {
            let mut pools: Vec<Pool> =
                api.list(&ListParams::default()).await?.items.into_iter().map(Arc::new).collect();
            pools.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
            Ok(pools)
        })
        .await
    }

    async fn since(
        &self,
        asked: Instant,
        list: impl AsyncFnOnce() -> Result<Vec<Pool>, Fault>,
    ) -> Result<Vec<Pool>, Fault> {
        let mut last = self.0.lock().await;
        if let Some((begun, pools)) = &*last {
            if *begun >= asked {
                return Ok(pools.clone());
            }
            sleep_until(*begun + LISTED_EVERY).await;
        }
        let begun = Instant::now();
        let pools = list().await?;
        *last = Some((begun, pools.clone()));
        Ok(pools)
    }
}

/// The pool that launches an app, and the app. It depends on specs alone, so that whoever asks again gets the same.
///
/// # Errors
/// When no pool has it, or the one that is asked for has not.
pub fn choose(pools: &[Pool], app: &str, prefer: Prefer, named: Option<&str>) -> Result<(Pool, App), Refused> {
    let of_pool = |pool: &&Pool| named.is_none_or(|name| pool.metadata.name.as_deref() == Some(name));
    let open = |pool: &&Pool| pool.metadata.deletion_timestamp.is_none();
    if let Some(name) = named
        && !pools.iter().any(|pool| of_pool(&pool))
    {
        let names: Vec<&str> = pools.iter().filter_map(|pool| pool.metadata.name.as_deref()).collect();
        return Err(Refused::field("pool", format!("there is no pool {name:?}; there is {}", names.join(", "))));
    }
    let holds = |pool: &SandboxPool| pool.spec.warm.target > 0;
    let rank = |pool: &SandboxPool| match prefer {
        Prefer::Warm => !holds(pool),
        Prefer::Cold => holds(pool),
        Prefer::Any => false,
    };
    let launches = |pool: &Pool| {
        let app = pool.spec.apps.iter().find(|own| own.name == app)?.clone();
        Some((Arc::clone(pool), app))
    };
    let found = pools.iter().filter(of_pool).filter(open).filter_map(launches);
    found.min_by_key(|(pool, _)| (rank(pool), pool.metadata.name.clone())).ok_or_else(|| {
        let apps = pools.iter().filter(of_pool).flat_map(|pool| &pool.spec.apps).map(|app| app.name.clone());
        let apps: std::collections::BTreeSet<String> = apps.collect();
        Refused::UnknownApp { app: app.to_owned(), apps: apps.into_iter().collect() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pool(name: &str, target: i32, apps: &[&str]) -> Pool {
        let apps: Vec<_> = apps.iter().map(|name| json!({"name": name, "run": "true"})).collect();
        Arc::new(
            serde_json::from_value(json!({
                "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": name},
                "spec": {"provider": {}, "warm": {"target": target}, "apps": apps,
                    "image": {"registryType": "DOCR", "repository": "sandbox", "tag": "1"}},
            }))
            .expect("a pool"),
        )
    }

    fn chosen(pools: &[Pool], app: &str, prefer: Prefer, named: Option<&str>) -> Result<String, Refused> {
        choose(pools, app, prefer, named).map(|(pool, _)| pool.metadata.name.clone().unwrap_or_default())
    }

    #[test]
    fn the_pool_is_the_first_by_name_of_those_that_were_asked_for() {
        let pools =
            [pool("a", 0, &["snake"]), pool("b", 2, &["snake", "memory"]), pool("c", 1, &["snake"]), pool("d", 0, &[])];
        assert_eq!(chosen(&pools, "snake", Prefer::Warm, None).ok().as_deref(), Some("b"));
        assert_eq!(chosen(&pools, "snake", Prefer::Cold, None).ok().as_deref(), Some("a"));
        assert_eq!(chosen(&pools, "snake", Prefer::Any, None).ok().as_deref(), Some("a"));
        assert_eq!(chosen(&pools, "memory", Prefer::Cold, None).ok().as_deref(), Some("b"), "better than none");
        assert_eq!(chosen(&pools, "snake", Prefer::Warm, Some("a")).ok().as_deref(), Some("a"));
    }

    #[test]
    fn what_no_pool_has_is_refused_with_what_there_is() {
        let pools = [pool("a", 0, &["snake"]), pool("b", 2, &["snake", "memory"])];
        let error = chosen(&pools, "chess", Prefer::Any, None).expect_err("no such app").to_string();
        assert_eq!(error, "there is no app chess; there is memory, snake");
        let error = chosen(&pools, "memory", Prefer::Any, Some("a")).expect_err("not in this one").to_string();
        assert_eq!(error, "there is no app memory; there is snake");
        let error = chosen(&pools, "snake", Prefer::Any, Some("z")).expect_err("no such pool").to_string();
        assert_eq!(error, "pool: there is no pool \"z\"; there is a, b");
        let error = chosen(&[], "snake", Prefer::Any, None).expect_err("nothing").to_string();
        assert_eq!(error, "there is no app snake; there are none: no pool has spec.apps");
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_the_api_server_is_asked_once_a_second() {
        let (listing, lists) = (Listing::default(), std::cell::Cell::new(0));
        let ask = async || {
            let list = async || {
                lists.set(lists.get() + 1);
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(vec![pool("python", lists.get(), &[])])
            };
            listing.since(Instant::now(), list).await.expect("pools")[0].spec.warm.target
        };
        let begin = Instant::now();
        assert_eq!(ask().await, 1);
        let crowd = futures::future::join_all((0..1000).map(|_| ask())).await;
        assert!(crowd.iter().all(|seen| *seen == 2), "nobody gets a list that is older than the question");
        assert!(lists.get() == 2 && begin.elapsed() >= LISTED_EVERY);
        assert_eq!(ask().await, 3);
        assert!(begin.elapsed() >= LISTED_EVERY * 2);
    }
}
