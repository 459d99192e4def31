//! Where a run's app can be opened in a browser: a link to its sandbox, signed with the agent's token, that holds until
//! the run expires. Its holder is told it, and whoever may use its apps; nobody needs to read Secrets for that.

use super::run::{Run, State};
use super::way::Ways;
use crate::agent::link::mint;
use crate::failure::chain;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for what a link is made from; without it the run is shown without one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Links that are remembered at once.
const REMEMBERED: usize = 4096;
/// Links that are made at once.
const AT_ONCE: usize = 16;

/// A link, and what it was made from: an instance that woke has another address.
#[derive(Clone)]
struct Made {
    expires: Timestamp,
    url: String,
    link: String,
}

/// Makes links, each once.
pub struct Links {
    ways: Arc<Ways>,
    made: Mutex<HashMap<String, Made>>,
}

impl Links {
    /// To where these ways lead.
    pub fn new(ways: Arc<Ways>) -> Self {
        Self { ways, made: Mutex::default() }
    }

    /// The link to the app of this run, while it is up.
    pub async fn of(&self, run: &Run) -> Option<String> {
        if run.state != State::Running || run.is_over() {
            return None;
        }
        run.app.as_ref()?;
        let uid = run.bound.as_ref().map_or(&run.uid, |bound| &bound.uid);
        let (expires, url) = (run.expires?, run.url.clone()?);
        let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(uid).cloned();
        if let Some(made) = known.filter(|made| made.expires == expires && made.url == url) {
            return Some(made.link);
        }
        let link = tokio::time::timeout(PATIENCE, self.make(run, &url, expires)).await.ok().flatten()?;
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(uid.clone(), Made { expires, url, link: link.clone() });
        Some(link)
    }

    /// The same for several, in their order.
    pub async fn of_all(&self, runs: &[Arc<Run>]) -> Vec<Option<String>> {
        let each: Vec<_> = runs.iter().map(|run| self.of(run)).collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }

    async fn make(&self, run: &Run, url: &str, expires: Timestamp) -> Option<String> {
        let told =
            |error: &dyn std::error::Error| tracing::warn!(run = run.id, error = chain(error), "no link can be made");
        let way = self.ways.to(run).await.inspect_err(|error| told(error)).ok()?;
        let link = mint(url, way.token(), way.app?.port, expires).inspect_err(|error| told(error)).ok()?;
        Some(link.into())
    }
}
