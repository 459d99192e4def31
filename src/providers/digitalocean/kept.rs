//! A list of the provider's that changes rarely.

use crate::providers::ProviderError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Sizes, prices and regions change rarely.
const KEPT: Duration = Duration::from_secs(6 * 3_600);

/// After a failure nobody is asked for so long: no such list is urgent.
const PAUSE: Duration = Duration::from_secs(60);

/// A list that is asked for once in a while, by one asker at a time.
pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    /// The last list, and when it was read.
    known: Option<(Instant, Arc<[T]>)>,
    /// The last question failed.
    failed: Option<(Instant, ProviderError)>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { known: None, failed: None }) }
    }
}

impl<T> Kept<T> {
    /// The list, from memory or by `ask`. An old list is better than none: it is served until a question succeeds.
    ///
    /// # Errors
    /// What the last question was answered, where no list was ever read.
    pub(super) async fn get(
        &self,
        ask: impl Future<Output = Result<Vec<T>, ProviderError>>,
    ) -> Result<Arc<[T]>, ProviderError> {
        let mut state = self.state.lock().await;
        let old = state.known.as_ref().map(|(_, list)| Arc::clone(list));
        match &*state {
            State { known: Some((at, list)), .. } if at.elapsed() < KEPT => return Ok(Arc::clone(list)),
            State { failed: Some((at, error)), .. } if at.elapsed() < PAUSE => return old.ok_or_else(|| error.clone()),
            _ => {}
        }
        match ask.await {
            Ok(list) => {
                let list: Arc<[T]> = list.into();
                *state = State { known: Some((Instant::now(), Arc::clone(&list))), failed: None };
                Ok(list)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.clone()));
                old.ok_or(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::http::unknown;
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn an_old_list_outlives_a_hiccup_and_is_asked_for_again() {
        let kept = Kept::<i32>::default();
        let calls = Cell::new(0);
        let fails = || async {
            calls.set(calls.get() + 1);
            Err(unknown("sizes", "hiccup".to_owned()))
        };
        assert!(kept.get(fails()).await.is_err(), "without any list there is none");
        tokio::time::advance(PAUSE).await;
        kept.get(async { Ok(vec![1]) }).await.expect("a list");
        tokio::time::advance(KEPT).await;
        for _ in 0..3 {
            assert_eq!(*kept.get(fails()).await.expect("the old list"), [1]);
        }
        assert_eq!(calls.get(), 2, "once before the list, once after it grew old, then a pause");
        tokio::time::advance(PAUSE).await;
        assert_eq!(*kept.get(async { Ok(vec![2]) }).await.expect("a new list"), [2]);
    }
}
