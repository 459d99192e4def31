//! The folder of one local world, held by the process that runs it.
//!
//! The lock file names that process. Only a living process can hold the lock,
//! so a stale number is never mistaken for a running world.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::Instant;

/// Why a folder cannot be used, or its world not be ended.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Another process holds the folder.
    #[error("a local world runs in {dir} already (process {pid})")]
    Taken {
        /// The folder.
        dir: PathBuf,
        /// The process that runs it.
        pid: i32,
    },
    /// Nobody holds the folder.
    #[error("no local world runs in {dir}")]
    Free {
        /// The folder.
        dir: PathBuf,
    },
    /// The world was asked to end and did not.
    #[error("the local world in {dir} (process {pid}) has not ended within {} s", within.as_secs())]
    Lingers {
        /// The folder.
        dir: PathBuf,
        /// The process that runs it.
        pid: i32,
        /// How long it had.
        within: Duration,
    },
    /// A file could not be used.
    #[error("cannot use {path}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A folder that this process holds until the value is dropped.
#[derive(Debug)]
pub struct Place {
    dir: PathBuf,
    lock: File,
}

impl Place {
    /// Takes the folder, makes it if need be, and removes what a world that
    /// was killed has left in it.
    ///
    /// # Errors
    /// [`PlaceError::Taken`] when a world runs in it.
    pub fn take(dir: &Path) -> Result<Self, PlaceError> {
        let used = |path: &Path, source| PlaceError::File { path: path.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(|error| used(dir, error))?;
        // Children run in other folders and get these paths.
        let dir = dir.canonicalize().map_err(|error| used(dir, error))?;
        let path = dir.join("lock");
        let mut lock = open(&path).map_err(|error| used(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PlaceError::Taken { pid: holder(&mut lock), dir }),
            Err(TryLockError::Error(error)) => return Err(used(&path, error)),
        }
        let place = Self { dir, lock };
        place.clear().and_then(|()| remove_dir(&place.logs())).map_err(|error| used(&place.dir, error))?;
        std::fs::create_dir_all(place.logs()).map_err(|error| used(&place.dir, error))?;
        (&place.lock).write_all(format!("{}\n", Pid::this()).as_bytes()).map_err(|error| used(&path, error))?;
        Ok(place)
    }

    /// The folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// State of the control plane and the cloud; removed at the end.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// One log per child. They stay after the end, for who wants to know why.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Variables for a shell.
    pub fn env(&self) -> PathBuf {
        self.dir.join("env")
    }

    fn clear(&self) -> io::Result<()> {
        remove_dir(&self.data())?;
        for file in [self.kubeconfig(), self.env()] {
            allow_missing(std::fs::remove_file(file))?;
        }
        self.lock.set_len(0)?;
        (&self.lock).rewind()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!(dir = %self.dir.display(), %error, "the folder of the local world could not be cleared");
        }
    }
}

/// Asks the process that holds `dir` to end and waits until it has let go,
/// which it does after its children are gone.
///
/// # Errors
/// [`PlaceError::Free`] when nobody holds it, [`PlaceError::Lingers`] when
/// it does not end `within` the time given.
pub async fn end(dir: &Path, within: Duration) -> Result<i32, PlaceError> {
    let path = dir.join("lock");
    let free = || PlaceError::Free { dir: dir.to_owned() };
    let mut lock = match File::options().read(true).write(true).open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(free()),
        Err(source) => return Err(PlaceError::File { path, source }),
    };
    let until = Instant::now() + within;
    let mut asked = 0;
    loop {
        match lock.try_lock() {
            Ok(()) if asked == 0 => return Err(free()),
            Ok(()) => return Ok(asked),
            Err(TryLockError::Error(source)) => return Err(PlaceError::File { path, source }),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(PlaceError::Lingers { dir: dir.to_owned(), pid: asked, within });
            }
            Err(TryLockError::WouldBlock) => {
                let pid = holder(&mut lock);
                // Zero: it holds the lock and has not written its number yet.
                if asked == 0 && pid != 0 && kill(Pid::from_raw(pid), Signal::SIGTERM).is_ok() {
                    asked = pid;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

/// The process id in a lock file, 0 when there is none (yet).
fn holder(lock: &mut File) -> i32 {
    let mut text = String::new();
    let read = lock.rewind().and_then(|()| lock.read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).filter(|pid| *pid > 1).unwrap_or(0)
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    allow_missing(std::fs::remove_dir_all(dir))
}

fn allow_missing(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_and_a_second_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let held = Place::take(dir.path()).unwrap();
        let refused = Place::take(dir.path()).unwrap_err();
        assert!(matches!(refused, PlaceError::Taken { pid, .. } if pid == Pid::this().as_raw()), "{refused}");
        drop(held);
        Place::take(dir.path()).unwrap();
    }

    #[test]
    fn what_a_killed_world_left_is_removed_and_logs_outlive_the_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data/etcd")).unwrap();
        std::fs::write(dir.path().join("env"), "old").unwrap();
        let place = Place::take(dir.path()).unwrap();
        assert!(!place.env().exists() && !place.data().exists());
        std::fs::write(place.logs().join("etcd.log"), "words").unwrap();
        drop(place);
        assert!(dir.path().join("logs/etcd.log").exists());
    }

    #[tokio::test]
    async fn a_stale_number_signals_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let bystander = std::process::Command::new("sleep").arg("600").spawn();
        let mut bystander = bystander.unwrap();
        std::fs::write(dir.path().join("lock"), format!("{}\n", bystander.id())).unwrap();
        let refused = end(dir.path(), Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(refused, PlaceError::Free { .. }), "{refused}");
        assert!(bystander.try_wait().unwrap().is_none());
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }
}
