//! Out of a sandbox into the store and back, piece by piece through the agent.

use super::manifest::Manifest;
use super::pack::{self, PackError};
use super::snapshots::{SnapshotError, Snapshots};
use super::stream::{Stored, Writer};
use crate::agent::client::{AgentClient, AgentError};
use crate::agent::wire::WORKSPACE;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most that a snapshot holds by default, in bytes: what an App Platform container has of disk.
pub const DEFAULT_LIMIT: u64 = 2 * 1024 * 1024 * 1024;
/// One request with a piece of an archive: the platform's edge ends requests after 100 s.
const PIECE: usize = 8 * 1024 * 1024;
/// The same for an agent that takes files only inside JSON.
const SMALL_PIECE: usize = 3 * 1024 * 1024;
const PIECE_LIMIT: Duration = Duration::from_secs(100);
/// A piece is a file of its own and may be sent again.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What goes into a snapshot, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveOptions {
    /// Folders in or below `/workspace` and `/home/sandbox`.
    pub folders: Vec<String>,
    /// Patterns of tar for what is left out.
    pub exclude: Vec<String>,
    /// The most that the folders may hold, in bytes; the archive neither.
    pub limit: u64,
    /// The image that the sandbox runs.
    pub image: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// For people's tools.
    pub tags: BTreeMap<String, String>,
}

impl Default for SaveOptions {
    fn default() -> Self {
        Self {
            folders: vec![WORKSPACE.to_owned()],
            exclude: Vec::new(),
            limit: DEFAULT_LIMIT,
            image: None,
            description: None,
            tags: BTreeMap::new(),
        }
    }
}

/// Why a transfer did not come to its end. A snapshot is there whole, or not at all; a sandbox may have got some files.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The snapshot or its store.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The sandbox.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The archive changed its size on the way.
    #[error("the archive in the sandbox has {made} bytes, and {came} arrived")]
    Cut {
        /// What the sandbox said.
        made: u64,
        /// What came.
        came: u64,
    },
    /// Whoever asked is no longer to decide.
    #[error("given up before its end: another process decides now")]
    Fenced,
}

impl From<AgentError> for TransferError {
    fn from(error: AgentError) -> Self {
        Self::Pack(error.into())
    }
}

impl TransferError {
    /// Whether the same again could end better without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Snapshot(error) => error.is_passing(),
            Self::Pack(PackError::Agent(_)) | Self::Cut { .. } | Self::Fenced => true,
            Self::Pack(_) => false,
        }
    }
}

/// Keeps the sandbox's folders under this name. `may_finish` is asked last, right before the snapshot begins to exist.
///
/// # Errors
/// [`TransferError`]; then there is no new snapshot.
pub async fn save(
    agent: &AgentClient,
    snapshots: &Snapshots,
    name: &str,
    options: &SaveOptions,
    may_finish: impl Fn() -> bool,
) -> Result<Manifest, TransferError> {
    super::check_name(name).map_err(SnapshotError::from)?;
    let archive = temporary();
    let made = pack::pack(agent, &archive, &options.folders, &options.exclude, options.limit).await?;
    let stored = carry_out(agent, snapshots, name, &archive, made).await;
    pack::discard(agent, &archive).await;
    let stored = stored?;
    let manifest = Manifest {
        snapshot_id: name.to_owned(),
        created_at: Timestamp::now().as_millisecond() as f64 / 1000.0,
        sandbox_image: options.image.clone(),
        size_bytes: stored.bytes,
        paths: options.folders.clone(),
        description: options.description.clone(),
        tags: options.tags.clone(),
        archive: stored.archive,
        sha256: Some(stored.sha256),
    };
    if !may_finish() {
        return Err(TransferError::Fenced);
    }
    snapshots.finish(&manifest).await?;
    Ok(manifest)
}

/// What becomes of the files that are in the sandbox already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpack {
    /// They stay, but for those that the snapshot has too.
    Over,
    /// The snapshot's folders hold only what is in it.
    Instead,
    /// The same, unless a snapshot was put into this container for the same purpose before: what its holder has done
    /// since stays.
    Once {
        /// What the files are for; a word of letters.
        purpose: &'static str,
    },
}

/// Puts the files of a snapshot into the sandbox. `may_unpack` is asked last, right before the sandbox's files change.
///
/// Nothing is unpacked before the whole archive has arrived and fits its digest.
///
/// # Errors
/// [`TransferError`].
pub async fn restore(
    agent: &AgentClient,
    snapshots: &Snapshots,
    name: &str,
    how: Unpack,
    may_unpack: impl Fn() -> bool,
) -> Result<Manifest, TransferError> {
    let manifest = snapshots.get(name).await?;
    let archive = temporary();
    let done = carry_in(agent, snapshots, &manifest, &archive, how, may_unpack).await;
    if done.is_err() {
        pack::discard(agent, &archive).await;
    }
    done.map(|()| manifest)
}

fn temporary() -> String {
    format!(".sandbar-{:016x}", rand::random::<u64>())
}

async fn carry_out(
    agent: &AgentClient,
    snapshots: &Snapshots,
    name: &str,
    archive: &str,
    made: u64,
) -> Result<Stored, TransferError> {
    let failed = |source| snapshots.failed("write an archive", source);
    let mut pieces = agent.download(&format!("/tmp/{archive}")).await?;
    let mut writer = snapshots.begin(name);
    match fill(&mut writer, &mut pieces, made, failed).await {
        Ok(()) => Ok(writer.finish().await.map_err(failed)?),
        Err(error) => {
            writer.abort().await;
            Err(error)
        }
    }
}

async fn fill(
    writer: &mut Writer,
    pieces: &mut (impl futures::Stream<Item = Result<Bytes, AgentError>> + Unpin),
    made: u64,
    failed: impl Fn(object_store::Error) -> SnapshotError,
) -> Result<(), TransferError> {
    while let Some(piece) = pieces.try_next().await? {
        writer.put(piece).await.map_err(&failed)?;
        if writer.bytes() > made {
            break;
        }
    }
    if writer.bytes() == made { Ok(()) } else { Err(TransferError::Cut { made, came: writer.bytes() }) }
}

async fn carry_in(
    agent: &AgentClient,
    snapshots: &Snapshots,
    manifest: &Manifest,
    archive: &str,
    how: Unpack,
    may_unpack: impl Fn() -> bool,
) -> Result<(), TransferError> {
    // Wrong folders are no reason to have carried an archive for nothing.
    pack::relative(&manifest.paths)?;
    let mut reader = snapshots.open(manifest).await?;
    let mut sender = Sender { agent, archive, sent: 0, small: false };
    let mut waiting = BytesMut::new();
    while let Some(piece) = reader.next().await? {
        waiting.extend_from_slice(&piece);
        while waiting.len() >= PIECE {
            sender.send(waiting.split_to(PIECE).freeze()).await?;
        }
    }
    if !waiting.is_empty() {
        sender.send(waiting.freeze()).await?;
    }
    if !may_unpack() {
        return Err(TransferError::Fenced);
    }
    pack::unpack(agent, archive, manifest, how).await?;
    Ok(())
}

/// Puts an archive into the sandbox as files `archive.00000`, `archive.00001`, ...
struct Sender<'a> {
    agent: &'a AgentClient,
    archive: &'a str,
    sent: u32,
    /// The agent takes files only inside JSON.
    small: bool,
}

impl Sender<'_> {
    async fn send(&mut self, piece: Bytes) -> Result<(), AgentError> {
        if !self.small {
            match self.send_one(&piece).await {
                // An agent of the public images has no route for raw files.
                Err(AgentError::NotFound { .. }) => self.small = true,
                done => return done,
            }
        }
        for start in (0..piece.len()).step_by(SMALL_PIECE) {
            self.send_one(&piece.slice(start..piece.len().min(start + SMALL_PIECE))).await?;
        }
        Ok(())
    }

    async fn send_one(&mut self, piece: &Bytes) -> Result<(), AgentError> {
        let path = format!("/tmp/{}.{:05}", self.archive, self.sent);
        let mut tries = 1;
        loop {
            let sending = async {
                match self.small {
                    true => self.agent.write_file(&path, piece.clone()).await,
                    false => self.agent.upload(&path, Some(0o600), piece.clone()).await,
                }
            };
            let silent = || AgentError::Timeout { detail: format!("no answer within {} s", PIECE_LIMIT.as_secs()) };
            match tokio::time::timeout(PIECE_LIMIT, sending).await.unwrap_or_else(|_| Err(silent())) {
                Ok(()) => break,
                Err(AgentError::Unreachable { .. } | AgentError::Timeout { .. }) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.sent += 1;
        Ok(())
    }
}
