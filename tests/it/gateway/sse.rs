//! A reader of event streams that checks what a browser relies on.

use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(120);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: Value,
}

impl Frame {
    pub fn message(&self) -> &str {
        self.data["message"].as_str().unwrap_or_default()
    }

    pub fn is_end(&self) -> bool {
        self.event.as_deref() == Some("end")
    }
}

/// A stream that is being read.
pub struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    /// Opens it, and checks its headers.
    pub async fn open(request: RequestBuilder) -> Self {
        let response = timeout(WITHIN, request.send()).await.expect("headers in time").expect("an answer");
        assert_eq!(response.status(), 200);
        let header = |headers: &HeaderMap, name: &str| headers[name].to_str().expect("text").to_owned();
        assert!(header(response.headers(), CONTENT_TYPE.as_str()).starts_with("text/event-stream"));
        assert!(header(response.headers(), CACHE_CONTROL.as_str()).contains("no-cache"));
        assert_eq!(header(response.headers(), "x-accel-buffering"), "no");
        Self { response, text: String::new() }
    }

    /// The next event; None when the stream has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some((frame, rest)) = self.text.split_once("\n\n") {
                let (frame, rest) = (parse(frame), rest.to_owned());
                self.text = rest;
                if frame.is_some() {
                    return frame;
                }
            }
            match timeout(WITHIN, self.response.chunk()).await.expect("an event in time") {
                Ok(Some(chunk)) => self.text.push_str(std::str::from_utf8(&chunk).expect("ASCII")),
                // A gateway that is killed cuts the connection.
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// So many events.
    pub async fn take(&mut self, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while frames.len() < count {
            frames.push(self.next().await.expect("another event"));
        }
        frames
    }

    /// Every event up to the end of the stream.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

/// An event, unless it is a comment or says when to come back.
fn parse(text: &str) -> Option<Frame> {
    let mut frame = Frame { id: None, event: None, data: Value::Null };
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => frame.id = Some(id.to_owned()),
            Some(("event", event)) => frame.event = Some(event.to_owned()),
            Some(("data", data)) => frame.data = serde_json::from_str(data).expect("JSON"),
            _ => {}
        }
    }
    (!frame.data.is_null()).then_some(frame)
}
