//! The snapshots of one namespace.

use super::manifest::Manifest;
use super::name::{BadName, check_name};
use super::stream::{Reader, Writer};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

/// The manifest's name, beside its archive.
const MANIFEST: &str = "metadata.json";
/// The largest manifest that is read, in bytes.
const LARGEST_MANIFEST: u64 = 1024 * 1024;
/// Manifests that are read at once for a list.
const AT_ONCE: usize = 8;

/// Why a snapshot cannot be used, made or removed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not a name at all.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// There is none with this name, or it was never finished.
    #[error("there is no snapshot {name} in {place}")]
    Missing {
        /// The name.
        name: String,
        /// The store and namespace.
        place: String,
    },
    /// What is stored is not what its manifest says.
    #[error("snapshot {name} in {place} is damaged: {why}")]
    Corrupt {
        /// The name.
        name: String,
        /// The store and namespace.
        place: String,
        /// What does not fit.
        why: String,
    },
    /// The store does not answer, or refuses.
    #[error("cannot {what} in {place}")]
    Store {
        /// What was asked.
        what: &'static str,
        /// The store and namespace.
        place: String,
        /// Its answer.
        #[source]
        source: object_store::Error,
    },
}

impl SnapshotError {
    /// Whether asking again could help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Store { .. })
    }
}

/// What a list shows.
#[derive(Debug, Default)]
pub struct Listed {
    /// Finished snapshots, the newest first.
    pub snapshots: Vec<Manifest>,
    /// Names of those whose manifest cannot be read.
    pub damaged: Vec<String>,
}

/// The snapshots of one namespace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshots {
    objects: Arc<dyn ObjectStore>,
    folder: Path,
    place: String,
}

impl Snapshots {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, folder: Path, place: String) -> Self {
        Self { objects, folder, place }
    }

    /// Store and namespace, for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What a finished snapshot holds.
    ///
    /// # Errors
    /// [`SnapshotError::Missing`] also when one was begun and not finished.
    pub async fn get(&self, name: &str) -> Result<Manifest, SnapshotError> {
        check_name(name)?;
        let found = match self.objects.get(&self.key(name, MANIFEST)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(self.missing(name)),
            Err(source) => return Err(self.failed("read a manifest", source)),
        };
        if found.meta.size > LARGEST_MANIFEST {
            return Err(self.corrupt(name, format!("{MANIFEST} has {} bytes", found.meta.size)));
        }
        let text = found.bytes().await.map_err(|source| self.failed("read a manifest", source))?;
        let read: Result<Manifest, _> = serde_json::from_slice(&text);
        let manifest = read.map_err(|error| self.corrupt(name, format!("{MANIFEST}: {error}")))?;
        if manifest.snapshot_id != name || !manifest.is_plain() {
            return Err(self.corrupt(name, format!("{MANIFEST} is not its own")));
        }
        Ok(manifest)
    }

    /// The same, after all of its archive was read and fits the digest.
    ///
    /// # Errors
    /// [`SnapshotError::Corrupt`] where it does not.
    pub async fn check(&self, name: &str) -> Result<Manifest, SnapshotError> {
        let manifest = self.get(name).await?;
        let mut reader = self.open(&manifest).await?;
        while reader.next().await?.is_some() {}
        Ok(manifest)
    }

    /// Every finished snapshot.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn list(&self) -> Result<Listed, SnapshotError> {
        let found = self.objects.list_with_delimiter(Some(&self.folder)).await;
        let folders = found.map_err(|source| self.failed("list the snapshots", source))?.common_prefixes;
        let names = folders.iter().filter_map(|folder| folder.filename().map(str::to_owned));
        let mut read = stream::iter(names).map(async |name| (self.get(&name).await, name)).buffer_unordered(AT_ONCE);
        let mut listed = Listed::default();
        while let Some((manifest, name)) = read.next().await {
            match manifest {
                Ok(manifest) => listed.snapshots.push(manifest),
                // Begun and not finished, or no snapshot at all.
                Err(SnapshotError::Missing { .. } | SnapshotError::BadName(_)) => {}
                Err(SnapshotError::Corrupt { .. }) => listed.damaged.push(name),
                Err(error) => return Err(error),
            }
        }
        let key = |manifest: &Manifest| (-manifest.created_at, manifest.snapshot_id.clone());
        listed.snapshots.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
        listed.damaged.sort();
        Ok(listed)
    }

    /// Removes a snapshot, also one that was never finished; false if nothing was there.
    ///
    /// # Errors
    /// When the store does not answer; what is left then is no snapshot any more, and the same call removes it.
    pub async fn remove(&self, name: &str) -> Result<bool, SnapshotError> {
        check_name(name)?;
        let failed = |source| self.failed("remove a snapshot", source);
        let there = |result: object_store::Result<()>| match result {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(failed(source)),
        };
        let found: Vec<_> =
            self.objects.list(Some(&self.folder.clone().join(name))).try_collect().await.map_err(failed)?;
        // First the manifest: half of a snapshot is none.
        there(self.objects.delete(&self.key(name, MANIFEST)).await)?;
        for object in &found {
            there(self.objects.delete(&object.location).await)?;
        }
        Ok(!found.is_empty())
    }

    /// Names that begin so, of unfinished snapshots too, with the time at which the store last took something in for each.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn written(&self, prefix: &str) -> Result<Vec<(String, Timestamp)>, SnapshotError> {
        let failed = |source| self.failed("list the snapshots", source);
        let folders = self.objects.list_with_delimiter(Some(&self.folder)).await.map_err(failed)?.common_prefixes;
        let mut written = Vec::new();
        for folder in folders {
            let Some(name) = folder.filename().filter(|name| name.starts_with(prefix)) else { continue };
            let objects: Vec<_> = self.objects.list(Some(&folder)).try_collect().await.map_err(failed)?;
            let newest = objects.iter().map(|object| object.last_modified.timestamp()).max();
            // What has just been removed has none.
            let newest = newest.and_then(|second| Timestamp::from_second(second).ok());
            written.extend(newest.map(|newest| (name.to_owned(), newest)));
        }
        Ok(written)
    }

    /// Begins an archive, under a key that nobody else writes.
    pub(super) fn begin(&self, name: &str) -> Writer {
        let archive = format!("archive-{}.tar.gz", uuid::Uuid::new_v4().simple());
        Writer::new(Arc::clone(&self.objects), self.key(name, &archive), archive)
    }

    /// Makes a snapshot of an archive that is whole in the store; another one of the name is replaced.
    pub(super) async fn finish(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let name = &manifest.snapshot_id;
        let text = serde_json::to_vec_pretty(manifest).map_err(|error| self.corrupt(name, error.to_string()))?;
        let put = self.objects.put(&self.key(name, MANIFEST), text.into()).await;
        put.map(drop).map_err(|source| self.failed("write a manifest", source))
    }

    /// The archive of a snapshot, checked as it is read.
    pub(super) async fn open(&self, manifest: &Manifest) -> Result<Reader, SnapshotError> {
        let name = &manifest.snapshot_id;
        match self.objects.get(&self.key(name, &manifest.archive)).await {
            Ok(found) if found.meta.size != manifest.size_bytes => {
                let why = format!("the archive has {} bytes, not {}", found.meta.size, manifest.size_bytes);
                Err(self.corrupt(name, why))
            }
            Ok(found) => Ok(Reader::new(self.clone(), manifest, found.into_stream())),
            Err(object_store::Error::NotFound { .. }) => Err(self.corrupt(name, "its archive is gone".to_owned())),
            Err(source) => Err(self.failed("read an archive", source)),
        }
    }

    fn key(&self, name: &str, object: &str) -> Path {
        self.folder.clone().join(name).join(object)
    }

    fn missing(&self, name: &str) -> SnapshotError {
        SnapshotError::Missing { name: name.to_owned(), place: self.place.clone() }
    }

    pub(super) fn corrupt(&self, name: &str, why: String) -> SnapshotError {
        SnapshotError::Corrupt { name: name.to_owned(), place: self.place.clone(), why }
    }

    pub(super) fn failed(&self, what: &'static str, source: object_store::Error) -> SnapshotError {
        SnapshotError::Store { what, place: self.place.clone(), source }
    }
}

#[cfg(test)]
#[path = "snapshots_tests.rs"]
mod tests;
