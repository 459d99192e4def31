//! Which files of the machine are the sandbox's, and what they are called there.

use super::problem::Problem;
use crate::agent::wire::WORKSPACE;
use std::io;
use std::path::{Component, Path, PathBuf};

const ALLOWED: [&str; 3] = [WORKSPACE, "/home/sandbox", "/tmp"];

/// The folders the file routes reach: `/workspace`, `/home/sandbox` and `/tmp`, or their likes below another folder.
#[derive(Debug)]
pub struct Roots {
    /// Sandbox path and real path, links resolved, of each.
    folders: Vec<(PathBuf, PathBuf)>,
    moved: bool,
}

/// A file by both its names.
#[derive(Debug)]
pub struct Place {
    /// On this machine, links resolved.
    pub host: PathBuf,
    /// As the sandbox's user knows it.
    pub sandbox: PathBuf,
}

impl Roots {
    /// The folders themselves, or below `root` where one is given; there all of them are made.
    ///
    /// # Errors
    /// When `root` cannot be made or read.
    pub fn new(root: Option<&Path>) -> io::Result<Self> {
        let mut folders = Vec::new();
        for name in ALLOWED.map(Path::new) {
            let host = match root {
                Some(root) => root.join(name.strip_prefix("/").unwrap_or(name)),
                None => name.to_owned(),
            };
            // An image decides which of the real folders it has, except the one where commands start.
            if root.is_some() || name == Path::new(WORKSPACE) {
                std::fs::create_dir_all(&host)?;
            }
            folders.push((name.to_owned(), host.canonicalize().unwrap_or(host)));
        }
        Ok(Self { folders, moved: root.is_some() })
    }

    /// What commands must know when the sandbox's folders are somewhere else.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let names = if self.moved { &["SANDBOX_WORKSPACE", "HOME", "TMPDIR"][..] } else { &[] };
        names.iter().zip(&self.folders).map(|(name, (_, host))| (*name, host.clone())).collect()
    }

    /// Where a command starts. Outside the sandbox's folders any directory of the machine is possible: a command can
    /// go there anyway.
    pub fn working_directory(&self, cwd: &str) -> Result<PathBuf, Problem> {
        let path = absolute(cwd, "cwd")?;
        let host = self.host(&path).unwrap_or(path);
        match host.metadata() {
            Ok(found) if found.is_dir() => Ok(host),
            Ok(_) => Err(Problem::Bad(format!("cwd {cwd:?} is not a directory"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Problem::Bad(format!("cwd {cwd:?} does not exist; make it first or use {WORKSPACE}")))
            }
            Err(error) => Err(Problem::on_path(cwd, "cannot use cwd", error)),
        }
    }

    /// A file or directory that exists.
    pub fn existing(&self, path: &str) -> Result<Place, Problem> {
        let wanted = self.allowed(path)?;
        let host = wanted.canonicalize().map_err(|error| Problem::on_path(path, "cannot look at the path", error))?;
        self.place(host).ok_or_else(|| Problem::Outside(path.to_owned()))
    }

    /// Where a file may be written; neither it nor its parents need to exist.
    pub fn writable(&self, path: &str) -> Result<Place, Problem> {
        let wanted = self.allowed(path)?;
        let mut missing = Vec::new();
        let mut known = wanted.as_path();
        // A dangling link exists for this check, then fails to resolve: writing through it could end anywhere.
        while known.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let (Some(name), Some(parent)) = (known.file_name(), known.parent()) else { break };
            missing.push(name);
            known = parent;
        }
        let mut host = known.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Outside(path.to_owned()),
            _ => Problem::on_path(path, "cannot look at the path", error),
        })?;
        host.extend(missing.into_iter().rev());
        self.place(host).ok_or_else(|| Problem::Outside(path.to_owned()))
    }

    /// The real path of a sandbox path made by the agent itself.
    pub fn host(&self, sandbox: &Path) -> Option<PathBuf> {
        self.folders.iter().find_map(|(name, host)| Some(joined(host, sandbox.strip_prefix(name).ok()?)))
    }

    /// What the sandbox's user calls a real path; outside the sandbox's folders the path itself.
    pub fn sandbox(&self, host: &Path) -> PathBuf {
        self.place(host.to_owned()).map_or_else(|| host.to_owned(), |place| place.sandbox)
    }

    fn allowed(&self, path: &str) -> Result<PathBuf, Problem> {
        self.host(&absolute(path, "path")?).ok_or_else(|| Problem::Outside(path.to_owned()))
    }

    fn place(&self, host: PathBuf) -> Option<Place> {
        let inside = |(name, folder): &(PathBuf, PathBuf)| Some(joined(name, host.strip_prefix(folder).ok()?));
        let sandbox = self.folders.iter().find_map(inside)?;
        Some(Place { host, sandbox })
    }
}

// `join` with an empty path would add a slash at the end.
fn joined(base: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { base.to_owned() } else { base.join(rest) }
}

/// The path with `.` and `..` resolved by name, beginning at the workspace.
fn absolute(path: &str, field: &str) -> Result<PathBuf, Problem> {
    if path.is_empty() || path.contains('\0') {
        return Err(Problem::field("", field, format!("{path:?} is not a path")));
    }
    let mut plain = PathBuf::from("/");
    for part in Path::new(WORKSPACE).join(path).components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(plain)
}
