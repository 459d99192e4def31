//! The operator's way to the API server: one layer around every request.
//!
//! Nothing here repeats a request: kube's default would repeat a write up to
//! 15 times, long after the plan behind it and the lease are old. Reconciles
//! come back by themselves ([`super::backoff`]), watches too.

use super::clock::ServerClock;
use super::lease::LeaseHandle;
use crate::failpoints;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Either, Full};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, Service};

/// How long anything but a watch may take, its body included.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// No whole answer came in time. Whether a write took effect is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no whole answer to {what} within {timeout:?}")]
pub struct RequestTimeout {
    what: String,
    timeout: Duration,
}

/// The request was not sent: this process does not hold the Lease.
#[derive(Debug, thiserror::Error)]
#[error("{what} is not sent: this process does not lead")]
pub struct NotLeader {
    what: String,
}

/// A client whose requests tell who sends them, teach `clock` the API
/// server's time, end within [`REQUEST_TIMEOUT`] unless they are watches, are
/// never repeated, and pass a crash point if they change something (writes of
/// Leases, Events and access reviews apart). `component` ends up in the
/// API server's audit log (`sandbar/<version> (<component>)`).
///
/// # Errors
/// When the configuration's TLS or credentials cannot be used.
pub fn build_client(config: Config, component: &str, clock: &ServerClock) -> kube::Result<Client> {
    build(config, component, OutboundLayer::new(clock.clone()))
}

/// The same for what only a leader may do: writes (Leases, Events and access
/// reviews apart) are sent only while `fence` is open, and end with it.
///
/// # Errors
/// When the configuration's TLS or credentials cannot be used.
pub fn build_fenced_client(
    config: Config,
    component: &str,
    clock: &ServerClock,
    fence: LeaseHandle,
) -> kube::Result<Client> {
    build(config, component, OutboundLayer::new(clock.clone()).fence(fence))
}

fn build(mut config: Config, component: &str, layer: OutboundLayer) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let agent = format!("sandbar/{} ({component})", env!("CARGO_PKG_VERSION"));
    if let Ok(agent) = HeaderValue::from_str(&agent) {
        config.headers.push((header::USER_AGENT, agent));
    }
    Ok(ClientBuilder::try_from(config)?.with_layer(&layer).build())
}

/// Wraps the service that carries requests; see [`build_client`].
#[derive(Clone, Debug)]
pub struct OutboundLayer {
    clock: ServerClock,
    timeout: Duration,
    fence: Option<LeaseHandle>,
}

impl OutboundLayer {
    /// A layer that teaches this clock, with [`REQUEST_TIMEOUT`].
    pub fn new(clock: ServerClock) -> Self {
        Self { clock, timeout: REQUEST_TIMEOUT, fence: None }
    }

    /// The same with another time limit for everything but watches.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets writes pass only while this fence is open.
    #[must_use]
    pub fn fence(mut self, fence: LeaseHandle) -> Self {
        self.fence = Some(fence);
        self
    }
}

impl<S> Layer<S> for OutboundLayer {
    type Service = Outbound<S>;

    fn layer(&self, inner: S) -> Outbound<S> {
        Outbound { inner, layer: self.clone() }
    }
}

/// The service that [`OutboundLayer`] makes.
#[derive(Clone, Debug)]
pub struct Outbound<S> {
    inner: S,
    layer: OutboundLayer,
}

impl<S, B> Service<Request<Body>> for Outbound<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: BodyExt<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Either<B, Full<Bytes>>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let what = format!("{} {}", request.method(), request.uri().path());
        let (writes, watch) = (changes_something(&request), is_watch(&request));
        let OutboundLayer { clock, mut timeout, fence } = self.layer.clone();
        if let Some(fence) = fence.filter(|_| writes) {
            timeout = timeout.min(fence.valid_for());
            if timeout.is_zero() {
                return Box::pin(std::future::ready(Err(NotLeader { what }.into())));
            }
        }
        let call = writes.then(|| failpoints::before(&what));
        let sent = clock.ticks().now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let exchange = async {
                let answer = answer.await.map_err(Into::into)?;
                clock.learn(answer.headers(), sent, clock.ticks().now());
                let (parts, body) = answer.into_parts();
                let body = if watch { Either::Left(body) } else { Either::Right(whole(body).await?) };
                Ok(Response::from_parts(parts, body))
            };
            let answer = if watch {
                exchange.await
            } else {
                let late = |_| BoxError::from(RequestTimeout { what: what.clone(), timeout });
                tokio::time::timeout(timeout, exchange).await.map_err(late).flatten()
            };
            if let Some(call) = call {
                failpoints::after(&what, call);
            }
            answer
        })
    }
}

/// Read here, so that the time limit covers the body too.
async fn whole<B>(body: B) -> Result<Full<Bytes>, BoxError>
where
    B: BodyExt<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    Ok(Full::new(body.collect().await.map_err(Into::into)?.to_bytes()))
}

fn is_watch(request: &Request<Body>) -> bool {
    let watches = |pair: &str| matches!(pair, "watch=true" | "watch=1" | "follow=true");
    request.uri().query().is_some_and(|query| query.split('&').any(watches))
}

/// Leases and Events are not part of what the operator does to the world, and
/// an access review changes nothing.
fn changes_something(request: &Request<Body>) -> bool {
    let aside = ["/apis/coordination.k8s.io/", "/apis/events.k8s.io/", "/apis/authorization.k8s.io/"];
    let path = request.uri().path();
    request.method() != Method::GET && !aside.iter().any(|prefix| path.starts_with(prefix))
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
