//! One request, to a run's agent and back: a message as it comes, bodies of any length in either direction, and whatever
//! both change their protocol to. What changes are the headers: the caller's token becomes the agent's, those of one
//! connection end here, and neither the agent nor the app sees what belongs to the gateway.

use super::refused::Refused;
use super::way::Way;
use crate::agent::activity::Activity;
use crate::agent::{hop, pulse};
use crate::failure::chain;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, EXPECT, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use reqwest::redirect::Policy;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for a connection to an agent.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(15);
/// Silence of an agent before the head of its answer, for whatever should not take long.
pub const ANSWER: Duration = Duration::from_secs(120);
/// Silence between two pieces of a request's body.
const BODY_SILENCE: Duration = Duration::from_secs(60);
/// Times that a path may be encoded over: nobody means more, and each costs a look at all of it.
const ENCODINGS: usize = 4;
/// Cookies whose names begin like this are the gateway's own.
const OWN_COOKIES: &str = "sandbar";
/// What an answer of an app may not do to the gateway's own origin.
const ORIGINS: [HeaderName; 4] = [
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("alt-svc"),
    HeaderName::from_static("service-worker-allowed"),
    STRICT_TRANSPORT_SECURITY,
];
/// A page of an app gets an origin of its own, which reads nothing of the gateway's.
const SANDBOXED: HeaderValue = HeaderValue::from_static(
    "sandbox allow-downloads allow-forms allow-modals allow-pointer-lock allow-popups allow-presentation allow-scripts",
);

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The agent itself.
    Agent,
    /// An app behind it.
    App,
}

/// What is asked, and of whom.
pub struct Errand<'a> {
    /// Id of the run.
    pub run: &'a str,
    /// To its agent.
    pub way: &'a Way,
    /// What the agent is asked for.
    pub path: PathAndQuery,
    /// Whom it is for.
    pub of: Of,
    /// Longest silence before the head of the answer; none for what may take as long as it takes.
    pub within: Option<Duration>,
}

/// Connections to agents, shared by all requests. They follow nobody elsewhere: an edge that redirects is not the agent.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client() -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT).pool_idle_timeout(IDLE);
    // An edge that is offered HTTP/2 takes it, and then no connection can change its protocol.
    builder.redirect(Policy::none()).tcp_nodelay(true).http1_only().build()
}

/// Whether a path leads where it seems to: no part of it is `.` or `..` in any spelling, for whoever in between, or at
/// its end, resolves those would find another route than the one whose right was asked for. None that is encoded more
/// often than anybody means is.
pub fn is_plain(path: &str) -> bool {
    let mut decoded = path.as_bytes().to_vec();
    for _ in 0..ENCODINGS {
        if decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| matches!(part, b"." | b"..")) {
            return false;
        }
        let next = decode(&decoded);
        if next == decoded {
            return !decoded.iter().any(u8::is_ascii_control);
        }
        decoded = next;
    }
    false
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut decoded, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some((first, more)) = rest.split_first() {
        let pair = (*first == b'%').then(|| Some((digit(more.first()?)? << 4) | digit(more.get(1)?)?)).flatten();
        decoded.push(pair.unwrap_or(*first));
        rest = if pair.is_some() { &more[2..] } else { more };
    }
    decoded
}

/// Passes the request on and gives the answer, or the other end of what both changed to. What was upgraded ends with
/// `stop`, as streams of events do.
///
/// # Errors
/// [`Refused::Gateway`] and [`Refused::GatewayTimeout`] when the agent is not there.
pub async fn forward(
    http: &reqwest::Client,
    errand: Errand<'_>,
    mut request: Request,
    stop: &CancellationToken,
) -> Result<Response, Refused> {
    let run = errand.run;
    let client = hyper::upgrade::on(&mut request);
    let (mut parts, body) = request.into_parts();
    let (_, protocol) = hop::pass_on(&mut parts.headers, None, &format!("/v1/runs/{run}"));
    to_agent(&mut parts.headers, &errand)?;
    let (activity, broken) = (Activity::new(), Arc::new(AtomicBool::new(false)));
    let mut sending = http.request(parts.method, errand.way.url(&errand.path)).headers(parts.headers);
    if !body.is_end_stream() {
        sending = sending.body(reqwest::Body::wrap_stream(steady(body, activity.clone(), Arc::clone(&broken))));
    }
    let silence = async {
        match errand.within {
            Some(limit) => activity.silence(limit).await,
            None => std::future::pending().await,
        }
    };
    let answer = tokio::select! {
        answer = sending.send() => answer.map_err(|error| unreachable(run, error, broken.load(Ordering::Relaxed)))?,
        () = silence => return Err(silent(run, errand.within.unwrap_or_default())),
    };
    let mut answer: http::Response<reqwest::Body> = answer.into();
    let changed = hop::end_hop(answer.headers_mut());
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let (Some(_), Some(changed)) = (protocol, changed) else {
            return Err(Refused::Gateway(format!("the agent of run {run} changed to a protocol nobody asked for")));
        };
        return Ok(switched(answer, client, changed, stop.clone()));
    }
    if errand.of == Of::Agent {
        own_words(run, &answer)?;
    }
    keep_out(answer.headers_mut(), errand.of);
    let endless = is(answer.headers(), "text/event-stream");
    let body = |body| if endless { until(Body::new(body), stop.clone()) } else { Body::new(body) };
    Ok(answer.map(body))
}

/// What the agent is told. Nothing that the caller has said for the gateway reaches it, or the app behind it.
fn to_agent(headers: &mut HeaderMap, errand: &Errand<'_>) -> Result<(), Refused> {
    let no_token =
        || Refused::Gateway(format!("the token of run {}'s agent holds what no header can hold", errand.run));
    headers.insert(AUTHORIZATION, errand.way.bearer().ok_or_else(no_token)?);
    // It was answered here.
    headers.remove(EXPECT);
    let cookies: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(without_own).collect();
    headers.remove(COOKIE);
    if errand.of == Of::App {
        for cookie in cookies {
            headers.append(COOKIE, cookie);
        }
    }
    Ok(())
}

fn without_own(cookies: &HeaderValue) -> Option<HeaderValue> {
    let own = |cookie: &&str| {
        let name = cookie.split('=').next().unwrap_or_default();
        let name = name.trim_start_matches("__Host-").trim_start_matches("__Secure-");
        name.len() >= OWN_COOKIES.len()
            && name.as_bytes()[..OWN_COOKIES.len()].eq_ignore_ascii_case(OWN_COOKIES.as_bytes())
    };
    let kept: Vec<&str> = cookies.to_str().ok()?.split(';').map(str::trim).filter(|cookie| !own(cookie)).collect();
    if kept.is_empty() { None } else { HeaderValue::try_from(kept.join("; ")).ok() }
}

/// What comes out of a sandbox gets nothing of the gateway's origin, whoever answers there.
fn keep_out(headers: &mut HeaderMap, of: Of) {
    for name in ORIGINS {
        headers.remove(name);
    }
    headers.append(CONTENT_SECURITY_POLICY, SANDBOXED);
    if of == Of::Agent {
        headers.remove(SET_COOKIE);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

/// A stream of events has no end of its own that a gateway could wait for.
fn until(body: Body, stop: CancellationToken) -> Body {
    Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned()))
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|given| given.as_bytes().starts_with(kind.as_bytes()))
}

/// An answer that is not the agent's own: of an edge in front of it, or to a token that it does not take.
fn own_words(run: &str, answer: &http::Response<reqwest::Body>) -> Result<(), Refused> {
    let status = answer.status();
    let json = is(answer.headers(), "application/json");
    match status.as_u16() {
        401 | 403 if answer.headers().contains_key(WWW_AUTHENTICATE) => Err(Refused::Gateway(format!(
            "the agent of run {run} does not take the token of its sandbox; stop the run and launch another one"
        ))),
        502..=504 | 520..=529 if !json => {
            Err(Refused::Gateway(format!("nobody answers for the agent of run {run} (status {status}); {}", look(run))))
        }
        _ => Ok(()),
    }
}

fn look(run: &str) -> String {
    format!("GET /v1/runs/{run} shows whether its sandbox still is there, and what was asked may have happened")
}

fn unreachable(run: &str, error: reqwest::Error, broken: bool) -> Refused {
    if broken {
        let why = format!("nothing of the body came for {} s", BODY_SILENCE.as_secs());
        return Refused::Body { status: StatusCode::REQUEST_TIMEOUT, why };
    }
    let late = error.is_timeout();
    let text = format!("the agent of run {run} cannot be reached: {}; {}", chain(&error.without_url()), look(run));
    if late { Refused::GatewayTimeout(text) } else { Refused::Gateway(text) }
}

fn silent(run: &str, limit: Duration) -> Refused {
    Refused::GatewayTimeout(format!(
        "the agent of run {run} sent no answer within {} s; {}",
        limit.as_secs(),
        look(run)
    ))
}

/// The body, piece by piece, as long as it keeps coming.
fn steady(
    body: Body,
    activity: Activity,
    broken: Arc<AtomicBool>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::unfold(Some(body.into_data_stream()), move |pieces| {
        let (activity, broken) = (activity.clone(), Arc::clone(&broken));
        async move {
            let mut pieces = pieces?;
            match timeout(BODY_SILENCE, pieces.next()).await {
                Ok(Some(Ok(piece))) => {
                    activity.touch();
                    Some((Ok(piece), Some(pieces)))
                }
                Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
                Ok(None) => None,
                Err(_) => {
                    broken.store(true, Ordering::Relaxed);
                    Some((Err(io::ErrorKind::TimedOut.into()), None))
                }
            }
        }
    })
}

/// The answer that changes the protocol; from then on bytes pass both ways until both ends have said their last.
fn switched(
    mut answer: http::Response<reqwest::Body>,
    client: OnUpgrade,
    protocol: HeaderValue,
    stop: CancellationToken,
) -> Response {
    let agent = hyper::upgrade::on(&mut answer);
    let period = protocol.as_bytes().eq_ignore_ascii_case(b"websocket").then_some(pulse::PERIOD);
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        if let (Ok(agent), Ok(client)) = tokio::join!(agent, client) {
            let _ = pulse::join(TokioIo::new(client), TokioIo::new(agent), period).await;
        }
    }));
    hop::upgrade(answer.headers_mut(), protocol);
    answer.map(|_| Body::empty())
}

#[cfg(test)]
mod tests;
