//! Archives on their way into the store and out of it: counted, digested, never whole in memory.

use super::manifest::Manifest;
use super::snapshots::{SnapshotError, Snapshots};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

/// What one call to the store carries; a whole archive may have 10,000 of them.
const PART: usize = 5 * 1024 * 1024;
/// Parts on their way at once, each in memory.
const AT_ONCE: usize = 2;

/// An archive that is being written.
pub(super) struct Writer {
    out: BufWriter,
    archive: String,
    digest: Sha256,
    bytes: u64,
}

/// An archive that is whole in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) archive: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Writer {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, key: Path, archive: String) -> Self {
        let out = BufWriter::with_capacity(objects, key, PART).with_max_concurrency(AT_ONCE);
        Self { out, archive, digest: Sha256::new(), bytes: 0 }
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn put(&mut self, piece: Bytes) -> object_store::Result<()> {
        self.digest.update(&piece);
        self.bytes += piece.len() as u64;
        self.out.put(piece).await
    }

    /// From here on the archive is in the store, and nothing speaks of it yet.
    pub(super) async fn finish(mut self) -> object_store::Result<Stored> {
        let store = "archive";
        let ended = self.out.shutdown().await;
        ended.map_err(|error| object_store::Error::Generic { store, source: Box::new(error) })?;
        Ok(Stored { archive: self.archive, bytes: self.bytes, sha256: HEXLOWER.encode(&self.digest.finalize()) })
    }

    /// Takes back what was sent, as far as the store lets.
    pub(super) async fn abort(mut self) {
        if let Err(error) = self.out.abort().await {
            tracing::debug!(%error, "parts of an archive stay in the store until its lifecycle rule removes them");
        }
    }
}

/// An archive that is being read.
pub(super) struct Reader {
    from: Snapshots,
    name: String,
    pieces: BoxStream<'static, object_store::Result<Bytes>>,
    digest: Sha256,
    bytes: u64,
    promised: u64,
    sha256: Option<String>,
}

impl Reader {
    pub(super) fn new(
        from: Snapshots,
        manifest: &Manifest,
        pieces: BoxStream<'static, object_store::Result<Bytes>>,
    ) -> Self {
        let (name, sha256) = (manifest.snapshot_id.clone(), manifest.sha256.clone());
        Self { from, name, pieces, digest: Sha256::new(), bytes: 0, promised: manifest.size_bytes, sha256 }
    }

    /// The next piece. `None` is said only when all of them together are what the manifest promises.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, SnapshotError> {
        if let Some(piece) = self.pieces.next().await {
            let piece = piece.map_err(|source| self.from.failed("read an archive", source))?;
            self.digest.update(&piece);
            self.bytes += piece.len() as u64;
            return Ok(Some(piece));
        }
        let digest = HEXLOWER.encode(&std::mem::take(&mut self.digest).finalize());
        let wrong = match &self.sha256 {
            _ if self.bytes != self.promised => format!("{} bytes came, not {}", self.bytes, self.promised),
            Some(promised) if *promised != digest => format!("its digest is {digest}, not {promised}"),
            _ => return Ok(None),
        };
        Err(self.from.corrupt(&self.name, wrong))
    }
}
