//! A folder of this machine as the snapshot that an app is launched from.

use super::manifest::Manifest;
use super::snapshots::{SnapshotError, Snapshots};
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt;

/// What is never part of an app.
const LEFT_OUT: [&str; 4] = [".git", "node_modules", "__pycache__", ".venv"];
/// One piece on its way into the store.
const PIECE: usize = 1024 * 1024;
/// The deepest folder that is taken.
const DEEPEST: usize = 64;

/// Why a folder was not published; then there is no new snapshot.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file or folder here cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing of an app is in it.
    #[error("{} has no files", .0.display())]
    Empty(PathBuf),
    /// Folders in folders in folders.
    #[error("{} is deeper than {DEEPEST} folders", .0.display())]
    TooDeep(PathBuf),
    /// The snapshot or its store.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// Keeps the files of a folder as `/workspace/<app>` under this name. `.git`, `node_modules`, `__pycache__` and `.venv`
/// are left out: an app's `install` makes what it needs.
///
/// # Errors
/// [`PublishError`].
pub async fn publish(
    folder: &Path,
    app: &str,
    snapshots: &Snapshots,
    name: &str,
    description: Option<String>,
) -> Result<Manifest, PublishError> {
    super::check_name(name).map_err(SnapshotError::from)?;
    let (from, below) = (folder.to_owned(), Path::new("workspace").join(app));
    let packed = tokio::task::spawn_blocking(move || pack(&from, &below)).await;
    let unreadable = |source| PublishError::Unreadable { path: folder.to_owned(), source };
    let mut packed = tokio::fs::File::from_std(packed.map_err(|error| unreadable(io::Error::other(error)))??);
    let failed = |source| PublishError::from(snapshots.failed("write an archive", source));
    let mut writer = snapshots.begin(name);
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        if packed.read_buf(&mut piece).await.map_err(unreadable)? == 0 {
            break;
        }
        let sent: Result<(), _> = writer.put(Bytes::from(piece)).await;
        if let Err(error) = sent {
            writer.abort().await;
            return Err(failed(error));
        }
    }
    let stored = writer.finish().await.map_err(failed)?;
    let manifest = Manifest {
        snapshot_id: name.to_owned(),
        created_at: Timestamp::now().as_millisecond() as f64 / 1000.0,
        sandbox_image: None,
        size_bytes: stored.bytes,
        paths: vec![format!("/workspace/{app}")],
        description,
        tags: BTreeMap::from([("app".to_owned(), app.to_owned())]),
        archive: stored.archive,
        sha256: Some(stored.sha256),
    };
    snapshots.finish(&manifest).await?;
    Ok(manifest)
}

/// The archive, in a file that has no name.
fn pack(folder: &Path, below: &Path) -> Result<File, PublishError> {
    let unreadable = |source| PublishError::Unreadable { path: folder.to_owned(), source };
    let file = tempfile::tempfile().map_err(unreadable)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    // A link is kept as a link: what it leads to may not be the app's.
    archive.follow_symlinks(false);
    archive.mode(tar::HeaderMode::Deterministic);
    if add(&mut archive, folder, below, 0)? == 0 {
        return Err(PublishError::Empty(folder.to_owned()));
    }
    let packed = archive.into_inner().and_then(GzEncoder::finish);
    let mut file = packed.map_err(unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(file)
}

/// Adds a folder and all below it; gives the number of files.
fn add(
    archive: &mut tar::Builder<GzEncoder<File>>,
    folder: &Path,
    name: &Path,
    depth: usize,
) -> Result<u64, PublishError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| PublishError::Unreadable { path, source }
    };
    if depth > DEEPEST {
        return Err(PublishError::TooDeep(folder.to_owned()));
    }
    archive.append_dir(name, folder).map_err(unreadable(folder))?;
    let entries = std::fs::read_dir(folder).map_err(unreadable(folder))?;
    let mut entries: Vec<_> = entries.collect::<io::Result<_>>().map_err(unreadable(folder))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut files = 0;
    for entry in entries {
        let (path, file_name) = (entry.path(), entry.file_name());
        if LEFT_OUT.iter().any(|left_out| file_name == *left_out) {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable(&path))?;
        if kind.is_dir() {
            files += add(archive, &path, &name.join(&file_name), depth + 1)?;
        } else if kind.is_file() || kind.is_symlink() {
            archive.append_path_with_name(&path, name.join(&file_name)).map_err(unreadable(&path))?;
            files += 1;
        }
    }
    Ok(files)
}
