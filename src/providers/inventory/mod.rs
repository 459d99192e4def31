//! The inventory: one shared listing per account that feeds every controller.
//!
//! An account is listed while somebody wants it, often while something is in
//! flight there, rarely when it is level. A listing that failed changes
//! nothing: the old view stays and grows old, and whoever decides looks at
//! when it began.

mod lister;
mod schedule;
mod view;

pub use schedule::Urgency;
pub use view::{AccountView, Change};

use self::lister::Lister;
use super::{Account, Provider, ProviderError, Timing};
use futures::Stream;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Every account's newest listing. Clones share everything; listing ends with
/// the last clone.
#[derive(Clone)]
pub struct Inventory {
    shared: Arc<Shared>,
}

struct Shared {
    installation: String,
    timing: Timing,
    accounts: Mutex<HashMap<Account, Arc<Lister>>>,
    news: Arc<News>,
}

/// Who wants to hear of new listings. Unbounded, so that nothing is lost; what
/// waits is bounded by what the clouds contain.
#[derive(Default)]
struct News {
    changes: Mutex<Vec<mpsc::UnboundedSender<Change>>>,
    listings: Mutex<Vec<mpsc::UnboundedSender<Account>>>,
    turns: Mutex<Vec<mpsc::UnboundedSender<Account>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn subscribe<T>(subscribers: &Mutex<Vec<mpsc::UnboundedSender<T>>>) -> impl Stream<Item = T> + Send + use<T>
where
    T: Send + 'static,
{
    let (sender, receiver) = mpsc::unbounded_channel();
    lock(subscribers).push(sender);
    futures::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

fn publish<T: Clone>(subscribers: &Mutex<Vec<mpsc::UnboundedSender<T>>>, item: &T) {
    lock(subscribers).retain(|subscriber| subscriber.send(item.clone()).is_ok());
}

impl Inventory {
    /// An empty inventory; `installation` says which instances are ours.
    pub fn new(installation: &str, timing: &Timing) -> Self {
        let shared = Shared {
            installation: installation.to_owned(),
            timing: timing.clone(),
            accounts: Mutex::default(),
            news: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Says that somebody needs this account. Call it in every reconcile that
    /// looks at the account: accounts that nobody wanted for ten minutes are
    /// dropped. The newest `provider` handle is the one that lists. Must be
    /// called within a tokio runtime.
    pub fn want(&self, account: &Account, provider: Arc<dyn Provider>, urgency: Urgency) {
        let mut accounts = lock(&self.shared.accounts);
        accounts.retain(|_, lister| !lister.is_over());
        match accounts.get(account) {
            Some(lister) => lister.want(provider, urgency),
            None => {
                let lister = Lister::start(account.clone(), provider, urgency, &self.shared);
                accounts.insert(account.clone(), lister);
            }
        }
    }

    /// The newest complete listing; None before the first one.
    pub fn view(&self, account: &Account) -> Option<Arc<AccountView>> {
        self.lister(account)?.views().newest
    }

    /// Whether two complete listings that both began after `after` agree that
    /// no instance has this name. One half of the proof that a create made
    /// nothing (architecture: Absent, case c).
    pub fn absent_since(&self, account: &Account, name: &str, after: Instant) -> bool {
        let Some(lister) = self.lister(account) else { return false };
        let views = lister.views();
        let newest = views.newest.is_some_and(|view| view.listing.began > after && view.by_name(name).is_none());
        newest && views.previous.is_some_and(|view| view.began > after && !view.has(name))
    }

    /// Why the newest try to list failed; None if it did not.
    pub fn last_error(&self, account: &Account) -> Option<ProviderError> {
        self.lister(account)?.last_error()
    }

    /// Accounts that are listed now.
    pub fn accounts(&self) -> Vec<Account> {
        lock(&self.shared.accounts).keys().cloned().collect()
    }

    /// Sandboxes of this installation whose instance appeared, disappeared, or
    /// changed its phase, address or deployment, from now on.
    pub fn changes(&self) -> impl Stream<Item = Change> + Send + use<> {
        subscribe(&self.shared.news.changes)
    }

    /// Accounts of which a new complete listing is there, from now on.
    pub fn listings(&self) -> impl Stream<Item = Account> + Send + use<> {
        subscribe(&self.shared.news.listings)
    }

    /// Accounts whose listings begin to fail, fail for another reason, or work again, from now on.
    pub fn turns(&self) -> impl Stream<Item = Account> + Send + use<> {
        subscribe(&self.shared.news.turns)
    }

    fn lister(&self, account: &Account) -> Option<Arc<Lister>> {
        lock(&self.shared.accounts).get(account).cloned()
    }
}

#[cfg(test)]
#[path = "inventory_tests.rs"]
mod tests;
