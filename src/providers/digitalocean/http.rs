//! One call over HTTP: admitted, sent once, bounded, and classified.

use super::transport::{Network, Transport};
use super::wire::ErrorAnswer;
use crate::api::conditions::truncate;
use crate::failpoints;
use crate::providers::budget::{Budget, Kind, Told};
use crate::providers::{ErrorClass, Fence, ProviderError, Timing};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::scrub::scrub;
use crate::telemetry::secret::Secret;
use crate::wall::Wall;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest text that is kept of the provider's words, in bytes.
const MESSAGE: usize = 512;
/// Pause after a 429 that does not say how long.
const UNTOLD_PAUSE: Duration = Duration::from_secs(10);
/// Longest pause that is believed: the longest window of the limits.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// What is asked.
pub(super) struct Call<'a> {
    pub operation: &'static str,
    pub kind: Kind,
    pub method: Method,
    pub path: &'a [&'a str],
    pub query: &'a [(&'a str, String)],
    pub body: Option<Value>,
    /// UID of the pool that a create is for.
    pub pool: Option<&'a str>,
}

impl<'a> Call<'a> {
    pub(super) fn get(operation: &'static str, path: &'a [&'a str]) -> Self {
        Self { operation, kind: Kind::Read, method: Method::GET, path, query: &[], body: None, pool: None }
    }
}

/// Sends calls with one token under one budget.
pub(super) struct Http {
    transport: Arc<dyn Transport>,
    pub(super) wall: Wall,
    pub(super) base: Url,
    token: Secret<String>,
    budget: Arc<Budget>,
    timing: Timing,
    pub(super) metrics: Option<Metrics>,
    pub(super) fence: Fence,
}

/// The network. Roots and sessions of TLS are dear, and the same for every token: share it.
///
/// # Errors
/// TLS cannot be set up.
pub fn network(timing: &Timing) -> Result<Arc<dyn Transport>, ProviderError> {
    Ok(Arc::new(Network::new(timing.call_timeout).map_err(|error| invalid(error.to_string()))?))
}

impl Http {
    /// # Errors
    /// The address is none, or TLS cannot be set up.
    pub(super) fn new(
        base: &str,
        token: Secret<String>,
        budget: Arc<Budget>,
        timing: &Timing,
    ) -> Result<Self, ProviderError> {
        Self::over((network(timing)?, Wall::real()), base, token, budget, timing)
    }

    /// By this way, at this time of day.
    pub(super) fn over(
        (transport, wall): (Arc<dyn Transport>, Wall),
        base: &str,
        token: Secret<String>,
        budget: Arc<Budget>,
        timing: &Timing,
    ) -> Result<Self, ProviderError> {
        let url = Url::parse(base).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let base = url.ok_or_else(|| {
            invalid(format!("the provider's address {base:?} is no URL: write https://api.digitalocean.com"))
        })?;
        Ok(Self { transport, wall, base, token, budget, timing: timing.clone(), metrics: None, fence: Fence::open() })
    }

    /// Sends one call, once; gives the body of a 2xx answer.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Bytes, ProviderError> {
        let operation = call.operation;
        if self.fence.is_closed() {
            return Err(unknown(operation, "the call was not made: this process does not lead".to_owned()));
        }
        let admitted = match call.pool {
            Some(pool) => self.budget.admit_create(pool),
            None => self.budget.admit(call.kind),
        };
        admitted.map_err(|until| ProviderError {
            class: ErrorClass::Limited { until },
            operation,
            message: "the rate budget is used up; the call was not made".to_owned(),
        })?;
        let point = failpoints::before(operation);
        let began = Instant::now();
        let result = self.exchange(call).await;
        failpoints::after(operation, point);
        let class = result.as_ref().err().map_or("ok", |error| error.class.label());
        if let Some(metrics) = &self.metrics {
            metrics.provider_call(super::PROVIDER, operation, class);
        }
        tracing::debug!(operation, class, elapsed_ms = began.elapsed().as_millis(), "provider call");
        result
    }

    /// The same, with the body as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ProviderError> {
        let operation = call.operation;
        let body = self.send(call).await?;
        serde_json::from_slice(&body).map_err(|error| unknown(operation, format!("the answer is no JSON: {error}")))
    }

    fn url(&self, call: &Call<'_>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v2").extend(call.path);
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        url
    }

    fn request(&self, call: &Call<'_>) -> Result<http::Request<Bytes>, http::Error> {
        let mut token = HeaderValue::try_from(format!("Bearer {}", self.token.expose()))?;
        token.set_sensitive(true);
        let request = http::Request::builder().method(call.method.clone()).uri(self.url(call).as_str());
        let request = request.header(AUTHORIZATION, token);
        match &call.body {
            None => request.body(Bytes::new()),
            Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_string().into()),
        }
    }

    async fn exchange(&self, call: Call<'_>) -> Result<Bytes, ProviderError> {
        let operation = call.operation;
        let timeout = if call.kind == Kind::Create { self.timing.create_timeout } else { self.timing.call_timeout };
        let request = self.request(&call).map_err(|error| unknown(operation, error.to_string()))?;
        let answer = self.transport.exchange(request, timeout).await;
        let (parts, body) = answer.map_err(|error| unknown(operation, error.to_string()))?.into_parts();
        self.budget.told(told(&parts.headers, self.wall.now()));
        if parts.status.is_success() {
            Ok(body)
        } else {
            Err(self.refused(operation, parts.status, &parts.headers, &body))
        }
    }

    fn refused(&self, operation: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        let class = match status {
            StatusCode::NOT_FOUND if matches!(operation, GET | DELETE) => ErrorClass::Gone,
            StatusCode::CONFLICT if operation == CREATE => ErrorClass::NameTaken,
            // Validation answers 400; whether it really is the account's limit is asked in `create`.
            StatusCode::UNPROCESSABLE_ENTITY if operation == CREATE => ErrorClass::Quota,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => ErrorClass::Invalid,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorClass::Auth,
            StatusCode::TOO_MANY_REQUESTS => {
                let pause = pause(headers, self.wall.now());
                self.budget.shut(pause);
                ErrorClass::Limited { until: Instant::now() + pause }
            }
            _ => ErrorClass::Unknown,
        };
        ProviderError { class, operation, message: words(status, body) }
    }
}

/// Operations whose status codes mean something of their own.
pub(super) const CREATE: &str = "create";
pub(super) const GET: &str = "get";
pub(super) const DELETE: &str = "delete";

fn invalid(message: String) -> ProviderError {
    ProviderError { class: ErrorClass::Invalid, operation: "connect", message }
}

/// An error that proves nothing.
pub(super) fn unknown(operation: &'static str, message: String) -> ProviderError {
    ProviderError { class: ErrorClass::Unknown, operation, message: truncate(&message, MESSAGE) }
}

/// What an error answer says. The edge in front of the API answers in HTML.
fn words(status: StatusCode, body: &[u8]) -> String {
    let code = status.as_u16();
    let said = match serde_json::from_slice::<ErrorAnswer>(body) {
        Ok(ErrorAnswer { message: Some(message), .. }) if !message.is_empty() => message,
        Ok(ErrorAnswer { id: Some(id), .. }) if !id.is_empty() => id,
        _ => status.canonical_reason().unwrap_or("no explanation").to_owned(),
    };
    // An error body may repeat the request.
    truncate(&scrub(&format!("{code}: {said}")), MESSAGE)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// How long until the moment that `ratelimit-reset` names, in seconds since 1970.
fn until_reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let reset = Timestamp::from_second(i64::try_from(number(headers, "ratelimit-reset")?).ok()?).ok()?;
    Duration::try_from(reset.duration_since(answered_at(headers).unwrap_or(now))).ok()
}

/// When the answer was made, on the clock that its times are told by: ours may be minutes away.
fn answered_at(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
}

fn told(headers: &HeaderMap, now: Timestamp) -> Told {
    let count = |name| number(headers, name).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    Told { limit: count("ratelimit-limit"), remaining: count("ratelimit-remaining"), reset: until_reset(headers, now) }
}

/// How long a 429 asks to wait: `retry-after` comes with the minute's limit only.
fn pause(headers: &HeaderMap, now: Timestamp) -> Duration {
    let asked = number(headers, RETRY_AFTER.as_str()).map(Duration::from_secs);
    let pause = asked.or_else(|| until_reset(headers, now)).unwrap_or(UNTOLD_PAUSE);
    pause.clamp(Duration::from_secs(1), LONGEST_PAUSE)
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
