//! How long nothing has come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// When a piece of the request's body last came: a long upload is no silence.
#[derive(Debug, Clone)]
pub struct Activity(Arc<Mutex<Instant>>);

impl Activity {
    /// From now on.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// A piece has come.
    pub fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when nothing has come for so long.
    pub async fn silence(&self, limit: Duration) {
        loop {
            let end = self.last() + limit;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_upload_is_no_silence() {
        let activity = Activity::new();
        let uploading = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(40)).await;
                activity.touch();
            }
            Instant::now()
        };
        let silence = async {
            activity.silence(Duration::from_secs(60)).await;
            Instant::now()
        };
        let (last, given_up) = tokio::join!(uploading, silence);
        let waited = given_up - last;
        assert!((60..62).contains(&waited.as_secs()), "{waited:?}");
    }
}
