//! From here into a sandbox.

use super::{AT_ONCE, MAX_DEPTH, Tally, is_folder, on, too_deep};
use crate::agent::client::{AgentClient, AgentError};
use crate::agent::wire::ExecRequest;
use crate::claims::command::remote::Remote;
use crate::failure::{Failure, chain};
use futures::{StreamExt, TryStreamExt, stream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio_util::io::ReaderStream;

/// Files up to this size can be written through the route that every agent has.
const SMALL: u64 = 4 * 1024 * 1024;

/// What is copied.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    name: String,
    folder: bool,
    content: bool,
}

/// One file on its way.
struct Job {
    from: PathBuf,
    to: String,
    mode: u32,
    bytes: u64,
}

impl Source {
    /// Looks at a path here, so that a mistyped one fails before anything else is asked.
    pub fn find(path: &Path) -> Result<Self, Failure> {
        let text = path.to_string_lossy();
        let content = text == "." || text.ends_with("/.");
        let real = path.canonicalize().map_err(|error| here(path, &error))?;
        let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = real.is_dir();
        // The name that was typed, not the one that a link leads to.
        let typed = path.file_name().filter(|_| !content).map(|name| name.to_string_lossy().into_owned());
        Ok(Self { path: real, name: typed.unwrap_or(name), folder, content })
    }
}

/// Copies the file or folder to `to`, or into it where that is a folder.
pub async fn copy(agent: &AgentClient, source: &Source, to: &Remote) -> Result<Tally, Failure> {
    let into = to.folder && !source.folder || is_folder(agent, &to.path).await?;
    let target = if into && !source.content { format!("{}/{}", to.path, source.name) } else { to.path.clone() };
    if source.folder {
        return folder(agent, &source.path, target).await;
    }
    let job = Job::new(source.path.clone(), target)?;
    let bytes = send(agent, job).await?;
    Ok(Tally { files: 1, bytes })
}

/// One folder after the other, the files of each a few at a time.
async fn folder(agent: &AgentClient, from: &Path, to: String) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut folders = vec![(from.to_owned(), to, 0)];
    while let Some((from, to, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            return Err(too_deep(&from.display().to_string()));
        }
        let (mut jobs, mut empty) = (Vec::new(), true);
        for entry in std::fs::read_dir(&from).map_err(|error| here(&from, &error))? {
            let path = entry.map_err(|error| here(&from, &error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(Failure::new(format!("{} has a name that is no text", path.display())));
            };
            let target = format!("{to}/{name}");
            let found = std::fs::metadata(&path).map_err(|error| here(&path, &error))?;
            if found.is_dir() {
                empty = false;
                folders.push((path, target, depth + 1));
            } else if found.is_file() {
                empty = false;
                jobs.push(Job::new(path, target)?);
            } else {
                eprintln!("left out {}: neither a file nor a folder", path.display());
            }
        }
        if empty {
            make_folder(agent, &to).await?;
        }
        let mut sent = stream::iter(jobs).map(|job| send(agent, job)).buffer_unordered(AT_ONCE);
        while let Some(bytes) = sent.try_next().await? {
            tally.add(bytes);
        }
    }
    Ok(tally)
}

impl Job {
    fn new(from: PathBuf, to: String) -> Result<Self, Failure> {
        let found = std::fs::metadata(&from).map_err(|error| here(&from, &error))?;
        if !found.is_file() {
            return Err(Failure::new(format!("{} is neither a file nor a folder", from.display())));
        }
        Ok(Self { mode: found.permissions().mode() & 0o777, bytes: found.len(), from, to })
    }
}

async fn send(agent: &AgentClient, job: Job) -> Result<u64, Failure> {
    let file = tokio::fs::File::open(&job.from).await.map_err(|error| here(&job.from, &error))?;
    let body = reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, 64 * 1024));
    match agent.upload(&job.to, Some(job.mode), body).await {
        Ok(()) => Ok(job.bytes),
        // Not Sandbar's own agent: it has only the route for small files.
        Err(AgentError::NotFound { .. }) if job.bytes <= SMALL => {
            let content = tokio::fs::read(&job.from).await.map_err(|error| here(&job.from, &error))?;
            agent.write_file(&job.to, content).await.map_err(|error| on(&job.to, error))?;
            Ok(job.bytes)
        }
        Err(AgentError::NotFound { .. }) => {
            Err(Failure::new(format!("{} is too large for this sandbox's agent", job.from.display()))
                .advice("its image takes files up to 4 MiB; use an image with Sandbar's own agent"))
        }
        Err(error) => Err(on(&job.to, error)),
    }
}

/// Files bring their folders with them; an empty folder has to be made.
async fn make_folder(agent: &AgentClient, path: &str) -> Result<(), Failure> {
    // Relative to one of the sandbox's folders, which the agent finds wherever they really are.
    let base = ["/workspace", "/home/sandbox", "/tmp"].into_iter().find(|base| path.starts_with(base)).unwrap_or("/");
    let below = path.strip_prefix(base).unwrap_or(path).trim_start_matches('/');
    if below.is_empty() {
        return Ok(());
    }
    let line = shlex::try_join(["mkdir", "-p", "--", below]).map_err(|_| Failure::new(format!("bad name {path:?}")))?;
    let made = agent.exec(&ExecRequest::new(line).cwd(base)).await.map_err(|error| on(path, error))?;
    match made.exit_code {
        0 => Ok(()),
        _ => Err(Failure::new(format!("cannot make {path} in the sandbox: {}", made.stderr.trim()))),
    }
}

fn here(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {}", path.display(), chain(error)))
}
