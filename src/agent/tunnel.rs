//! One TCP connection inside a WebSocket: what both ends of `GET /api/ports/{port}` do.
//!
//! Bytes are binary messages. An empty one says that its sender's direction has ended, as TCP's FIN does; when both
//! have, the WebSocket is closed. A WebSocket that ends before is a broken connection, and so is told to the TCP side:
//! it gets a reset, never an end that could be taken for the whole.

use bytes::{Bytes, BytesMut};
use futures::{Sink, SinkExt, Stream, StreamExt};
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, interval_at, timeout};
use tokio_util::sync::CancellationToken;

/// Largest message that either side takes, in bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// Bytes that are read at once.
const PIECE: usize = 32 * 1024;

const NEVER: Duration = Duration::from_secs(86_400 * 365);

/// What of a WebSocket matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes; none at all: the end of them.
    Data(Bytes),
    /// A sign of life, and the answer to one.
    Beat,
    /// The end of the WebSocket.
    Close,
}

/// Who looks after the connection while it is silent.
#[derive(Debug, Clone, Copy)]
pub enum Pulse {
    /// Sends a sign of life so often.
    Gives(Duration),
    /// Gives up when none has come for so long.
    Wants(Duration),
}

/// Why a tunnel ended before both sides had said their last.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The TCP side.
    #[error("the connection broke: {0}")]
    Tcp(#[from] std::io::Error),
    /// The WebSocket.
    #[error("the tunnel broke: {0}")]
    Socket(String),
}

/// Carries bytes both ways until both have ended.
///
/// # Errors
/// [`Broken`]; the TCP side has then been reset.
pub async fn carry<O, I, E>(mut tcp: TcpStream, mut out: O, incoming: I, pulse: Pulse) -> Result<(), Broken>
where
    O: Sink<Frame, Error = E> + Unpin,
    I: Stream<Item = Result<Frame, E>> + Unpin,
    E: fmt::Display,
{
    let (reader, writer) = tcp.split();
    let ends = Ends::default();
    let done = tokio::try_join!(outward(reader, &mut out, pulse, &ends), inward(writer, incoming, pulse, &ends));
    match done {
        // The other side may be gone by now: it had everything.
        Ok(_) => _ = out.send(Frame::Close).await,
        Err(_) => _ = tcp.set_zero_linger(),
    }
    done.map(drop)
}

/// Which directions have ended.
#[derive(Debug, Default)]
struct Ends {
    outward: CancellationToken,
    inward: CancellationToken,
}

async fn outward<O, E>(mut tcp: ReadHalf<'_>, out: &mut O, pulse: Pulse, ends: &Ends) -> Result<(), Broken>
where
    O: Sink<Frame, Error = E> + Unpin,
    E: fmt::Display,
{
    // A side that wants signs of life gives none but its answers.
    let period = if let Pulse::Gives(period) = pulse { period } else { NEVER };
    let mut beats = interval_at(Instant::now() + period, period);
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let open = !ends.outward.is_cancelled();
        let frame = tokio::select! {
            read = tcp.read_buf(&mut buffer), if open => {
                if read? == 0 {
                    ends.outward.cancel();
                }
                Frame::Data(buffer.split().freeze())
            }
            _ = beats.tick() => Frame::Beat,
            () = ends.inward.cancelled(), if !open => return Ok(()),
        };
        out.send(frame).await.map_err(|error| Broken::Socket(error.to_string()))?;
    }
}

async fn inward<I, E>(mut tcp: WriteHalf<'_>, mut incoming: I, pulse: Pulse, ends: &Ends) -> Result<(), Broken>
where
    I: Stream<Item = Result<Frame, E>> + Unpin,
    E: fmt::Display,
{
    let limit = if let Pulse::Wants(limit) = pulse { limit } else { NEVER };
    loop {
        let open = !ends.inward.is_cancelled();
        // Also after the last byte: signs of life are to be answered as long as the other direction goes on.
        let next = tokio::select! {
            // First: the other side closes as soon as it knows that both have ended.
            biased;
            () = ends.outward.cancelled(), if !open => return Ok(()),
            next = timeout(limit, incoming.next()) => next,
        };
        match next {
            Ok(Some(Ok(Frame::Data(bytes)))) if bytes.is_empty() => {
                tcp.shutdown().await?;
                ends.inward.cancel();
            }
            Ok(Some(Ok(Frame::Data(bytes)))) => tcp.write_all(&bytes).await?,
            Ok(Some(Ok(Frame::Beat))) => {}
            Ok(Some(Ok(Frame::Close)) | None) => return Err(Broken::Socket("the other side closed it".to_owned())),
            Ok(Some(Err(error))) => return Err(Broken::Socket(error.to_string())),
            Err(_) => return Err(Broken::Socket(format!("no sign of life for {} s", limit.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::channel::mpsc;
    use futures::stream;
    use std::convert::Infallible;
    use tokio::net::TcpListener;

    /// Both ends of one TCP connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        (here, listener.accept().await.expect("accepted").0)
    }

    type Out = mpsc::UnboundedSender<Frame>;

    fn socket() -> (Out, mpsc::UnboundedReceiver<Frame>) {
        mpsc::unbounded()
    }

    const QUIET: Pulse = Pulse::Gives(NEVER);

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (mut app, tcp) = pair().await;
        let (to_tunnel, incoming) = socket();
        let (out, mut sent) = socket();
        let tunnel = tokio::spawn(carry(tcp, out, incoming.map(Ok::<_, mpsc::SendError>), QUIET));
        to_tunnel.unbounded_send(Frame::Data(Bytes::from_static(b"question"))).expect("taken");
        to_tunnel.unbounded_send(Frame::Data(Bytes::new())).expect("taken");
        let mut question = String::new();
        app.read_to_string(&mut question).await.expect("to its end");
        assert_eq!(question, "question");
        app.write_all(b"answer").await.expect("written");
        assert_eq!(sent.next().await, Some(Frame::Data(Bytes::from_static(b"answer"))));
        drop(app);
        assert_eq!(sent.next().await, Some(Frame::Data(Bytes::new())));
        assert_eq!(sent.next().await, Some(Frame::Close));
        tunnel.await.expect("no panic").expect("both ended");
    }

    #[tokio::test]
    async fn the_others_close_after_both_ends_is_an_end() {
        // Which of two things that are ready is looked at first would be a matter of chance.
        for _ in 0..50 {
            let (app, tcp) = pair().await;
            drop(app);
            let (out, sent) = socket();
            let mut answered = false;
            let last = sent.filter_map(move |frame| {
                answered |= frame == Frame::Data(Bytes::new());
                std::future::ready(answered.then_some(frame))
            });
            let incoming = last.take(1).chain(stream::iter([Frame::Close]));
            carry(tcp, out, incoming.map(Ok::<_, mpsc::SendError>), QUIET).await.expect("both ended");
        }
    }

    #[tokio::test]
    async fn a_tunnel_that_breaks_is_no_end_but_a_reset() {
        for last in [Some(Frame::Close), None] {
            let (mut app, tcp) = pair().await;
            let incoming = stream::iter([Some(Frame::Data(Bytes::from_static(b"half"))), last].into_iter().flatten());
            let (out, _sent) = socket();
            let broken = carry(tcp, out, incoming.map(Ok::<_, mpsc::SendError>), QUIET).await;
            assert!(matches!(broken, Err(Broken::Socket(_))), "{broken:?}");
            let mut text = Vec::new();
            let error = app.read_to_end(&mut text).await.expect_err("not an end");
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn one_side_gives_signs_of_life_and_the_other_wants_them() {
        let (_app, tcp) = pair().await;
        let (out, mut sent) = socket();
        let silence = stream::pending::<Result<Frame, mpsc::SendError>>();
        let giving = tokio::spawn(carry(tcp, out, silence, Pulse::Gives(Duration::from_millis(20))));
        assert_eq!(sent.next().await, Some(Frame::Beat));
        assert_eq!(sent.next().await, Some(Frame::Beat));
        giving.abort();
        let (_app, tcp) = pair().await;
        let silence = stream::pending::<Result<Frame, Infallible>>();
        let nowhere = futures::sink::drain();
        let wanting = carry(tcp, nowhere, silence, Pulse::Wants(Duration::from_millis(20))).await;
        assert!(matches!(&wanting, Err(Broken::Socket(why)) if why.contains("no sign of life")), "{wanting:?}");
    }
}
