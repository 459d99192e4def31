//! The API server's clock, read from the `Date` header of its answers.
//!
//! Deadlines stand in objects and are written by whoever leads; two leaders
//! with different wall clocks must not disagree about them. So the operator
//! tells time as the API server does: local monotonic time plus an offset.
//!
//! `Date` has whole seconds. An answer with `Date: D`, asked at `s` and got at
//! `r`, was made between `s` and `r`, when the server's clock stood between
//! `D` and `D + 1 s`; so the offset lies in `[D - r, D + 1 s - s]`. Every
//! answer narrows that interval, which in turn grows slowly for clock drift.

use super::ticks::Ticks;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An answer further than this from the estimate is not believed at once: one
/// odd proxy must not expire every claim.
const DISSENT_ABOVE: i128 = 5_000_000_000;
/// So many such answers in a row are believed.
const DISSENTERS: u32 = 3;
/// Quartz drifts by less than 200 ppm.
const DRIFT_PER_MILLION: i128 = 200;

/// The API server's time as far as it is known. Clones share what they learn.
#[derive(Clone, Debug)]
pub struct ServerClock {
    ticks: Ticks,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    offset: Option<Offset>,
    dissenters: u32,
    last: Option<Timestamp>,
}

/// Server time minus ticks, in nanoseconds, as an interval.
#[derive(Clone, Copy, Debug)]
struct Offset {
    low: i128,
    high: i128,
    at: Duration,
}

impl Offset {
    /// The offset that one answer with this `Date` allows.
    fn sample(date: Timestamp, sent: Duration, received: Duration) -> Self {
        let date = date.as_nanosecond();
        Self { low: date - nanos(received), high: date + 1_000_000_000 - nanos(sent), at: received }
    }

    fn middle(self) -> i128 {
        i128::midpoint(self.low, self.high)
    }

    /// What is still true of this interval at a later time.
    fn aged(self, now: Duration) -> Self {
        let drift = nanos(now.saturating_sub(self.at)) * DRIFT_PER_MILLION / 1_000_000;
        Self { low: self.low - drift, high: self.high + drift, at: now }
    }

    fn intersect(self, other: Self) -> Option<Self> {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        (low <= high).then_some(Self { low, high, at: other.at })
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

impl ServerClock {
    /// A clock that has seen no answer yet.
    pub fn new(ticks: Ticks) -> Self {
        Self { ticks, state: Arc::default() }
    }

    /// The monotonic clock below.
    pub fn ticks(&self) -> &Ticks {
        &self.ticks
    }

    /// The API server's time, up to a second behind, less after many answers,
    /// and never ahead: no deadline is over before it is over there (S7). From
    /// the first answer on it never goes backwards: it stands still until a
    /// server that was set back has caught up. Before the first answer it is
    /// the local wall clock.
    pub fn now(&self) -> Timestamp {
        let mut state = self.state();
        let Some(offset) = state.offset else { return self.ticks.wall() };
        let estimate = Timestamp::from_nanosecond(nanos(self.ticks.now()) + offset.low);
        let now = match (estimate, state.last) {
            (Ok(estimate), Some(last)) => estimate.max(last),
            (Ok(estimate), None) => estimate,
            (Err(_), last) => last.unwrap_or_else(|| self.ticks.wall()),
        };
        state.last = Some(now);
        now
    }

    /// How far the local wall clock is ahead of the API server's (negative:
    /// behind). Zero before the first answer.
    pub fn skew(&self) -> SignedDuration {
        let offset = self.state().offset;
        offset.map_or(SignedDuration::ZERO, |offset| {
            let server = nanos(self.ticks.now()) + offset.middle();
            SignedDuration::from_nanos_i128(self.ticks.wall().as_nanosecond() - server)
        })
    }

    /// Learns from one answer. `sent` and `received` are readings of
    /// [`ticks`](Self::ticks) around the exchange. Answers without a readable
    /// `Date` teach nothing.
    pub fn learn(&self, headers: &HeaderMap, sent: Duration, received: Duration) {
        let date = headers.get(http::header::DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
        if let Some(date) = date {
            self.learn_date(date, sent, received);
        }
    }

    fn learn_date(&self, date: Timestamp, sent: Duration, received: Duration) {
        let sample = Offset::sample(date, sent, received);
        let mut state = self.state();
        let Some(known) = state.offset.map(|known| known.aged(received.max(known.at))) else {
            state.offset = Some(sample);
            return;
        };
        if let Some(narrowed) = known.intersect(sample) {
            state.offset = Some(narrowed);
            state.dissenters = 0;
            return;
        }
        // Not one clock: another API server, or a clock that was set.
        state.dissenters += 1;
        let near = (known.middle() - sample.middle()).abs() <= DISSENT_ABOVE;
        if near || state.dissenters >= DISSENTERS {
            state.offset = Some(sample);
            state.dissenters = 0;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_900_000_000;

    /// A server whose clock reads `START + offset_ms` at tick zero.
    struct Server {
        ticks: Ticks,
        offset_ms: i64,
    }

    impl Server {
        fn time(&self) -> Timestamp {
            let millis = START * 1000 + self.offset_ms + i64::try_from(self.ticks.now().as_millis()).unwrap();
            Timestamp::from_millisecond(millis).unwrap()
        }

        /// One exchange with 20 ms each way.
        fn answer(&self, clock: &ServerClock) {
            let sent = self.ticks.now();
            self.ticks.advance(Duration::from_millis(20));
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&self.time()).unwrap();
            self.ticks.advance(Duration::from_millis(20));
            let mut headers = HeaderMap::new();
            headers.insert(http::header::DATE, date.parse().unwrap());
            clock.learn(&headers, sent, self.ticks.now());
        }
    }

    fn world(offset_ms: i64) -> (Server, ServerClock) {
        let ticks = Ticks::manual();
        (Server { ticks: ticks.clone(), offset_ms }, ServerClock::new(ticks))
    }

    /// How far the clock is behind the server's; negative when it is ahead.
    fn behind_ms(server: &Server, clock: &ServerClock) -> i128 {
        (server.time().as_nanosecond() - clock.now().as_nanosecond()) / 1_000_000
    }

    fn assert_behind(server: &Server, clock: &ServerClock, at_most: i128) {
        let behind = behind_ms(server, clock);
        assert!((0..=at_most).contains(&behind), "{behind} ms behind");
    }

    #[test]
    fn before_the_first_answer_it_is_the_local_clock() {
        let (_, clock) = world(0);
        let before = Timestamp::now();
        let now = clock.now();
        assert!(before <= now && now <= Timestamp::now());
        assert_eq!(clock.skew(), SignedDuration::ZERO);
    }

    #[test]
    fn it_is_a_second_behind_after_one_answer_and_a_fraction_after_many_and_never_ahead_s7() {
        for offset_ms in [0, 1, 499, 500, 999, 12_345] {
            let (server, clock) = world(offset_ms);
            server.answer(&clock);
            assert_behind(&server, &clock, 1040);
            for _ in 0..200 {
                server.ticks.advance(Duration::from_millis(730));
                server.answer(&clock);
                assert_behind(&server, &clock, 1040);
            }
            assert_behind(&server, &clock, 90);
        }
    }

    #[test]
    fn it_never_goes_backwards() {
        let (mut server, clock) = world(0);
        let mut last = Timestamp::MIN;
        for step in 0..300 {
            server.answer(&clock);
            server.ticks.advance(Duration::from_millis(170));
            let now = clock.now();
            assert!(now >= last, "step {step}: {now} after {last}");
            last = now;
            server.offset_ms += [700, -900, 0, 0][step % 4];
        }
    }

    #[test]
    fn one_odd_date_is_not_believed_but_three_are() {
        let (mut server, clock) = world(0);
        server.answer(&clock);
        server.offset_ms = 3_600_000;
        server.answer(&clock);
        server.answer(&clock);
        server.offset_ms = 0;
        assert_behind(&server, &clock, 1040);
        server.answer(&clock);
        server.offset_ms = 3_600_000;
        for _ in 0..3 {
            server.answer(&clock);
        }
        assert_behind(&server, &clock, 1040);
    }

    #[test]
    fn skew_is_how_far_the_local_clock_is_ahead() {
        let (server, clock) = world(0);
        server.answer(&clock);
        let expected = Timestamp::now().as_second() - server.time().as_second();
        assert!((clock.skew().as_secs() - expected).abs() <= 2, "{:?} is not {expected} s", clock.skew());
    }

    #[test]
    fn answers_without_a_date_teach_nothing() {
        let (_, clock) = world(0);
        clock.learn(&HeaderMap::new(), Duration::ZERO, Duration::ZERO);
        let mut headers = HeaderMap::new();
        headers.insert(http::header::DATE, "yesterday".parse().unwrap());
        clock.learn(&headers, Duration::ZERO, Duration::ZERO);
        assert_eq!(clock.skew(), SignedDuration::ZERO);
    }
}
