//! One request, to the app and back.
//!
//! Every request has a connection of its own: the way is short, no stale connection is ever met, and whoever goes
//! away takes the connection to the app with him.

use super::headers;
use crate::agent::activity::Activity;
use crate::agent::server::Agent;
use crate::agent::server::problem::Problem;
use crate::agent::{hop, pulse};
use crate::failure::chain;
use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, StatusCode, Uri, Version};
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// Where a request goes.
#[derive(Debug)]
pub struct Target {
    /// Where the app listens.
    pub port: u16,
    /// What of the path the app does not see, without a slash at its end.
    pub prefix: String,
    /// What it is asked for.
    pub path: PathAndQuery,
}

/// The connection to the app; dropping it ends it.
type Connection = AbortOnDropHandle<Result<(), hyper::Error>>;

/// Passes the request to the app and gives its answer, or the other end of what they both upgraded to.
pub async fn forward(agent: &Agent, target: Target, mut request: Request) -> Result<Response, Problem> {
    let Target { port, prefix, path } = target;
    let stream = connect(agent, port).await?;
    let client = hyper::upgrade::on(&mut request);
    let (mut parts, body) = request.into_parts();
    let (prefix, protocol) = headers::to_app(&mut parts.headers, port, &prefix);
    parts.uri = Uri::from(path);
    parts.version = Version::HTTP_11;
    let activity = Activity::new();
    let seen = activity.clone();
    let body = body.map_frame(move |frame| {
        seen.touch();
        frame
    });
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke(port, &error))?;
    let connection: Connection = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
    let mut response = tokio::select! {
        answer = sender.send_request(Request::from_parts(parts, body)) => answer.map_err(|error| broke(port, &error))?,
        () = activity.silence(agent.answer_limit) => return Err(silent(port, agent.answer_limit)),
    };
    let changed = headers::from_app(response.headers_mut(), &prefix);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(streamed(response, connection));
    }
    let (Some(_), Some(changed)) = (protocol, changed) else {
        return Err(Problem::Gateway(format!("the app on port {port} changed to a protocol nobody asked for")));
    };
    Ok(switched(response, client, connection, changed, agent.heartbeat))
}

/// A connection to whatever listens on the port. Many development servers listen on the first address of `localhost`
/// only, which may be either.
pub async fn connect(agent: &Agent, port: u16) -> Result<TcpStream, Problem> {
    let (real, limit) = (agent.shared_ports.real(port), agent.answer_limit);
    let both = async {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, real)).await {
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                TcpStream::connect((Ipv6Addr::LOCALHOST, real)).await.map_err(|_| refused)
            }
            other => other,
        }
    };
    let stream = timeout(limit, both).await.map_err(|_| silent(port, limit))?.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            Problem::Gateway(format!("nothing listens on port {port} inside the sandbox (on 127.0.0.1 or ::1)"))
        }
        _ => Problem::Gateway(format!("cannot connect to port {port} inside the sandbox: {error}")),
    })?;
    // Small pieces must not wait for each other.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn broke(port: u16, error: &hyper::Error) -> Problem {
    Problem::Gateway(format!("the app on port {port} broke off, or does not speak HTTP: {}", chain(error)))
}

fn silent(port: u16, limit: Duration) -> Problem {
    Problem::GatewayTimeout(format!("the app on port {port} sent no answer within {} s", limit.as_secs_f64()))
}

/// The answer, whose body keeps the connection.
fn streamed(response: http::Response<Incoming>, connection: Connection) -> Response {
    let (mut parts, body) = response.into_parts();
    // The app's may be 1.0, over which nothing could be streamed.
    parts.version = Version::HTTP_11;
    let body = body.map_frame(move |frame| {
        let _kept = &connection;
        frame
    });
    Response::from_parts(parts, Body::new(body))
}

/// The answer that changes the protocol; from then on bytes pass both ways until both ends have said their last.
fn switched(
    mut response: http::Response<Incoming>,
    client: OnUpgrade,
    connection: Connection,
    protocol: HeaderValue,
    heartbeat: Duration,
) -> Response {
    let app = hyper::upgrade::on(&mut response);
    let period = (protocol.as_bytes().eq_ignore_ascii_case(b"websocket")).then_some(heartbeat);
    tokio::spawn(async move {
        let _kept = connection;
        if let (Ok(app), Ok(client)) = tokio::join!(app, client) {
            let _ = pulse::join(TokioIo::new(client), TokioIo::new(app), period).await;
        }
    });
    hop::upgrade(response.headers_mut(), protocol);
    let (parts, _) = response.into_parts();
    Response::from_parts(parts, Body::empty())
}
