//! `sandbar cp`'s two ends: a path here, or a path in a run's sandbox.

use crate::agent::wire::WORKSPACE;
use crate::claims::check_id;
use std::path::PathBuf;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here(PathBuf),
    /// In the sandbox of a run.
    There(Remote),
}

/// A path in the sandbox of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Id of the run.
    pub id: String,
    /// Absolute, without a `/` or `/.` at its end.
    pub path: String,
    /// It was written with a `/` at its end: a folder is meant.
    pub folder: bool,
    /// It was written with a `/.` at its end: what is in the folder is meant, not the folder.
    pub content: bool,
}

impl Place {
    /// `ID:PATH` is there, everything else here; a file here whose name looks like that is written `./ID:PATH`.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((id, path)) if check_id(id).is_ok() => Self::There(Remote::new(id, path)),
            _ => Self::Here(PathBuf::from(text)),
        }
    }
}

impl Remote {
    fn new(id: &str, path: &str) -> Self {
        let content = path == "." || path.ends_with("/.");
        let folder = content || path.is_empty() || path.ends_with('/');
        let path = if content { &path[..path.len() - 1] } else { path };
        let path = path.trim_end_matches('/');
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{WORKSPACE}/{path}") };
        Self { id: id.to_owned(), path: path.trim_end_matches('/').to_owned(), folder, content }
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The path of the folder that it is in.
    pub fn parent(&self) -> &str {
        self.path.rsplit_once('/').map_or("/", |(parent, _)| if parent.is_empty() { "/" } else { parent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(text: &str) -> (String, bool, bool) {
        match Place::parse(text) {
            Place::There(remote) => (remote.path, remote.folder, remote.content),
            Place::Here(path) => panic!("{text} is read as the local {}", path.display()),
        }
    }

    #[test]
    fn an_id_and_a_colon_mean_the_sandbox() {
        assert_eq!(there("run-1:/tmp/x"), ("/tmp/x".to_owned(), false, false));
        assert_eq!(there("run-1:x/y"), ("/workspace/x/y".to_owned(), false, false));
        assert_eq!(there("run-1:"), ("/workspace".to_owned(), true, false));
        assert_eq!(there("run-1:/tmp/"), ("/tmp".to_owned(), true, false));
        assert_eq!(there("run-1:src/."), ("/workspace/src".to_owned(), true, true));
        assert_eq!(there("run-1:."), ("/workspace".to_owned(), true, true));
    }

    #[test]
    fn everything_else_is_a_path_here() {
        for here in ["x", "./run-1:x", "/a:b", "A:x", ".", ""] {
            assert_eq!(Place::parse(here), Place::Here(PathBuf::from(here)));
        }
    }
}
