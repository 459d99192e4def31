//! Between one operator and the cloud: writes down which calls this operator
//! makes, since the cloud cannot tell two operators with one token apart.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;

/// One call as it came: when, and its method and path.
type Seen = (Timestamp, String);

/// Passes calls on, and writes them down. Ends when dropped.
pub struct Recorder {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _serving: AbortOnDropHandle<()>,
}

struct Way {
    cloud: String,
    http: reqwest::Client,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Recorder {
    /// Listens in front of the cloud at this address.
    pub async fn before(cloud: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let way = Way { cloud: cloud.to_owned(), http: reqwest::Client::new(), seen: Arc::clone(&seen) };
        let router = Router::new().fallback(pass_on).with_state(Arc::new(way));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, seen, _serving: AbortOnDropHandle::new(serving) }
    }

    /// What an operator takes for the cloud's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The calls that came after a moment, in words.
    pub fn since(&self, moment: Timestamp) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|(time, _)| *time > moment).map(|(time, what)| format!("{time} {what}")).collect()
    }
}

async fn pass_on(State(way): State<Arc<Way>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let seen = (Timestamp::now(), format!("{} {path}", request.method()));
    way.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    let (mut parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    parts.headers.remove(header::HOST);
    let call = way.http.request(parts.method, format!("{}{path}", way.cloud)).headers(parts.headers).body(body);
    let Ok(answer) = call.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let Ok(body) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
