//! One controller's work: which objects to look at, and when. Like kube's, but the same order in every run.

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// Namespace and name.
pub type Name = (String, String);

/// A pass over one object; gives when to come back, None if the object is gone.
pub type Pass = Box<dyn FnMut(Name) -> BoxFuture<'static, Option<Duration>> + Send>;

/// What is waiting, and what is being worked on.
struct Work {
    due: BTreeMap<Name, Instant>,
    running: BTreeSet<Name>,
    passes: FuturesUnordered<BoxFuture<'static, (Name, Option<Duration>)>>,
    pass: Pass,
    limit: usize,
}

impl Work {
    /// The earlier of two times counts, as in kube's scheduler.
    fn want(&mut self, name: Name, at: Instant) {
        let due = self.due.entry(name).or_insert(at);
        *due = (*due).min(at);
    }

    fn start(&mut self) {
        let now = Instant::now();
        let ready: Vec<Name> = self
            .due
            .iter()
            .filter(|(name, at)| **at <= now && !self.running.contains(*name))
            .map(|(name, _)| name.clone())
            .take(self.limit.saturating_sub(self.running.len()))
            .collect();
        for name in ready {
            self.due.remove(&name);
            self.running.insert(name.clone());
            let pass = (self.pass)(name.clone());
            self.passes.push(Box::pin(async move { (name, pass.await) }));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.due.iter().filter(|(name, _)| !self.running.contains(*name)).map(|(_, at)| *at).min()
    }
}

/// Works until it is dropped.
pub async fn work(mut seen: UnboundedReceiver<Name>, mut poked: BoxStream<'static, Name>, limit: u16, pass: Pass) {
    let mut work = Work {
        due: BTreeMap::new(),
        running: BTreeSet::new(),
        passes: FuturesUnordered::new(),
        pass,
        limit: usize::from(limit),
    };
    loop {
        work.start();
        let next = work.next();
        let full = work.running.len() >= work.limit;
        tokio::select! {
            biased;
            Some((name, again)) = work.passes.next(), if !work.passes.is_empty() => {
                work.running.remove(&name);
                if let Some(again) = again {
                    work.want(name, Instant::now() + again);
                }
            }
            Some(name) = seen.recv() => work.want(name, Instant::now()),
            Some(name) = poked.next() => work.want(name, Instant::now()),
            () = sleep_until(next), if !full && next.is_some() => {}
        }
    }
}

async fn sleep_until(next: Option<Instant>) {
    match next {
        Some(next) => tokio::time::sleep_until(next).await,
        None => std::future::pending().await,
    }
}
