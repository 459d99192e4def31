//! Connections that end when nobody reads what is sent on them: whoever stopped listening keeps no memory, and can come
//! back and resume.

use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

/// How long a reader may take nothing at all while there is something for it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// After a connection that could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Accepts such connections.
pub struct Patient {
    listener: TcpListener,
    patience: Duration,
}

impl Patient {
    /// With so much patience.
    pub fn new(listener: TcpListener, patience: Duration) -> Self {
        Self { listener, patience }
    }
}

impl Listener for Patient {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((connection, from)) => {
                    // Events are small and should not wait for one another.
                    let _ = connection.set_nodelay(true);
                    let mut connection = TimeoutStream::new(connection);
                    connection.set_write_timeout(Some(self.patience));
                    return (Box::pin(connection), from);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures::{StreamExt, stream};
    use std::convert::Infallible;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::oneshot;

    /// Says when it is dropped.
    struct Told(Option<oneshot::Sender<()>>);

    impl Drop for Told {
        fn drop(&mut self) {
            if let Some(sender) = self.0.take() {
                let _ = sender.send(());
            }
        }
    }

    #[tokio::test]
    async fn a_reader_that_reads_nothing_is_dropped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
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
        let patient = Patient::new(listener, Duration::from_millis(100));
        let served = tokio::spawn(async move { axum::serve(patient, router).await });
        let mut reader = TcpStream::connect(address).await.expect("a connection");
        reader.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("asked");
        let ended = tokio::time::timeout(Duration::from_secs(60), dropped).await;
        ended.expect("dropped in time").expect("told");
        served.abort();
    }
}
