//! Server-sent events as the existing clients read them: one JSON object per frame, in ASCII.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use std::convert::Infallible;
use std::io;
use std::time::Duration;

/// One frame; without a name there is no `event` line.
pub fn frame(name: Option<&str>, data: &impl Serialize) -> Event {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Ascii(CompactFormatter));
    // Plain structs of strings and numbers always serialize, and a Vec takes every write.
    let _ = data.serialize(&mut serializer);
    // Clients take the name from the line before the data.
    let event = name.map_or_else(Event::default, |name| Event::default().event(name));
    event.data(String::from_utf8_lossy(&text))
}

/// The answer that carries a stream, with a comment as heartbeat whenever it is silent.
pub fn answer(heartbeat: Duration, events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let beat = KeepAlive::new().interval(heartbeat).text("ping");
    let mut response = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(beat).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Escapes everything beyond ASCII. Python's line iterators also break lines at U+0085, U+2028 and U+2029, which would
/// tear a frame apart.
struct Ascii(CompactFormatter);

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0; 2];
        for piece in fragment.split_inclusive(|c: char| !c.is_ascii()) {
            match piece.char_indices().next_back().filter(|(_, last)| !last.is_ascii()) {
                Some((at, last)) => {
                    writer.write_all(&piece.as_bytes()[..at])?;
                    for unit in last.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
                None => writer.write_all(piece.as_bytes())?,
            }
        }
        Ok(())
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_break_lines_elsewhere_are_escaped() {
        let line = "a\u{2028}b\u{85}\u{1F980}\r\"ü";
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, Ascii(CompactFormatter));
        line.serialize(&mut serializer).unwrap();
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_slice::<String>(&text).unwrap(), line);
    }
}
