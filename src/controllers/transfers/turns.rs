//! Who may move files now: a few at once, and of one namespace only some of them, so that no namespace's holders keep
//! all others waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Transfers at once: each holds some pieces of an archive in memory (up to 20 MiB).
const AT_ONCE: usize = 4;
/// Of one namespace. Its others wait among themselves and not for the operator, so that whoever comes from another
/// namespace waits for no more than two transfers of each namespace before it.
const OF_ONE: usize = 2;

/// Turns of the whole operator.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    namespaces: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// One transfer's turn, as long as it is kept.
pub(super) struct Turn {
    // In this order: whoever waits for the namespace finds the operator's turn free.
    _of_all: Option<OwnedSemaphorePermit>,
    _of_namespace: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(AT_ONCE)), namespaces: Mutex::default() }
    }
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self, namespace: &str) -> Turn {
        // Nobody closes them: an error would only mean that nothing is bounded any more.
        let of_namespace = self.of(namespace).acquire_owned().await.ok();
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok();
        Turn { _of_all: of_all, _of_namespace: of_namespace }
    }

    fn of(&self, namespace: &str) -> Arc<Semaphore> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        // A turn and whoever waits for one hold their namespace.
        namespaces.retain(|_, turns| Arc::strong_count(turns) > 1);
        Arc::clone(namespaces.entry(namespace.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_second_namespace_is_served_while_the_first_has_a_queue() {
        let turns = Turns::default();
        let first = [turns.take("a").await, turns.take("a").await];
        let mut queue: Vec<_> = (0..10).map(|_| Box::pin(turns.take("a"))).collect();
        assert!(queue.iter_mut().all(|waiting| waiting.now_or_never().is_none()), "one namespace has not all of them");
        let second = [turns.take("b").now_or_never(), turns.take("b").now_or_never()];
        assert!(second.iter().all(Option::is_some));
        let mut third = Box::pin(turns.take("c"));
        assert!((&mut third).now_or_never().is_none(), "there are so many at once");
        drop(first);
        let third = third.now_or_never();
        assert!(third.is_some(), "whoever comes from elsewhere is next");
        let next: Vec<_> = queue.iter_mut().map(|waiting| waiting.now_or_never()).collect();
        assert_eq!(next.iter().filter(|turn| turn.is_some()).count(), 1, "and then the queue goes on");
    }

    #[tokio::test]
    async fn a_namespace_without_transfers_is_forgotten() {
        let turns = Turns::default();
        let one = turns.take("a").await;
        let two = turns.take("b").await;
        assert_eq!(turns.namespaces.lock().expect("no panic").len(), 2);
        drop((one, two));
        drop(turns.take("c").await);
        assert_eq!(turns.namespaces.lock().expect("no panic").keys().collect::<Vec<_>>(), ["c"]);
    }
}
