//! What happens in a run, as it happens or as a list: the entries of its timeline, each with its number.
//!
//! A listener gets every entry from the first on, or from the one after `Last-Event-ID`, whenever it comes. The stream
//! ends with event `end` when the run is over; with `?until=ready` when its launch is: the app answers, or will not.
//! One that ends without it can be resumed anywhere, by the number that came last.

use super::caller::{Caller, Right};
use super::refused::Refused;
use super::run::{Run, State};
use super::{Query, RunId, Shared};
use crate::agent::server::sse;
use crate::api::TimelineEntry;
use axum::Json;
use axum::extract::State as Given;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Silence after which a stream shows that it lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream is cut after so long, so that whoever listens is asked for their rights again.
const LONGEST: Duration = Duration::from_secs(900);
/// After how long a browser comes back.
const COME_BACK: Duration = Duration::from_secs(1);
/// How long a run that exists may be unknown to the shared watch.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
/// Header by which a browser resumes.
const LAST_EVENT_ID: &str = "last-event-id";

/// The query of a stream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Asked {
    #[serde(default)]
    until: Until,
    after: Option<i32>,
}

/// When a stream has told everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// The run is over.
    #[default]
    End,
    /// Its launch is.
    Ready,
}

impl Until {
    fn is_reached(self, run: &Run) -> bool {
        match self {
            Self::End => run.is_over(),
            Self::Ready => run.is_settled(),
        }
    }
}

/// One entry of a run's timeline, as callers get it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct Entry<'run> {
    run_id: &'run str,
    number: i32,
    time: Timestamp,
    message: &'run str,
    warning: bool,
}

impl<'run> Entry<'run> {
    /// This entry of this run.
    pub fn of(run: &'run Run, entry: &'run TimelineEntry) -> Self {
        let TimelineEntry { number, time, message, warning } = entry;
        Self { run_id: &run.id, number: *number, time: time.0, message, warning: *warning }
    }
}

/// The last event of a stream.
#[derive(Debug, Serialize)]
struct End<'run> {
    run_id: &'run str,
    status: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'run str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'run str>,
}

/// The same as a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EventList")]
pub struct Listed<'run> {
    run_id: &'run str,
    status: State,
    /// Whether no more will follow.
    ended: bool,
    events: Vec<Entry<'run>>,
}

/// `GET /api/stream/{run_id}` and `GET /v1/runs/{run_id}/events`: server-sent events, or JSON where only that is
/// accepted.
pub async fn events(
    Given(desk): Given<Shared>,
    caller: Caller,
    RunId(id): RunId,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let run = desk.run_for(&caller, &id, Right::See).await?;
    let after = asked.after.or(last_seen(&headers)?).unwrap_or_default();
    if wants_json(&headers) {
        return Ok(listed(&run, after, asked.until));
    }
    let waited = tokio::time::timeout(SEEN_WITHIN, desk.runs.follow_soon(&run.id)).await;
    let late = |_| Refused::Unavailable(format!("run {id} has just been made and is not seen here yet"));
    let reader = Reader {
        run: waited.map_err(late)?,
        seen: after,
        until: asked.until,
        stop: desk.stop.clone(),
        cut: Instant::now() + LONGEST,
        place: Place::Begin,
    };
    Ok(sse::answer(HEARTBEAT, futures::stream::unfold(reader, async |mut reader| Some((reader.next().await?, reader)))))
}

fn listed(run: &Run, after: i32, until: Until) -> Response {
    let events = run.timeline.iter().filter(|entry| entry.number > after).map(|entry| Entry::of(run, entry)).collect();
    let listed = Listed { run_id: &run.id, status: run.state, ended: until.is_reached(run), events };
    ([(header::CACHE_CONTROL, "no-cache")], Json(listed)).into_response()
}

/// Number of the entry that a listener has seen last.
fn last_seen(headers: &HeaderMap) -> Result<Option<i32>, Refused> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| Refused::field("Last-Event-ID", "it is the number of an event, from 0 on"))
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted: Vec<&str> = accepted.flat_map(|value| value.split(',')).map(kind_of).collect();
    accepted.contains(&"application/json") && !accepted.contains(&"text/event-stream")
}

fn kind_of(accepted: &str) -> &str {
    accepted.split(';').next().unwrap_or_default().trim()
}

/// What a stream still has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Begin,
    Middle,
    End,
}

/// A listener. It holds a number and a way to the newest state, so it costs the same however slow it is.
struct Reader {
    run: watch::Receiver<Arc<Run>>,
    seen: i32,
    until: Until,
    stop: CancellationToken,
    cut: Instant,
    place: Place,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        match self.place {
            // Something to read at once: what stands in between may hold back headers alone.
            Place::Begin => {
                self.place = Place::Middle;
                return Some(Event::default().retry(COME_BACK).comment("here"));
            }
            Place::Middle => {}
            Place::End => return None,
        }
        loop {
            let run = Arc::clone(&self.run.borrow_and_update());
            if let Some(entry) = run.timeline.iter().find(|entry| entry.number > self.seen) {
                self.seen = entry.number;
                return Some(sse::frame(None, &Entry::of(&run, entry)).id(entry.number.to_string()));
            }
            if self.until.is_reached(&run) {
                self.place = Place::End;
                let (reason, message) = (run.reason.as_deref(), run.message.as_deref());
                let status = if run.gone && run.ended.is_none() { State::Ended } else { run.state };
                return Some(sse::frame(Some("end"), &End { run_id: &run.id, status, reason, message }));
            }
            tokio::select! {
                changed = self.run.changed() => changed.ok()?,
                () = self.stop.cancelled() => return None,
                () = sleep_until(self.cut) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::request;
    use super::*;
    use futures::StreamExt;
    use http::HeaderValue;
    use serde_json::{Value, json};

    fn run(entries: i32, over: bool) -> Arc<Run> {
        let entry =
            |number| json!({"number": number, "time": "2026-11-22T10:00:00.000001Z", "message": format!("m{number}")});
        let timeline: Vec<Value> = (1..=entries).map(entry).collect();
        let end = over.then_some("2026-11-22T11:00:00Z");
        let status = json!({"phase": if over { "Ended" } else { "Pending" }, "reason": "Released", "endedAt": end, "timeline": timeline});
        Arc::new(Run::of(&request("run-1", status)).expect("a run"))
    }

    fn reader(run: watch::Receiver<Arc<Run>>, seen: i32) -> Reader {
        let cut = Instant::now() + LONGEST;
        Reader { run, seen, until: Until::End, stop: CancellationToken::new(), cut, place: Place::Begin }
    }

    async fn all(mut reader: Reader) -> usize {
        let mut count = 0;
        while reader.next().await.is_some() {
            count += 1;
        }
        count
    }

    #[tokio::test]
    async fn whoever_comes_late_or_back_misses_nothing() {
        let (sender, listener) = watch::channel(run(2, false));
        let early = tokio::spawn(all(reader(listener.clone(), 0)));
        let back = tokio::spawn(all(reader(listener.clone(), 3)));
        sender.send_replace(run(4, false));
        sender.send_replace(run(5, true));
        // The word of greeting, the entries, the end.
        assert_eq!(early.await.expect("no panic"), 7);
        assert_eq!(back.await.expect("no panic"), 4);
        assert_eq!(all(reader(listener, 0)).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_lives() {
        let (_sender, listener) = watch::channel(run(1, false));
        let events =
            futures::stream::unfold(reader(listener, 1), async |mut reader| Some((reader.next().await?, reader)));
        let mut pieces = sse::answer(HEARTBEAT, events).into_body().into_data_stream();
        let mut next =
            async || String::from_utf8(pieces.next().await.expect("more").expect("a piece").into()).expect("text");
        assert!(next().await.contains(": here"));
        for _ in 0..3 {
            let begin = Instant::now();
            assert_eq!(next().await, ": ping\n\n");
            assert_eq!(begin.elapsed().as_secs(), 15);
        }
    }

    #[tokio::test]
    async fn a_stream_ends_without_a_word_when_the_gateway_does() {
        let (_sender, listener) = watch::channel(run(1, false));
        let reader = reader(listener, 0);
        reader.stop.cancel();
        assert_eq!(all(reader).await, 2);
    }

    #[test]
    fn json_is_for_those_who_take_nothing_else() {
        let accepts =
            |text: &'static str| wants_json(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(text))]));
        assert!(accepts("application/json") && accepts("application/json;q=0.9, */*"));
        assert!(!accepts("text/event-stream") && !accepts("*/*") && !accepts("text/event-stream, application/json"));
    }
}
