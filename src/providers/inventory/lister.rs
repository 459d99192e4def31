//! The task that lists one account.

use super::schedule::{Schedule, Urgency};
use super::view::{AccountView, Previous, changes};
use super::{News, Shared, lock, publish};
use crate::api::hash_share;
use crate::providers::{Account, Listing, Provider, ProviderError};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// The last two complete listings.
#[derive(Clone, Default)]
pub(super) struct Views {
    pub newest: Option<Arc<AccountView>>,
    pub previous: Option<Arc<Previous>>,
}

/// One account's listings: what is known, and the task that learns it.
pub(super) struct Lister {
    state: Arc<State>,
    task: AbortOnDropHandle<()>,
}

struct State {
    account: Account,
    installation: String,
    news: Arc<News>,
    sooner: Notify,
    inner: Mutex<Inner>,
}

struct Inner {
    provider: Arc<dyn Provider>,
    schedule: Schedule,
    views: Views,
    last_error: Option<ProviderError>,
}

impl Lister {
    pub(super) fn start(account: Account, provider: Arc<dyn Provider>, urgency: Urgency, shared: &Shared) -> Arc<Self> {
        let now = Instant::now();
        let mut schedule = Schedule::new(&shared.timing, now);
        schedule.want(urgency, now);
        let inner = Inner { provider, schedule, views: Views::default(), last_error: None };
        let state = Arc::new(State {
            account,
            installation: shared.installation.clone(),
            news: shared.news.clone(),
            sooner: Notify::new(),
            inner: Mutex::new(inner),
        });
        let task = AbortOnDropHandle::new(tokio::spawn(run(state.clone())));
        Arc::new(Self { state, task })
    }

    pub(super) fn want(&self, provider: Arc<dyn Provider>, urgency: Urgency) {
        let mut inner = lock(&self.state.inner);
        let rotated = !Arc::ptr_eq(&inner.provider, &provider);
        inner.provider = provider;
        let sooner = inner.schedule.want(urgency, Instant::now());
        if sooner || rotated {
            self.state.sooner.notify_one();
        }
    }

    /// Whether its task ended: nobody wanted the account, or it died.
    pub(super) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    pub(super) fn views(&self) -> Views {
        lock(&self.state.inner).views.clone()
    }

    pub(super) fn last_error(&self) -> Option<ProviderError> {
        lock(&self.state.inner).last_error.clone()
    }
}

/// What to do now.
enum Step {
    End,
    WaitUntil(Instant),
    List(Arc<dyn Provider>),
}

async fn run(state: Arc<State>) {
    loop {
        match state.next(Instant::now()) {
            Step::End => return,
            Step::WaitUntil(due) => {
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    () = state.sooner.notified() => {}
                }
            }
            Step::List(provider) => {
                let result = provider.list().await;
                state.take_in(result);
            }
        }
    }
}

impl State {
    fn next(&self, now: Instant) -> Step {
        let mut inner = lock(&self.inner);
        if inner.schedule.is_forgotten(now) {
            return Step::End;
        }
        let due = inner.schedule.due(now);
        if due > now {
            return Step::WaitUntil(due);
        }
        inner.schedule.started(now);
        Step::List(inner.provider.clone())
    }

    fn take_in(&self, result: Result<Listing, ProviderError>) {
        match result {
            Ok(listing) => {
                let (changes, turned) = self.succeed(listing);
                for change in changes {
                    publish(&self.news.changes, &change);
                }
                publish(&self.news.listings, &self.account);
                if turned {
                    publish(&self.news.turns, &self.account);
                }
            }
            Err(error) => {
                tracing::warn!(account = %self.account, class = error.class.label(), %error, "listing failed");
                if self.fail(error) {
                    publish(&self.news.turns, &self.account);
                }
            }
        }
    }

    /// Takes the failure in; true if it is another than before.
    fn fail(&self, error: ProviderError) -> bool {
        // By account, not by chance: a simulation must run twice the same.
        let jitter = hash_share(&format!("{}/{}", self.installation, self.account));
        let mut inner = lock(&self.inner);
        inner.schedule.failed(&error, Instant::now(), jitter);
        let before = inner.last_error.as_ref().map(|before| before.class.label());
        let turned = before != Some(error.class.label());
        inner.last_error = Some(error);
        turned
    }

    /// Takes the new view in, before anybody hears of it. Says whether listings failed before.
    fn succeed(&self, listing: Listing) -> (Vec<super::Change>, bool) {
        let mut inner = lock(&self.inner);
        inner.schedule.succeeded(listing.pages);
        let turned = inner.last_error.take().is_some();
        let older = inner.views.newest.take();
        let previous_began = older.as_ref().map(|view| view.listing.began);
        let newer = Arc::new(AccountView::new(listing, previous_began, &self.installation));
        let changes = changes(older.as_deref(), &newer);
        inner.views = Views { newest: Some(newer), previous: older.map(|older| Arc::new(Previous::of(&older))) };
        (changes, turned)
    }
}
