//! The timeline of a Sandbox.

use super::TimelineEntry;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// The most entries that are kept.
pub const TIMELINE: usize = 64;
/// The longest message, in characters; the schema has the same number.
const LONGEST: usize = 512;

/// Adds an entry with the next number; the oldest goes where there are too many. `now` is stored as the API server
/// stores it, so that what is read equals what was written.
pub fn note(timeline: &mut Vec<TimelineEntry>, now: Timestamp, warning: bool, message: &str) {
    let number = timeline.last().map_or(1, |last| last.number.saturating_add(1));
    let micros = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
    let message = super::conditions::truncate(message, LONGEST).to_string();
    timeline.push(TimelineEntry { number, time: MicroTime(micros), message, warning });
    if timeline.len() > TIMELINE {
        timeline.drain(..timeline.len() - TIMELINE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_where_old_entries_are_not_kept() {
        let mut timeline = Vec::new();
        let now = Timestamp::from_nanosecond(1_234_567_891).expect("a time");
        for count in 0..100 {
            note(&mut timeline, now, false, &format!("entry {count}\u{e4}").repeat(60));
        }
        assert_eq!((timeline.len(), timeline[0].number, timeline[63].number), (64, 37, 100));
        assert!(timeline.iter().all(|entry| entry.message.chars().count() <= LONGEST));
        let read: Vec<TimelineEntry> = serde_json::from_value(serde_json::json!(timeline)).expect("a timeline");
        assert_eq!(read, timeline, "what is read is what was written (S10)");
    }
}
