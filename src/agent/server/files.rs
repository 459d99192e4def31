//! Directories, and files inside JSON.

use super::input::{Body, Params};
use super::problem::Problem;
use super::roots::Place;
use super::transfer::{self, NewFile};
use super::{MAX_OUTPUT, Shared};
use crate::agent::wire::{Encoding, FileContent, FileEntry, FileList, WORKSPACE, WriteRequest, Written};
use axum::Json;
use axum::extract::State;
use data_encoding::BASE64;
use schemars::JsonSchema;
use serde::Deserialize;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

/// The query of `/api/files`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DirectoryQuery {
    /// Sandbox path; `/workspace` when not said.
    #[serde(default)]
    path: Option<String>,
}

/// The query of routes about one file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FileQuery {
    /// Sandbox path.
    pub path: String,
}

/// The entries of a directory; entries that vanish meanwhile are left out.
pub async fn list(
    State(agent): State<Shared>,
    Params(query): Params<DirectoryQuery>,
) -> Result<Json<FileList>, Problem> {
    let path = query.path.unwrap_or_else(|| WORKSPACE.to_owned());
    blocking(move || {
        let place = agent.roots.existing(&path)?;
        if !place.host.is_dir() {
            return Err(Problem::Bad(format!("{path:?} is not a directory")));
        }
        let entries = std::fs::read_dir(&place.host)
            .map_err(|error| Problem::on_path(&path, "cannot read the directory", error))?;
        let mut files: Vec<FileEntry> = entries.flatten().filter_map(|entry| describe(&place, &entry)).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Json(FileList { files }))
    })
    .await
}

fn describe(place: &Place, entry: &std::fs::DirEntry) -> Option<FileEntry> {
    // A link that leads nowhere is described by itself.
    let found = std::fs::metadata(entry.path()).or_else(|_| entry.metadata()).ok()?;
    Some(FileEntry {
        name: entry.file_name().to_string_lossy().into_owned(),
        path: place.sandbox.join(entry.file_name()).to_string_lossy().into_owned(),
        is_dir: found.is_dir(),
        size: if found.is_dir() { None } else { Some(found.len()) },
        permissions: format!("{:03o}", found.permissions().mode() & 0o777),
    })
}

/// A file of up to 16 MiB: as text, or as base64 when it is not UTF-8.
pub async fn read(State(agent): State<Shared>, Params(query): Params<FileQuery>) -> Result<Json<FileContent>, Problem> {
    blocking(move || {
        let (place, file) = transfer::open(&agent, &query.path)?;
        let mut bytes = Vec::new();
        file.take(MAX_OUTPUT as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Problem::on_path(&query.path, "cannot read the file", error))?;
        if bytes.len() > MAX_OUTPUT {
            let advice = "; GET /api/files/download has no limit";
            return Err(Problem::TooLarge { what: "the file", limit: MAX_OUTPUT as u64, advice });
        }
        let path = place.sandbox.to_string_lossy().into_owned();
        Ok(Json(match String::from_utf8(bytes) {
            Ok(content) => FileContent { content, path, encoding: None },
            Err(error) => {
                FileContent { content: BASE64.encode(error.as_bytes()), path, encoding: Some(Encoding::Base64) }
            }
        }))
    })
    .await
}

/// Replaces a file in one step, making its parent directories.
pub async fn write(State(agent): State<Shared>, Body(request): Body<WriteRequest>) -> Result<Json<Written>, Problem> {
    blocking(move || {
        let WriteRequest { path, content, encoding } = request;
        let bytes = match encoding {
            Some(Encoding::Base64) => BASE64
                .decode(content.as_bytes())
                .map_err(|error| Problem::field("body", "content", format!("not base64: {error}")))?,
            Some(Encoding::Utf8) | None => content.into_bytes(),
        };
        let new = NewFile::beside(&agent.roots, &path)?;
        let wrote = new.file().write_all(&bytes);
        wrote.map_err(|error| Problem::on_path(&path, "cannot write the file", error))?;
        new.put(&path, None)?;
        Ok(Json(Written { success: true, path }))
    })
    .await
}

/// Runs file work where it may block.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| {
        Err(Problem::Io { what: "the work was not finished", source: std::io::Error::other(Arc::new(error)) })
    })
}
