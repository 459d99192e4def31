//! Talks to an agent, ours or the one in the public service-mode images.
//!
//! Nothing here repeats a request: whether a command may run twice is for the caller to know.

mod error;
mod events;
mod probe;
mod sessions;
mod terminal;
mod tunnel;
mod whole;

pub use error::AgentError;
pub use events::ExecEvent;
pub use probe::probe;
pub use terminal::{Shown, TerminalInput, TerminalOutput};
pub use tunnel::{Tunnel, TunnelError};
pub use whole::Ended;

use super::wire::{
    BackgroundRequest, BackgroundStarted, Done, Encoding, ExecOutput, ExecRequest, FileEntry, FileList, Health,
    KillRequest, Logs, ProcessInfo, WriteRequest, Written,
};
use bytes::{Bytes, BytesMut};
use data_encoding::BASE64;
use futures::{Stream, StreamExt, TryStreamExt};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
const HEALTH: Duration = Duration::from_secs(10);
const ORDINARY: Duration = Duration::from_secs(120);

/// What the network may add to a command's own time-out.
const MARGIN: Duration = Duration::from_secs(10);

/// The largest JSON answer taken: two outputs of 16 MiB whose every byte is escaped would be larger, real ones are not.
const MAX_ANSWER: usize = 128 * 1024 * 1024;

/// Files up to this size are written through the route that every agent has; larger ones are better not in JSON.
const SMALL_FILE: usize = 4 * 1024 * 1024;

/// A client for one sandbox. Clones share their connections.
#[derive(Clone)]
pub struct AgentClient {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

// The token must not get into logs.
impl fmt::Debug for AgentClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.base.as_str();
        f.debug_struct("AgentClient").field("base", &base).field("has_token", &self.token.is_some()).finish()
    }
}

impl AgentClient {
    /// A client for the agent at `base_url` (http or https); without a token only [`Self::health`] works.
    ///
    /// The process must have installed its rustls provider before.
    ///
    /// # Errors
    /// [`AgentError::Invalid`] when the address is not one.
    pub fn new(base_url: &str, token: Option<&str>) -> Result<Self, AgentError> {
        Self::with_http(Self::connections()?, base_url, token)
    }

    /// Connections for [`Self::with_http`].
    ///
    /// # Errors
    /// When the system's TLS cannot be used.
    pub fn connections() -> Result<reqwest::Client, AgentError> {
        // An agent sends nobody elsewhere; an edge that does is not the agent. Over HTTP/2, which an edge would take, no
        // connection can become a tunnel.
        let builder = reqwest::Client::builder().connect_timeout(CONNECT).redirect(Policy::none());
        builder.http1_only().build().map_err(AgentError::from_transport)
    }

    /// As [`Self::new`], over connections that others use too.
    ///
    /// # Errors
    /// [`AgentError::Invalid`] when the address is not one.
    pub fn with_http(http: reqwest::Client, base_url: &str, token: Option<&str>) -> Result<Self, AgentError> {
        Ok(Self { http, base: base(base_url)?, token: token.map(str::to_owned) })
    }

    /// Whether the agent is there, and its mode. Needs no token.
    ///
    /// # Errors
    /// See [`AgentError`], here and below.
    pub async fn health(&self) -> Result<Health, AgentError> {
        json(self.request(Method::GET, &["health"]).timeout(HEALTH)).await
    }

    /// Runs a command and waits for its end.
    ///
    /// # Errors
    /// [`AgentError::Timeout`] when the request's time-out has ended the command.
    pub async fn exec(&self, request: &ExecRequest) -> Result<ExecOutput, AgentError> {
        let limit = Duration::from_secs(request.timeout).saturating_add(MARGIN);
        json(self.request(Method::POST, &["api", "exec"]).timeout(limit).json(request)).await
    }

    /// Runs a command and gives its output as it comes; the last event is [`ExecEvent::Exit`] or [`ExecEvent::Error`].
    /// Dropping the stream ends the command.
    ///
    /// # Errors
    /// When the command could not be started. The stream itself yields at most one error, as its last item:
    /// [`AgentError::Unreachable`] when the connection broke, [`AgentError::Timeout`] when nothing at all came for
    /// longer than the command may take.
    pub async fn exec_stream(
        &self,
        request: &ExecRequest,
    ) -> Result<impl Stream<Item = Result<ExecEvent, AgentError>> + Send + Unpin + 'static, AgentError> {
        let silence = Duration::from_secs(request.timeout).saturating_add(MARGIN);
        let sending = self.request(Method::POST, &["api", "exec", "stream"]).json(request);
        let response =
            tokio::time::timeout(silence, send(sending)).await.map_err(|_| AgentError::silent(silence))??;
        Ok(events::exec(response, silence))
    }

    /// Starts a command that outlives the request.
    ///
    /// # Errors
    /// As [`Self::exec`].
    pub async fn exec_background(&self, request: &BackgroundRequest) -> Result<BackgroundStarted, AgentError> {
        json(self.request(Method::POST, &["api", "exec", "background"]).timeout(ORDINARY).json(request)).await
    }

    /// The background processes started since the agent did.
    ///
    /// # Errors
    /// As [`Self::health`].
    pub async fn processes(&self) -> Result<Vec<ProcessInfo>, AgentError> {
        json(self.request(Method::GET, &["api", "processes"]).timeout(ORDINARY)).await
    }

    /// One background process.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] when the agent did not start it.
    pub async fn process(&self, pid: i32) -> Result<ProcessInfo, AgentError> {
        json(self.request(Method::GET, &["api", "processes", &pid.to_string()]).timeout(ORDINARY)).await
    }

    /// What a background process has written; `tail` takes only so many lines from the end.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] when the agent did not start it.
    pub async fn process_logs(&self, pid: i32, tail: Option<usize>) -> Result<String, AgentError> {
        let request = self.request(Method::GET, &["api", "processes", &pid.to_string(), "logs"]).timeout(ORDINARY);
        Ok(json::<Logs>(request.query(&tail.map(|lines| [("tail", lines)]))).await?.logs)
    }

    /// What a background process writes, line by line, until it has stopped; from the beginning, or from so many lines
    /// before the end. (Agents other than Sandbar's begin at the beginning.)
    ///
    /// # Errors
    /// As [`Self::exec_stream`], but silence has no limit.
    pub async fn follow_logs(
        &self,
        pid: i32,
        tail: Option<usize>,
    ) -> Result<impl Stream<Item = Result<String, AgentError>> + Send + Unpin + 'static, AgentError> {
        let request = self.request(Method::GET, &["api", "processes", &pid.to_string(), "logs", "stream"]);
        Ok(events::lines(send(request.query(&tail.map(|lines| [("tail", lines)]))).await?))
    }

    /// Sends a signal (15 is SIGTERM) to a background process and its whole group.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] when the agent did not start it, [`AgentError::Invalid`] when it has stopped.
    pub async fn kill(&self, pid: i32, signal: i32) -> Result<(), AgentError> {
        let request = self.request(Method::POST, &["api", "processes", &pid.to_string(), "kill"]).timeout(ORDINARY);
        json::<Done>(request.json(&KillRequest { signal })).await.map(drop)
    }

    /// The HTTP status that something in the sandbox answers with, listening on a port there.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`] when nothing listens.
    pub async fn app_status(&self, port: i32, path: &str) -> Result<u16, AgentError> {
        let mut segments = vec!["proxy".to_owned(), port.to_string()];
        segments.extend(path.trim_start_matches('/').split('/').map(str::to_owned));
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let response = self.request(Method::GET, &segments).timeout(HEALTH).send().await;
        let status = response.map_err(AgentError::from_transport)?.status().as_u16();
        match status {
            502..=504 => Err(AgentError::Unreachable { detail: format!("port {port} of the sandbox: {status}") }),
            status => Ok(status),
        }
    }

    /// The entries of a directory.
    ///
    /// # Errors
    /// [`AgentError::Forbidden`] outside the sandbox's folders.
    pub async fn list_files(&self, path: &str) -> Result<Vec<FileEntry>, AgentError> {
        let request = self.request(Method::GET, &["api", "files"]).timeout(ORDINARY).query(&[("path", path)]);
        Ok(json::<FileList>(request).await?.files)
    }

    /// A whole file.
    ///
    /// # Errors
    /// As [`Self::list_files`].
    pub async fn read_file(&self, path: &str) -> Result<Bytes, AgentError> {
        let mut whole = BytesMut::new();
        let mut chunks = self.download(path).await?;
        while let Some(chunk) = chunks.try_next().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// A file piece by piece, of any size.
    ///
    /// # Errors
    /// As [`Self::list_files`].
    pub async fn download(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<Bytes, AgentError>> + Send + Unpin + 'static, AgentError> {
        let request = self.request(Method::GET, &["api", "files", "download"]).query(&[("path", path)]);
        let silent = || AgentError::silent(ORDINARY);
        let response = tokio::time::timeout(ORDINARY, send(request)).await.map_err(|_| silent())??;
        Ok(events::silence_bounded(response.bytes_stream(), ORDINARY))
    }

    /// Writes a whole file, making its parent directories.
    ///
    /// # Errors
    /// As [`Self::list_files`].
    pub async fn write_file(&self, path: &str, content: impl Into<Bytes>) -> Result<(), AgentError> {
        let content = content.into();
        if content.len() > SMALL_FILE {
            match self.upload(path, None, content.clone()).await {
                // An agent of the public images: it has only the route below.
                Err(AgentError::NotFound { .. }) => {}
                done => return done,
            }
        }
        let content = BASE64.encode(&content);
        let body = WriteRequest { path: path.to_owned(), content, encoding: Some(Encoding::Base64) };
        let request = self.request(Method::POST, &["api", "files", "content"]).timeout(ORDINARY).json(&body);
        json::<Written>(request).await.map(drop)
    }

    /// Writes a file of any size from a body that may be a stream, with permissions such as `0o755`. Sandbar's own
    /// agent only: others answer [`AgentError::NotFound`].
    ///
    /// # Errors
    /// As [`Self::list_files`].
    pub async fn upload(
        &self,
        path: &str,
        mode: Option<u32>,
        body: impl Into<reqwest::Body>,
    ) -> Result<(), AgentError> {
        let mode = mode.map(|mode| [("mode", format!("{mode:o}"))]);
        let request = self.request(Method::PUT, &["api", "files", "raw"]).query(&[("path", path)]).query(&mode);
        json::<Written>(request.body(body)).await.map(drop)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

fn base(text: &str) -> Result<Url, AgentError> {
    let bad = |why: String| AgentError::Invalid { detail: format!("{text:?} is not the address of an agent: {why}") };
    let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(bad(format!("it begins with {other}:, not http: or https:"))),
    }
}

async fn send(request: RequestBuilder) -> Result<Response, AgentError> {
    let response = request.send().await.map_err(AgentError::from_transport)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(refused(response).await.0)
}

/// What an answer that is no success means, and whether it is in an agent's own words.
async fn refused(response: Response) -> (AgentError, bool) {
    let status = response.status();
    // An edge may answer with a page of any length; the beginning is enough to say what it is.
    let beginning = limited(response, 64 * 1024).await.unwrap_or_default();
    (AgentError::from_status(status, &beginning), error::is_agents(&beginning))
}

async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, AgentError> {
    let bytes = limited(send(request).await?, MAX_ANSWER).await?;
    serde_json::from_slice(&bytes).map_err(|error| AgentError::Unexpected { status: 200, detail: error.to_string() })
}

/// A body, refused when it is longer than `limit` bytes.
async fn limited(response: Response, limit: usize) -> Result<Bytes, AgentError> {
    let status = response.status().as_u16();
    let mut whole = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(AgentError::from_transport)?;
        if whole.len() + chunk.len() > limit {
            return Err(AgentError::Unexpected { status, detail: format!("the answer is longer than {limit} bytes") });
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
