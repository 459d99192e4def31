//! Files.

use super::frame::{Frame, bytes};
use super::session::Session;
use super::{ConsoleError, Refusal};
use crate::agent::wire::{FileEntry, WORKSPACE};
use crate::providers::ConsoleAddress;
use bytes::{Buf, Bytes, BytesMut};
use data_encoding::{BASE64, HEXLOWER};
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;

/// The largest file either way, in bytes: some minutes at the pace of a console.
pub const MAX_FILE: u64 = 256 * 1024 * 1024;
/// The largest listing of a folder, in bytes.
const MAX_LIST: usize = 4 * 1024 * 1024;
/// Bytes of a file that are sent in one piece, and then waited for.
const PIECE: usize = 48 * 1024;
/// Longest wait for the next word of a script that moves a file.
const SILENCE: Duration = Duration::from_secs(60);

/// A sandbox path, made absolute.
pub(super) fn absolute(path: &str) -> String {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{WORKSPACE}/{path}") };
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
}

async fn open(
    address: &ConsoleAddress,
    script: &str,
    path: &str,
    more: &[(&str, &str)],
) -> Result<Session, ConsoleError> {
    if path.is_empty() || path.contains('\0') {
        return Err(ConsoleError::Invalid(format!("{path:?} is not a path")));
    }
    let mut variables = vec![("W", path)];
    variables.extend(more);
    Session::run(address, script, &variables).await
}

async fn next(session: &mut Session, path: &str) -> Result<Frame, ConsoleError> {
    let frame = session.next(Instant::now() + SILENCE).await?;
    match Refusal::of(&frame.word) {
        Some(refusal) => Err(ConsoleError::Path { path: path.to_owned(), refusal }),
        None => Ok(frame),
    }
}

async fn expect(session: &mut Session, path: &str, word: &str, rest: &str) -> Result<(), ConsoleError> {
    let frame = next(session, path).await?;
    let same = frame.word == word && frame.rest == rest;
    if same { Ok(()) } else { Err(ConsoleError::Damaged("the sandbox has other bytes than were sent")) }
}

/// Writes a file, making its folders. It is written beside its name and takes it only when it is there whole, by its
/// digest; a session that breaks leaves what was there before. With permissions such as `755`, else those that the
/// file had, else 644.
///
/// # Errors
/// When the console or the source fails, the file is too large, or the sandbox refuses the path.
pub async fn upload<E: std::fmt::Display>(
    address: &ConsoleAddress,
    path: &str,
    mode: Option<u32>,
    mut content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<u64, ConsoleError> {
    let path = absolute(path);
    let mode = mode.map(|mode| format!("{mode:o}")).unwrap_or_default();
    let mut session = open(address, include_str!("scripts/put.sh"), &path, &[("M", &mode)]).await?;
    expect(&mut session, &path, "go", "").await?;
    let (mut hash, mut total, mut sent) = (Sha256::new(), 0, 0_u64);
    let mut waiting = BytesMut::new();
    loop {
        let more = content.next().await.transpose().map_err(|error| ConsoleError::Source(error.to_string()))?;
        let ended = more.is_none();
        waiting.extend_from_slice(&more.unwrap_or_default());
        while waiting.len() >= PIECE || (ended && !waiting.is_empty()) {
            let piece = waiting.split_to(waiting.len().min(PIECE));
            hash.update(&piece);
            total += piece.len() as u64;
            if total > MAX_FILE {
                let most = MAX_FILE / 1024 / 1024;
                return Err(ConsoleError::Invalid(format!(
                    "{path} is larger than {most} MiB; use mode Service for it"
                )));
            }
            let text = BASE64.encode(&piece);
            session.send(&format!("{}\n{text}", text.len())).await?;
            sent += 1;
            expect(&mut session, &path, "got", &sent.to_string()).await?;
        }
        if ended {
            break;
        }
    }
    session.send(&format!(".{}\n", HEXLOWER.encode(&hash.finalize()))).await?;
    expect(&mut session, &path, "done", "").await?;
    session.close().await;
    Ok(total)
}

/// A file on its way here.
pub struct Download {
    session: Session,
    path: String,
    /// Bytes that the file has.
    pub size: u64,
    got: u64,
    hash: Sha256,
}

/// Opens a file.
///
/// # Errors
/// When the console fails, the file is too large, or the sandbox refuses the path.
pub async fn download(address: &ConsoleAddress, path: &str) -> Result<Download, ConsoleError> {
    let path = absolute(path);
    let mut session = open(address, include_str!("scripts/get.sh"), &path, &[]).await?;
    let frame = next(&mut session, &path).await?;
    let size = frame.rest.parse().ok().filter(|_| frame.word == "size");
    let size = size.ok_or(ConsoleError::Damaged("no size"))?;
    if size > MAX_FILE {
        let most = MAX_FILE / 1024 / 1024;
        return Err(ConsoleError::Invalid(format!("{path} is larger than {most} MiB; use mode Service for it")));
    }
    Ok(Download { session, path, size, got: 0, hash: Sha256::new() })
}

impl Download {
    /// The next bytes; None at the end, once size and digest have shown that all came as it is there.
    ///
    /// # Errors
    /// When the console fails, or the file changed while it was read.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ConsoleError> {
        let frame = next(&mut self.session, &self.path).await?;
        match frame.word.as_str() {
            "b" => {
                let piece = bytes(&frame.rest)?;
                self.got += piece.len() as u64;
                self.hash.update(&piece);
                if self.got > self.size {
                    return Err(ConsoleError::Damaged("the file grew while it was read"));
                }
                Ok(Some(piece.into()))
            }
            "digest" => {
                let digest = HEXLOWER.encode(&std::mem::take(&mut self.hash).finalize());
                let whole = self.got == self.size && frame.rest == digest;
                if whole { Ok(None) } else { Err(ConsoleError::Damaged("the file changed while it was read")) }
            }
            _ => Err(ConsoleError::Damaged("an unknown word")),
        }
    }
}

/// The entries of a folder, by name.
///
/// # Errors
/// When the console fails, the listing is too long, or the sandbox refuses the path.
pub async fn list(address: &ConsoleAddress, path: &str) -> Result<Vec<FileEntry>, ConsoleError> {
    let path = absolute(path);
    let mut session = open(address, include_str!("scripts/list.sh"), &path, &[]).await?;
    let mut text = BytesMut::new();
    loop {
        let frame = next(&mut session, &path).await?;
        match frame.word.as_str() {
            "b" => text.extend_from_slice(&bytes(&frame.rest)?),
            "done" => break,
            _ => return Err(ConsoleError::Damaged("an unknown word")),
        }
        if text.len() > MAX_LIST {
            return Err(ConsoleError::Invalid(format!("{path} has too many entries to list")));
        }
    }
    session.close().await;
    let mut files = Vec::new();
    while let Some(end) = text.iter().position(|byte| *byte == 0) {
        let line = text.split_to(end);
        text.advance(1);
        files.push(entry(&path, &String::from_utf8_lossy(&line))?);
    }
    files.sort_by(|a: &FileEntry, b| a.name.cmp(&b.name));
    Ok(files)
}

/// An entry out of kind, size, permissions and name.
fn entry(folder: &str, line: &str) -> Result<FileEntry, ConsoleError> {
    let mut words = line.splitn(4, ' ');
    let (kind, size, mode, name) = (words.next(), words.next(), words.next(), words.next());
    let (Some(kind), Some(size), Some(mode), Some(name)) = (kind, size, mode, name) else {
        return Err(ConsoleError::Damaged("an entry is torn"));
    };
    let is_dir = kind == "d";
    Ok(FileEntry {
        name: name.to_owned(),
        path: format!("{folder}/{name}"),
        is_dir,
        size: size.parse().ok().filter(|_| !is_dir),
        permissions: u32::from_str_radix(mode, 8)
            .map_or_else(|_| "644".to_owned(), |mode| format!("{:03o}", mode & 0o777)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_with_blanks_in_its_name() {
        let read = entry("/workspace", "f 12 1755 a b  c").expect("an entry");
        assert_eq!((read.name.as_str(), read.size, read.permissions.as_str()), ("a b  c", Some(12), "755"));
        assert_eq!(read.path, "/workspace/a b  c");
        assert!(entry("/workspace", "d 4096").is_err());
    }

    #[test]
    fn paths_begin_at_the_workspace() {
        assert_eq!(["x/y", "/tmp/z/", "/workspace"].map(absolute), ["/workspace/x/y", "/tmp/z", "/workspace"]);
    }
}
