//! The two ends of a connection that changed its protocol, joined. A WebSocket that is silent for long is cut by what
//! stands in between, so its client gets a ping between two frames; its pong is one that nobody asked for, as RFC 6455
//! (section 5.5.3) allows.

use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_buf, split};
use tokio::time::timeout;

/// Silence of a WebSocket's server, after which its client gets a ping.
pub const PERIOD: Duration = Duration::from_secs(15);
/// A ping without a text, as servers send it.
const PING: [u8; 2] = [0x89, 0x00];
/// How long the client of a WebSocket may go on after its server has ended.
const LINGER: Duration = Duration::from_secs(60);
/// Bytes that are carried at once.
const PIECE: usize = 16 * 1024;

/// Carries bytes both ways until both ends have said their last; with a period for a WebSocket.
///
/// # Errors
/// When either end breaks.
pub async fn join<C, S>(client: C, server: S, period: Option<Duration>) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let ((said, shown), (answers, heard)) = (split(client), split(server));
    let up = async {
        let mut heard = heard;
        copy_buf(&mut BufReader::with_capacity(PIECE, said), &mut heard).await?;
        heard.shutdown().await
    };
    let (mut up, mut down) = (pin!(up), pin!(down(answers, shown, period)));
    tokio::select! {
        ended = &mut up => {
            ended?;
            down.await
        }
        ended = &mut down => {
            ended?;
            match period {
                // After a close nothing follows, whether the client closes too or not.
                Some(_) => timeout(LINGER, up).await.unwrap_or(Ok(())),
                None => up.await,
            }
        }
    }
}

async fn down<F, T>(mut from: F, mut to: T, period: Option<Duration>) -> io::Result<()>
where
    F: AsyncRead + Unpin,
    T: AsyncWrite + Unpin,
{
    let (mut frames, mut buffer) = (Frames::default(), vec![0; PIECE]);
    loop {
        let read = match period {
            None => from.read(&mut buffer).await?,
            Some(period) => match timeout(period, from.read(&mut buffer)).await {
                Ok(read) => read?,
                Err(_) if frames.is_between() => {
                    to.write_all(&PING).await?;
                    to.flush().await?;
                    continue;
                }
                Err(_) => continue,
            },
        };
        if read == 0 {
            return to.shutdown().await;
        }
        frames.pass(&buffer[..read]);
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
    }
}

/// Where the frames of a WebSocket begin and end (RFC 6455, section 5.2).
#[derive(Debug, Default)]
struct Frames {
    /// The head of the frame that is coming, as far as it is there.
    head: [u8; 14],
    known: usize,
    /// Bytes of the frame's content that are still to come.
    left: u64,
    /// Nothing may follow.
    closed: bool,
}

impl Frames {
    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let step = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= step as u64;
                bytes = &bytes[step..];
                continue;
            }
            self.head[self.known] = *first;
            self.known += 1;
            bytes = rest;
            if let Some(length) = self.length() {
                self.closed |= self.head[0] & 0x0f == 8;
                (self.left, self.known) = (length, 0);
            }
        }
    }

    /// The length of the content, when the head is complete.
    fn length(&self) -> Option<u64> {
        let head = &self.head[..self.known];
        let second = *head.get(1)?;
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let (wide, short) = match second & 0x7f {
            126 => (2, None),
            127 => (8, None),
            short => (0, Some(u64::from(short))),
        };
        if head.len() < 2 + wide + mask {
            return None;
        }
        Some(short.unwrap_or_else(|| head[2..2 + wide].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))))
    }

    fn is_between(&self) -> bool {
        self.known == 0 && self.left == 0 && !self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::duplex;

    /// A frame with content of this length, as servers send it.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match u16::try_from(length) {
            Ok(short) if short < 126 => bytes.push(u8::try_from(short).expect("below 126")),
            Ok(short) => bytes.extend([126].into_iter().chain(short.to_be_bytes())),
            Err(_) => bytes.extend([127].into_iter().chain((length as u64).to_be_bytes())),
        }
        bytes.resize(bytes.len() + length, 0x89);
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_told_apart_however_they_come(
            lengths in prop::collection::vec(prop_oneof![0..130_usize, 65_000..66_000_usize], 1..6),
            step in 1..70_000_usize,
        ) {
            let mut frames = Frames::default();
            for length in lengths {
                let bytes = frame(0x82, length);
                let mut passed = 0;
                for piece in bytes.chunks(step) {
                    frames.pass(piece);
                    passed += piece.len();
                    prop_assert_eq!(frames.is_between(), passed == bytes.len());
                }
            }
            frames.pass(&frame(0x88, 2));
            prop_assert!(!frames.is_between(), "nothing follows the close");
        }
    }

    #[test]
    fn a_masked_frame_has_four_more_bytes() {
        let mut frames = Frames::default();
        frames.pass(&[0x81, 0x81, 1, 2, 3, 4]);
        assert!(!frames.is_between());
        frames.pass(b"x");
        assert!(frames.is_between());
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_websocket_shows_that_it_lives_and_never_within_a_frame() {
        let (mut client, near) = duplex(1024);
        let (far, mut server) = duplex(1024);
        let joined = tokio::spawn(join(near, far, Some(PERIOD)));
        let mut two = [0; 2];
        client.read_exact(&mut two).await.expect("a ping");
        assert_eq!(two, PING);
        server.write_all(&[0x82, 3, b'a']).await.expect("taken");
        tokio::time::sleep(PERIOD * 3).await;
        server.write_all(b"bc").await.expect("taken");
        let mut five = [0; 5];
        client.read_exact(&mut five).await.expect("a frame");
        assert_eq!(&five, b"\x82\x03abc");
        client.read_exact(&mut two).await.expect("a ping");
        client.write_all(b"pong").await.expect("taken");
        let mut four = [0; 4];
        server.read_exact(&mut four).await.expect("what the client says");
        drop((client, server));
        joined.await.expect("no panic").expect("both have ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_closes_is_left_behind() {
        let (client, near) = duplex(1024);
        let (far, server) = duplex(1024);
        let joined = tokio::spawn(join(near, far, Some(PERIOD)));
        drop(server);
        timeout(LINGER * 2, joined).await.expect("it ends").expect("no panic").expect("as it should");
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn another_protocol_is_carried_as_it_is() {
        let (mut client, near) = duplex(1024);
        let (far, mut server) = duplex(1024);
        let joined = tokio::spawn(join(near, far, None));
        tokio::time::sleep(PERIOD * 3).await;
        server.write_all(b"hello").await.expect("taken");
        server.shutdown().await.expect("an end");
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.expect("all of it");
        assert_eq!(all, b"hello");
        client.write_all(b"more").await.expect("the other direction goes on");
        drop(client);
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.expect("all of it");
        assert_eq!(all, b"more");
        joined.await.expect("no panic").expect("both have ended");
    }
}
