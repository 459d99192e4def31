//! Reading event streams, with bounded lines and bounded silence.

use super::AgentError;
use crate::agent::wire::{Exit, Line, StreamError};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::Response;
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

/// The longest line of a stream: 64 KiB of output, with every byte escaped to six, and room for agents with a larger
/// unit.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// What a running command tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// A line of standard output, without its newline.
    Stdout(String),
    /// A line of standard error, without its newline.
    Stderr(String),
    /// The command has ended. The last event.
    Exit {
        /// Its exit code; minus the signal number when a signal ended it.
        code: i32,
        /// From start to exit, in milliseconds.
        duration_ms: u64,
    },
    /// The agent has ended the command. The last event.
    Error {
        /// For a person.
        message: String,
        /// For a program: `TIMEOUT`.
        code: String,
    },
}

impl ExecEvent {
    fn is_last(&self) -> bool {
        matches!(self, Self::Exit { .. } | Self::Error { .. })
    }
}

/// One event as it is on the wire.
#[derive(Debug, Default)]
struct Frame {
    name: String,
    data: String,
}

/// The events of one command. A stream that ends without a last event ends with an error.
pub fn exec(response: Response, silence: Duration) -> impl Stream<Item = Result<ExecEvent, AgentError>> + Send + Unpin {
    let frames = frames(silence_bounded(response.bytes_stream(), silence));
    let events = frames.try_filter_map(async |frame| understand(&frame));
    let cut = AgentError::Unreachable { detail: "the stream ended before the command did".to_owned() };
    let with_end = events.chain(stream::once(async { Err(cut) }));
    Box::pin(stream::unfold((Box::pin(with_end), false), async |(mut events, over)| {
        if over {
            return None;
        }
        let event = events.next().await?;
        let over = event.as_ref().map_or(true, ExecEvent::is_last);
        Some((event, (events, over)))
    }))
}

/// The lines of a log, until the agent ends the stream.
pub fn lines(response: Response) -> impl Stream<Item = Result<String, AgentError>> + Send + Unpin {
    let bytes = response.bytes_stream().map_err(AgentError::from_transport);
    Box::pin(frames(bytes).map(|frame| Ok(parse::<Line>(&frame?.data)?.line)))
}

/// Gives up when nothing, not even a heartbeat, has come for so long.
pub fn silence_bounded(
    chunks: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static,
    limit: Duration,
) -> impl Stream<Item = Result<Bytes, AgentError>> + Send + Unpin {
    Box::pin(stream::unfold(Some(Box::pin(chunks)), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout(limit, chunks.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some(chunks))),
            Ok(Some(Err(error))) => Some((Err(AgentError::from_transport(error)), None)),
            Err(_) => Some((Err(AgentError::silent(limit)), None)),
        }
    }))
}

/// The frames of an event stream: fields other than `event` and `data`, and comments, mean nothing here.
fn frames(
    bytes: impl Stream<Item = Result<Bytes, AgentError>> + Send + Unpin,
) -> impl Stream<Item = Result<Frame, AgentError>> {
    let reader = StreamReader::new(bytes.map_err(io::Error::other));
    let lines = FramedRead::new(reader, LinesCodec::new_with_max_length(MAX_LINE));
    stream::unfold(Some(lines), async |lines| {
        let mut lines = lines?;
        let mut frame = Frame::default();
        loop {
            let line = match lines.next().await? {
                Ok(line) => line,
                Err(error) => return Some((Err(broken(error)), None)),
            };
            if line.is_empty() && !frame.data.is_empty() {
                return Some((Ok(frame), Some(lines)));
            } else if line.is_empty() {
                frame = Frame::default();
            } else {
                frame.take(&line);
            }
            if frame.data.len() > MAX_LINE {
                return Some((Err(broken(LinesCodecError::MaxLineLengthExceeded)), None));
            }
        }
    })
}

impl Frame {
    fn take(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
    }
}

fn broken(error: LinesCodecError) -> AgentError {
    match error {
        LinesCodecError::MaxLineLengthExceeded => {
            AgentError::Unexpected { status: 200, detail: format!("an event is longer than {MAX_LINE} bytes") }
        }
        LinesCodecError::Io(error) => match error.downcast::<AgentError>() {
            Ok(error) => error,
            Err(error) => AgentError::Unexpected { status: 200, detail: error.to_string() },
        },
    }
}

/// None for events of a kind this client does not know.
fn understand(frame: &Frame) -> Result<Option<ExecEvent>, AgentError> {
    Ok(Some(match frame.name.as_str() {
        "stdout" => ExecEvent::Stdout(parse::<Line>(&frame.data)?.line),
        "stderr" => ExecEvent::Stderr(parse::<Line>(&frame.data)?.line),
        "exit" => {
            let Exit { code, duration_ms, .. } = parse(&frame.data)?;
            ExecEvent::Exit { code, duration_ms }
        }
        "error" => {
            let StreamError { message, code } = parse(&frame.data)?;
            ExecEvent::Error { message, code }
        }
        _ => return Ok(None),
    }))
}

fn parse<T: serde::de::DeserializeOwned>(data: &str) -> Result<T, AgentError> {
    serde_json::from_str(data)
        .map_err(|error| AgentError::Unexpected { status: 200, detail: format!("an event is not understood: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn all(text: &str, cut: usize) -> Vec<(String, String)> {
        let chunks: Vec<_> = text.as_bytes().chunks(cut).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let frames = frames(stream::iter(chunks));
        frames.map_ok(|frame| (frame.name, frame.data)).try_collect().await.unwrap()
    }

    proptest! {
        #[test]
        fn frames_are_the_same_however_the_bytes_arrive(cut in 1usize..40) {
            let text = ": ping\n\nevent: stdout\r\ndata: {\"ü\":1}\r\n\r\nid: 7\n\ndata:a\ndata: b\n\nevent: lonely\n\ndata: cut";
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let got = runtime.block_on(all(text, cut));
            prop_assert_eq!(got, [("stdout".to_owned(), "{\"ü\":1}".to_owned()), (String::new(), "a\nb".to_owned())]);
        }
    }

    #[tokio::test]
    async fn an_endless_line_is_refused() {
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 65_536])));
        let mut frames = Box::pin(frames(endless));
        assert!(matches!(frames.next().await, Some(Err(AgentError::Unexpected { .. }))));
        assert!(frames.next().await.is_none());
    }
}
