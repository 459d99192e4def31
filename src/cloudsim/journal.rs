//! The state on disk: one JSON line per change, the last one of a thing wins.
//!
//! A line is written whole by one call, so a killed simulator loses at most
//! the line it was writing; a half line at the end is dropped at the start.

use super::app::App;
use super::settings::AccountSettings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "state.jsonl";

/// Why the state could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder or its files cannot be used.
    #[error("cannot keep state in {path}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another simulator holds the folder.
    #[error("{0} is used by another simulator")]
    InUse(PathBuf),
    /// A line is not what this simulator writes.
    #[error("{path}, line {line} is not a state of this simulator: {problem}")]
    Damaged { path: PathBuf, line: usize, problem: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Account { name: String, settings: Box<AccountSettings> },
    App(Box<App>),
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Kept {
    pub accounts: BTreeMap<String, AccountSettings>,
    /// Oldest first.
    pub apps: Vec<App>,
}

/// Where changes are written.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// Holds the folder against a second simulator.
    _lock: File,
}

impl Journal {
    /// Opens or begins the state in a folder, shortened to one line per thing.
    ///
    /// # Errors
    /// When the folder cannot be used, is in use, or holds something else.
    pub fn open(folder: &Path) -> Result<(Self, Kept), JournalError> {
        let failed = |source| JournalError::Io { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|_| JournalError::InUse(folder.to_owned()))?;
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(failed)?,
        };
        let kept = read(&text, &path)?;
        let fresh = folder.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh).map_err(failed)?;
        file.write_all(&shortest(&kept).map_err(failed)?).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(failed)?;
        Ok((Self { file, _lock: lock }, kept))
    }

    /// Notes an app as it is now.
    pub fn app(&mut self, app: &App) {
        self.write(&Line::App(Box::new(app.clone())));
    }

    /// Notes an account as it is now.
    pub fn account(&mut self, name: &str, settings: &AccountSettings) {
        self.write(&Line::Account { name: name.to_owned(), settings: Box::new(settings.clone()) });
    }

    fn write(&mut self, line: &Line) {
        let written = bytes(line).and_then(|bytes| self.file.write_all(&bytes));
        if let Err(error) = written {
            tracing::error!(%error, "the simulated cloud could not keep a change over a restart");
        }
    }
}

fn bytes(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn shortest(kept: &Kept) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for (name, settings) in &kept.accounts {
        all.extend(bytes(&Line::Account { name: name.clone(), settings: Box::new(settings.clone()) })?);
    }
    for app in &kept.apps {
        all.extend(bytes(&Line::App(Box::new(app.clone())))?);
    }
    Ok(all)
}

fn read(text: &str, path: &Path) -> Result<Kept, JournalError> {
    let mut kept = Kept::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.ends_with('\n') {
            break;
        }
        let damaged = |error: serde_json::Error| JournalError::Damaged {
            path: path.to_owned(),
            line: index + 1,
            problem: error.to_string(),
        };
        match serde_json::from_str(line).map_err(damaged)? {
            Line::Account { name, settings } => {
                kept.accounts.insert(name, *settings);
            }
            Line::App(app) => match places.get(&app.id) {
                Some(place) => kept.apps[*place] = *app,
                None => {
                    places.insert(app.id.clone(), kept.apps.len());
                    kept.apps.push(*app);
                }
            },
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_wins_and_a_half_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal.account("a", &AccountSettings::with_token("one"));
        journal.account("a", &AccountSettings::with_token("two"));
        journal.file.write_all(br#"{"account":{"name":"a","#).unwrap();
        drop(journal);
        let (_journal, kept) = Journal::open(folder.path()).unwrap();
        assert_eq!(kept.accounts["a"].tokens, ["two"]);
        assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_second_simulator_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Journal::open(folder.path()).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::InUse(_))));
    }

    #[test]
    fn a_foreign_file_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "hello\n").unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Damaged { line: 1, .. })));
    }
}
