//! Connections, each within bounds: as many as fit, and beyond them a few that are told so; whoever does not say what they
//! want, and whoever reads nothing, keeps none for long. A reader that was dropped can come back and resume.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at once, when nobody says how many.
pub const CONNECTIONS: usize = 16_384;
/// Connections beyond those: they learn how the gateway is, and that it is full.
const SPARE: usize = 64;
/// How long the head of a request may take on one of them.
const SPARE_HEAD: Duration = Duration::from_secs(5);
/// A connection that nobody is behind any more is found out after about two minutes, whatever it is used for.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two questions whether somebody still is.
const PROBE: Duration = Duration::from_secs(15);
/// After a connection that could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);
/// Most that is read ahead of a connection, in bytes: the largest head that is looked at at all.
const AHEAD: usize = 64 * 1024;

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many there are at once; further ones are told that it is full.
    pub connections: usize,
    /// How long the head of a request may take to come, and the next request after one.
    pub head: Duration,
    /// How long a reader may take nothing at all while there is something for it.
    pub reader: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: CONNECTIONS, head: Duration::from_secs(30), reader: Duration::from_secs(120) }
    }
}

/// Serves until `stop`, then lets requests that are being done come to their end. `full` answers those for whom there is
/// no place; each of its answers should close its connection.
pub async fn serve(listener: TcpListener, router: Router, full: Router, bounds: Bounds, stop: CancellationToken) {
    let (places, spares) = (Arc::new(Semaphore::new(bounds.connections)), Arc::new(Semaphore::new(SPARE)));
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            // They are never closed.
            let Ok(spare) = Arc::clone(&spares).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((connection, _)) => {
                    let (place, router, head) = match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => (place, router.clone(), bounds.head),
                        Err(_) => (spare, full.clone(), bounds.head.min(SPARE_HEAD)),
                    };
                    _ = connections.spawn(talk(Place::new(connection, place, bounds), router, head, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn talk(connection: Place, router: Router, head: Duration, stop: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head).max_buf_size(AHEAD);
    let serving = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router)).with_upgrades();
    let mut serving = pin!(serving);
    tokio::select! {
        // How a connection ends is its client's business.
        _ = serving.as_mut() => return,
        () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

/// A connection and its place among them, which it keeps also when it is a WebSocket by now.
struct Place {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    _place: OwnedSemaphorePermit,
}

impl Place {
    fn new(connection: TcpStream, place: OwnedSemaphorePermit, bounds: Bounds) -> Self {
        // Events are small and should not wait for one another.
        let _ = connection.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE);
        let _ = SockRef::from(&connection).set_tcp_keepalive(&keepalive);
        let mut stream = TimeoutStream::new(connection);
        stream.set_write_timeout(Some(bounds.reader));
        Self { stream: Box::pin(stream), _place: place }
    }
}

impl AsyncRead for Place {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Place {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures::{StreamExt, stream};
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    const WITHIN: Duration = Duration::from_secs(60);
    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";

    /// Says when it is dropped.
    struct Told(Option<oneshot::Sender<()>>);

    impl Drop for Told {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                let _ = sender.send(());
            }
        }
    }

    async fn served(router: Router, bounds: Bounds) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let full = Router::new().fallback(async || (http::StatusCode::SERVICE_UNAVAILABLE, [("connection", "close")]));
        tokio::spawn(serve(listener, router, full, bounds, stop.clone()));
        (address, stop)
    }

    /// What comes until the connection is closed, or reset.
    async fn rest(mut connection: TcpStream) -> String {
        let mut all = Vec::new();
        let _ = timeout(WITHIN, connection.read_to_end(&mut all)).await.expect("an end in time");
        String::from_utf8(all).expect("text")
    }

    #[tokio::test]
    async fn a_reader_that_reads_nothing_is_dropped() {
        let (sender, dropped) = oneshot::channel();
        let told = std::sync::Mutex::new(Some(Told(Some(sender))));
        let endless = move || {
            let told = told.lock().expect("no panic").take();
            let body = stream::repeat_with(move || {
                let _ = &told;
                Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 65536]))
            });
            std::future::ready(Body::from_stream(body.boxed()))
        };
        let endless = std::sync::Arc::new(endless);
        let router = Router::new().route("/", get(move || endless()));
        let bounds = Bounds { reader: Duration::from_millis(100), ..Bounds::default() };
        let (address, _stop) = served(router, bounds).await;
        let mut reader = TcpStream::connect(address).await.expect("a connection");
        reader.write_all(ASK).await.expect("asked");
        timeout(WITHIN, dropped).await.expect("dropped in time").expect("told");
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_and_a_silent_connection_are_given_up() {
        let bounds = Bounds { head: Duration::from_millis(100), ..Bounds::default() };
        let (address, _stop) = served(Router::new().route("/", get(async || "ok")), bounds).await;
        for begin in [&b""[..], b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ", ASK] {
            let mut connection = TcpStream::connect(address).await.expect("a connection");
            connection.write_all(begin).await.expect("written");
            let answer = rest(connection).await;
            assert_eq!(answer.starts_with("HTTP/1.1 200"), begin == ASK, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_connection_too_many_is_told_so_and_has_its_place_when_there_is_one() {
        let bounds = Bounds { connections: 2, ..Bounds::default() };
        let (address, stop) = served(Router::new().route("/", get(async || "ok")), bounds).await;
        let ask = async || {
            let mut connection = TcpStream::connect(address).await.expect("the system takes it");
            connection.write_all(ASK).await.expect("asked");
            let mut begin = [0; 12];
            timeout(WITHIN, connection.read_exact(&mut begin)).await.expect("in time").expect("an answer");
            (connection, String::from_utf8_lossy(&begin).into_owned())
        };
        let held = [ask().await, ask().await];
        assert!(held.iter().all(|(_, begin)| begin == "HTTP/1.1 200"));
        // More than there are to spare, one after another: each gives its place back.
        for _ in 0..=SPARE {
            let (connection, begin) = ask().await;
            assert_eq!(begin, "HTTP/1.1 503");
            rest(connection).await;
        }
        drop(held);
        let again = async {
            while ask().await.1 != "HTTP/1.1 200" {
                tokio::task::yield_now().await;
            }
        };
        timeout(WITHIN, again).await.expect("there is a place again");
        stop.cancel();
    }
}
