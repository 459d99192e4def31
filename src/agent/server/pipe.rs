//! Reading a command's output to its end, where the end is not always end-of-file.
//!
//! A command may leave a process in the background that holds the pipe open (`server &`). Waiting for end-of-file
//! would then last as long as that process. After the command's own exit, everything already written is read at once,
//! and at most [`PATIENCE`] is spent on waiting for more.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Time spent waiting for more output after the command's exit, in all.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// One end of a pipe from a command.
#[derive(Debug)]
pub struct Pipe<R> {
    reader: R,
    exited: CancellationToken,
    patience: Duration,
}

impl<R: AsyncRead + Unpin + Send + 'static> Pipe<R> {
    /// `exited` is cancelled when the command has ended.
    pub fn new(reader: R, exited: CancellationToken) -> Self {
        Self { reader, exited, patience: PATIENCE }
    }

    /// The next bytes; 0 when there will be no more.
    ///
    /// # Errors
    /// As the operating system says.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.patience.is_zero() {
            return Ok(0);
        }
        let (exited, patience) = (self.exited.clone(), self.patience);
        let mut waited_from = None;
        let read = tokio::select! {
            biased;
            read = self.reader.read(buffer) => Some(read),
            () = async { exited.cancelled().await; waited_from = Some(Instant::now()); sleep(patience).await } => None,
        };
        if let Some(from) = waited_from {
            self.patience = self.patience.saturating_sub(from.elapsed());
        }
        read.unwrap_or_else(|| {
            self.patience = Duration::ZERO;
            Ok(0)
        })
    }

    /// Goes on reading in the background, for nobody: closing the pipe would kill a process that still writes.
    pub fn discard(mut self) {
        tokio::spawn(async move { tokio::io::copy(&mut self.reader, &mut tokio::io::sink()).await });
    }
}
