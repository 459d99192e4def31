//! Writes that can wait: a crowd of claimers must not find the API server busy
//! with statuses and Events that nobody is waiting for.

use super::ticks::Ticks;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Admits follow-up writes through a few lanes; a lane rests after each write
/// for a multiple of the time that the write took. So follow-ups slow down
/// with the API server: of `n` claimers writing as fast as they can, they take
/// the share `lanes / (1 + rest) / n`, and nothing is felt when it is idle.
/// Urgent writes (a claim's binding, an attempt, a finalizer) do not ask.
/// Clones share the gate.
#[derive(Clone, Debug)]
pub struct FollowUps {
    ticks: Ticks,
    lanes: Arc<Semaphore>,
    rest: u32,
    next: Arc<Mutex<Vec<Duration>>>,
}

/// A lane rests no longer than this.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Leave to make one follow-up write; the time until it is dropped counts.
#[derive(Debug)]
pub struct Turn<'gate> {
    gate: &'gate FollowUps,
    started: Duration,
    _lane: Option<SemaphorePermit<'gate>>,
}

impl FollowUps {
    /// A gate with so many `lanes` (writes at the same time, at least one),
    /// each resting `rest` times as long as it wrote.
    pub fn new(ticks: Ticks, lanes: usize, rest: u32) -> Self {
        let lanes = lanes.max(1);
        let next = Arc::new(Mutex::new(vec![Duration::ZERO; lanes]));
        Self { ticks, lanes: Arc::new(Semaphore::new(lanes)), rest, next }
    }

    /// A fifth of what ten claimers write: four lanes that rest as long as
    /// they write.
    pub fn standard(ticks: Ticks) -> Self {
        Self::new(ticks, 4, 1)
    }

    /// Waits for a turn, first come first served. Hold it while writing.
    pub async fn turn(&self) -> Turn<'_> {
        // It only fails when closed, which nobody does.
        let lane = self.lanes.acquire().await.ok();
        let free_at = self.free_lanes().pop().unwrap_or_default();
        let wait = free_at.saturating_sub(self.ticks.now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Turn { gate: self, started: self.ticks.now(), _lane: lane }
    }

    /// The moments from which each unused lane may be used, the earliest last.
    fn free_lanes(&self) -> std::sync::MutexGuard<'_, Vec<Duration>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self, started: Duration) {
        let now = self.ticks.now();
        let free_at = now + (now.saturating_sub(started) * self.rest).min(LONGEST_REST);
        let mut lanes = self.free_lanes();
        lanes.push(free_at);
        lanes.sort_unstable_by(|left, right| right.cmp(left));
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.gate.done(self.started);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::time::Instant;

    #[tokio::test]
    async fn no_more_writes_at_a_time_than_lanes() {
        let gate = FollowUps::new(Ticks::manual(), 2, 0);
        let one = gate.turn().now_or_never().expect("the first lane is free");
        let _two = gate.turn().now_or_never().expect("the second lane is free");
        assert!(gate.turn().now_or_never().is_none(), "a third lane");
        drop(one);
        assert!(gate.turn().now_or_never().is_some(), "the lane is not given back");
    }

    #[tokio::test]
    async fn a_lane_rests_a_multiple_of_what_its_write_took() {
        let ticks = Ticks::manual();
        let gate = FollowUps::new(ticks.clone(), 1, 4);
        let turn = gate.turn().await;
        ticks.advance(Duration::from_millis(10));
        drop(turn);
        let asked = Instant::now();
        drop(gate.turn().await);
        assert!(asked.elapsed() >= Duration::from_millis(40), "rested only {:?}", asked.elapsed());
    }

    #[tokio::test]
    async fn a_slow_write_delays_the_next_by_a_second_at_most() {
        let ticks = Ticks::manual();
        let gate = FollowUps::new(ticks.clone(), 1, 4);
        let turn = gate.turn().await;
        ticks.advance(Duration::from_secs(30));
        drop(turn);
        ticks.advance(LONGEST_REST);
        assert!(gate.turn().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_takes_no_lane_with_him() {
        let ticks = Ticks::manual();
        let gate = FollowUps::new(ticks.clone(), 1, 1);
        let turn = gate.turn().await;
        ticks.advance(Duration::from_millis(500));
        drop(turn);
        assert!(gate.turn().now_or_never().is_none());
        ticks.advance(Duration::from_millis(500));
        assert!(gate.turn().now_or_never().is_some());
    }
}
