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

enum State<T> {
    Unasked,
    Known(Instant, Arc<[T]>),
    Failed(Instant, ProviderError),
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { state: Mutex::new(State::Unasked) }
    }
}

impl<T> Kept<T> {
    /// The list, from memory or by `ask`.
    ///
    /// # Errors
    /// What the last question was answered.
    pub(super) async fn get(
        &self,
        ask: impl Future<Output = Result<Vec<T>, ProviderError>>,
    ) -> Result<Arc<[T]>, ProviderError> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Known(at, list) if at.elapsed() < KEPT => return Ok(Arc::clone(list)),
            State::Failed(at, error) if at.elapsed() < PAUSE => return Err(error.clone()),
            _ => {}
        }
        match ask.await {
            Ok(list) => {
                let list: Arc<[T]> = list.into();
                *state = State::Known(Instant::now(), Arc::clone(&list));
                Ok(list)
            }
            Err(error) => {
                *state = State::Failed(Instant::now(), error.clone());
                Err(error)
            }
        }
    }
}
