//! From a sandbox to here.

use super::{AT_ONCE, MAX_DEPTH, Tally, is_folder, on, too_deep};
use crate::agent::client::AgentClient;
use crate::agent::wire::FileEntry;
use crate::claims::command::remote::Remote;
use crate::failure::{Failure, chain};
use futures::{StreamExt, TryStreamExt, stream};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

/// Permissions of a file whose own are not known.
const ORDINARY: u32 = 0o644;

/// One file on its way.
struct Job {
    from: String,
    to: PathBuf,
    mode: u32,
}

/// Copies the file or folder to `to`, or into it where that is a folder.
pub async fn copy(agent: &AgentClient, from: &Remote, to: &Path) -> Result<Tally, Failure> {
    let folder = is_folder(agent, &from.path).await?;
    let into = to.is_dir() || !folder && to.to_string_lossy().ends_with('/');
    let target = if into && !from.content { to.join(plain(from.name())?) } else { to.to_owned() };
    if folder {
        return self::folder(agent, from.path.clone(), target).await;
    }
    if from.folder {
        return Err(Failure::new(format!("{} is not a folder in the sandbox", from.path)));
    }
    let entries = agent.list_files(from.parent()).await.unwrap_or_default();
    let mode = entries.iter().find(|entry| entry.name == from.name()).map_or(ORDINARY, mode);
    let bytes = fetch(agent, Job { from: from.path.clone(), to: target, mode }).await?;
    Ok(Tally { files: 1, bytes })
}

/// One folder after the other, the files of each a few at a time.
async fn folder(agent: &AgentClient, from: String, to: PathBuf) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut folders = vec![(from, to, 0)];
    while let Some((from, to, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            return Err(too_deep(&from));
        }
        std::fs::create_dir_all(&to).map_err(|error| here(&to, &error))?;
        let mut jobs = Vec::new();
        for entry in agent.list_files(&from).await.map_err(|error| on(&from, error))? {
            let target = to.join(plain(&entry.name)?);
            let source = format!("{from}/{}", entry.name);
            if entry.is_dir {
                folders.push((source, target, depth + 1));
            } else {
                jobs.push(Job { from: source, to: target, mode: mode(&entry) });
            }
        }
        let mut got = stream::iter(jobs).map(|job| fetch(agent, job)).buffer_unordered(AT_ONCE);
        while let Some(bytes) = got.try_next().await? {
            tally.add(bytes);
        }
    }
    Ok(tally)
}

/// A name from the sandbox, whose programs are not trusted: it must not lead anywhere else.
fn plain(name: &str) -> Result<&str, Failure> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(part)), None) if part == name => Ok(name),
        _ => Err(Failure::new(format!("the sandbox has a file named {name:?}, which is no name for one here"))),
    }
}

/// Without the bits that make a program run as somebody else.
fn mode(entry: &FileEntry) -> u32 {
    u32::from_str_radix(&entry.permissions, 8).map_or(ORDINARY, |mode| mode & 0o777)
}

/// Writes beside the target and moves it there when it is whole.
async fn fetch(agent: &AgentClient, job: Job) -> Result<u64, Failure> {
    let failed = |error: std::io::Error| here(&job.to, &error);
    let mut chunks = agent.download(&job.from).await.map_err(|error| on(&job.from, error))?;
    let beside = job.to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = NamedTempFile::new_in(beside).map_err(failed)?;
    let mut file = tokio::fs::File::from_std(temporary.as_file().try_clone().map_err(failed)?);
    let mut bytes = 0;
    while let Some(chunk) = chunks.try_next().await.map_err(|error| on(&job.from, error))? {
        bytes += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    temporary.as_file().set_permissions(Permissions::from_mode(job.mode)).map_err(failed)?;
    temporary.persist(&job.to).map_err(|error| failed(error.error))?;
    Ok(bytes)
}

fn here(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {}", path.display(), chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for bad in ["..", ".", "", "a/b", "/etc", "a/"] {
            assert!(plain(bad).is_err(), "{bad:?}");
        }
        assert_eq!(plain("a b").ok(), Some("a b"));
    }
}
