//! How many runs may be launched within an hour, in all and by one caller. They are counted from the requests that
//! exist, so that nobody gains anything by a restart, or by asking another gateway.

use super::refused::Refused;
use super::runs::Runs;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is counted goes back so far; ended requests are kept as long.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// A launch that nobody has seen after so long never became a request.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// The limits; None = as many as anybody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub in_all: Option<u32>,
    /// By one caller.
    pub per_caller: Option<u32>,
}

/// Counts launches.
#[derive(Debug, Default)]
pub struct Quota {
    limits: Limits,
    /// Those of this process.
    fresh: Mutex<Vec<Launch>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Launch {
    id: String,
    holder: String,
    at: Timestamp,
    /// It became a request, which counts also when it is gone before it has held anything.
    seen: bool,
}

impl Quota {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, fresh: Mutex::default() }
    }

    fn fresh(&self) -> MutexGuard<'_, Vec<Launch>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place within the limits. [`Self::give_back`] it when nothing came of it.
    ///
    /// # Errors
    /// When there is none, with the seconds until there is.
    pub fn take(&self, runs: &Runs, id: &str, holder: &str, now: Timestamp) -> Result<(), Refused> {
        if self.limits == Limits::default() {
            return Ok(());
        }
        let mut fresh = self.fresh();
        fresh.iter_mut().for_each(|launch| launch.seen |= runs.get(&launch.id).is_some());
        fresh.retain(|launch| now.duration_since(launch.at) < if launch.seen { HOUR } else { SEEN_WITHIN });
        let seen = runs.all().into_iter().filter(|run| !run.member);
        let mut launches: Vec<(String, Timestamp)> = seen.map(|run| (run.holder.clone(), run.created)).collect();
        let unseen = fresh.iter().filter(|launch| runs.get(&launch.id).is_none());
        launches.extend(unseen.map(|launch| (launch.holder.clone(), launch.at)));
        launches.retain(|(_, at)| now.duration_since(*at) < HOUR);
        let own = launches.iter().filter(|(of, _)| of == holder).map(|(_, at)| *at).collect();
        room("you have", self.limits.per_caller, own, now)?;
        room("all callers together have", self.limits.in_all, launches.iter().map(|(_, at)| *at).collect(), now)?;
        fresh.push(Launch { id: id.to_owned(), holder: holder.to_owned(), at: now, seen: false });
        Ok(())
    }

    /// It was launched, and is being ended.
    pub fn ends(&self, id: &str) {
        self.fresh().iter_mut().filter(|launch| launch.id == id).for_each(|launch| launch.seen = true);
    }

    /// Nothing was launched.
    pub fn give_back(&self, id: &str) {
        self.fresh().retain(|launch| launch.id != id);
    }
}

/// Whether one more fits; if not, when one does.
fn room(whose: &'static str, limit: Option<u32>, mut at: Vec<Timestamp>, now: Timestamp) -> Result<(), Refused> {
    let Some(limit) = limit else { return Ok(()) };
    let allowed = usize::try_from(limit).unwrap_or(usize::MAX);
    if at.len() < allowed {
        return Ok(());
    }
    at.sort_unstable();
    // As soon as this one is an hour old there are fewer than allowed.
    let leaves = at.get(at.len() - allowed).copied().unwrap_or(now);
    let left = HOUR - now.duration_since(leaves);
    let after = u64::try_from(left.as_secs()).unwrap_or_default() + 1;
    Err(Refused::Limited { whose, limit, after })
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::request;
    use super::*;
    use crate::api::Lean;
    use crate::telemetry::readiness::Readiness;
    use futures::stream;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::runtime::watcher::Event;
    use serde_json::json;
    use std::sync::Arc;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().expect("a time")
    }

    /// Runs of ada, made so many minutes ago.
    async fn runs(minutes: &[i64]) -> Runs {
        let runs = Runs::default();
        let seen = |minutes: &i64| {
            let mut sandbox = request(&format!("run-{minutes}"), json!({}));
            sandbox.metadata.creation_timestamp = Some(Time(now() - SignedDuration::from_mins(*minutes)));
            Ok(Event::Apply(Lean(Ok(Arc::new(sandbox)))))
        };
        runs.fill(stream::iter(minutes.iter().map(seen).collect::<Vec<_>>()), &Readiness::new()).await;
        runs
    }

    fn after(result: Result<(), Refused>) -> Option<u64> {
        match result {
            Ok(()) => None,
            Err(Refused::Limited { after, .. }) => Some(after),
            Err(other) => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn a_restart_forgets_no_launch_of_the_last_hour() {
        let runs = runs(&[10, 50, 61]).await;
        let quota = |in_all, per_caller| Quota::new(Limits { in_all, per_caller });
        assert_eq!(after(quota(None, Some(3)).take(&runs, "new", "ada", now())), None);
        assert_eq!(after(quota(None, Some(2)).take(&runs, "new", "ada", now())), Some(601), "the older one leaves");
        assert_eq!(after(quota(None, Some(1)).take(&runs, "new", "ada", now())), Some(3001), "both have to leave");
        assert_eq!(after(quota(None, Some(2)).take(&runs, "new", "bob", now())), None);
        assert_eq!(after(quota(Some(2), None).take(&runs, "new", "bob", now())), Some(601));
    }

    #[tokio::test]
    async fn launches_that_were_not_seen_yet_count_and_failed_ones_do_not() {
        let (runs, quota) = (runs(&[]).await, Quota::new(Limits { in_all: Some(2), per_caller: None }));
        assert_eq!(after(quota.take(&runs, "a", "ada", now())), None);
        assert_eq!(after(quota.take(&runs, "b", "ada", now())), None);
        assert_eq!(after(quota.take(&runs, "c", "ada", now())), Some(3601));
        quota.give_back("b");
        assert_eq!(after(quota.take(&runs, "c", "ada", now())), None);
        let later = now() + SignedDuration::from_mins(2);
        assert_eq!(after(quota.take(&runs, "d", "ada", later)), None, "nobody ever saw those");
    }
}
