use super::*;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const BOUND: Duration = Duration::from_secs(20);

fn timings() -> Timings {
    Timings::of(Duration::from_millis(1500))
}

/// One Lease as an API server keeps it, and how it answers now.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    lease: Option<Lease>,
    version: u64,
    dead: bool,
    writes: u64,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                if server.0.lock().unwrap_or_else(PoisonError::into_inner).dead {
                    std::future::pending::<()>().await;
                }
                let (status, body) = server.answer(&parts.method, &body);
                Ok::<_, tower::BoxError>(Response::builder().status(status).body(Full::from(body))?)
            }
        });
        Client::new(service, "n")
    }

    fn answer(&self, method: &Method, body: &[u8]) -> (StatusCode, String) {
        let mut stored = self.0.lock().unwrap();
        let refuse = |code: StatusCode, reason: &str| {
            let status =
                serde_json::json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code.as_u16()});
            (code, status.to_string())
        };
        let current = stored.lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
        if method == Method::GET {
            return match &stored.lease {
                Some(lease) => (StatusCode::OK, serde_json::to_string(lease).unwrap()),
                None => refuse(StatusCode::NOT_FOUND, "NotFound"),
            };
        }
        let mut lease: Lease = serde_json::from_slice(body).unwrap();
        if method == Method::POST && current.is_some() {
            return refuse(StatusCode::CONFLICT, "AlreadyExists");
        }
        if method == Method::PUT && current != lease.metadata.resource_version {
            return refuse(StatusCode::CONFLICT, "Conflict");
        }
        stored.version += 1;
        stored.writes += 1;
        lease.metadata.resource_version = Some(stored.version.to_string());
        lease.metadata.uid = Some("u".into());
        stored.lease = Some(lease.clone());
        (StatusCode::OK, serde_json::to_string(&lease).unwrap())
    }

    fn kill(&self, dead: bool) {
        self.0.lock().unwrap().dead = dead;
    }

    fn holder(&self) -> Option<String> {
        self.0.lock().unwrap().lease.as_ref()?.spec.as_ref()?.holder_identity.clone()
    }
}

async fn acquire(server: &Server, identity: &str) -> Leadership {
    let acquire = Leadership::acquire(server.client(), "n", "l", identity, timings());
    tokio::time::timeout(BOUND, acquire).await.expect("leads within the bound")
}

#[tokio::test]
async fn the_holder_keeps_the_lease_and_its_fence_open() {
    let server = Server::default();
    let one = acquire(&server, "one").await;
    assert_eq!(server.holder().as_deref(), Some("one"));
    let started = Instant::now();
    while server.0.lock().unwrap().writes < 12 {
        assert!(one.valid_for() <= timings().renew_deadline);
        assert!(started.elapsed() < BOUND, "no renewals");
        tokio::task::yield_now().await;
    }
    assert!(one.handle().is_leader());
}

#[tokio::test]
async fn a_release_closes_the_fence_and_lets_the_next_one_lead() {
    let server = Server::default();
    let one = acquire(&server, "one").await;
    let handle = one.handle();
    let next = tokio::spawn({
        let server = server.clone();
        async move { acquire(&server, "two").await }
    });
    one.release().await;
    assert_eq!(handle.valid_for(), Duration::ZERO);
    let two = next.await.unwrap();
    assert_eq!(server.holder().as_deref(), Some("two"));
    assert!(two.handle().is_leader());
}

#[tokio::test]
async fn a_holder_that_cannot_renew_is_fenced_before_another_leads_s15() {
    let server = Server::default();
    let one = acquire(&server, "one").await;
    let fence = one.handle();
    server.kill(true);
    tokio::time::timeout(BOUND, one.lost()).await.expect("the loss is told");
    assert!(!fence.is_leader());
    server.kill(false);
    let two = acquire(&server, "two").await;
    assert!(two.handle().is_leader() && !fence.is_leader());
    // A second listener and a late one hear of it too.
    tokio::time::timeout(BOUND, one.lost()).await.expect("the loss stays told");
}

#[tokio::test]
async fn a_stopped_holder_is_fenced_by_time_alone_s15() {
    let server = Server::default();
    let one = acquire(&server, "one").await;
    // The thread stands still, as in a stopped process: no task of this
    // runtime runs, only time does.
    std::thread::sleep(timings().renew_deadline);
    assert!(!one.handle().is_leader());
}

#[tokio::test]
async fn a_dropped_leadership_is_fenced_and_not_renewed() {
    let server = Server::default();
    let one = acquire(&server, "one").await;
    let fence = one.handle();
    drop(one);
    assert!(!fence.is_leader());
    let two = acquire(&server, "two").await;
    assert!(two.handle().is_leader());
}

#[test]
fn identities_are_never_shared() {
    assert_ne!(unique_identity("pod"), unique_identity("pod"));
    assert!(unique_identity("pod").starts_with("pod_"));
}

#[test]
fn an_unfenced_handle_always_leads() {
    assert!(LeaseHandle::unfenced().valid_for() > Duration::from_secs(86_400));
}
