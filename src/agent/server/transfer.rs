//! Whole files as they are: download, and Sandbar's raw upload.

use super::files::{FileQuery, blocking};
use super::input::Params;
use super::problem::Problem;
use super::roots::{Place, Roots};
use super::{Agent, Shared};
use crate::agent::wire::Written;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use nix::fcntl::OFlag;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

/// The largest raw upload, in bytes. An App Platform container has 2 GiB of disk.
const MAX_UPLOAD: u64 = 4 * 1024 * 1024 * 1024;

/// The file as an attachment, of any size.
pub async fn download(State(agent): State<Shared>, Params(query): Params<FileQuery>) -> Result<Response, Problem> {
    let (name, file, length) = blocking(move || {
        let (place, file) = open(&agent, &query.path)?;
        let found = file.metadata().map_err(|error| Problem::on_path(&query.path, "cannot read the file", error))?;
        let name = place.sandbox.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, file, found.len()))
    })
    .await?;
    // A header value holds neither quotes nor control characters nor, for old clients, anything beyond ASCII.
    let name: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' }).collect();
    // A file that grows meanwhile must not break the promised length.
    let body = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), length);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(body, 64 * 1024))).into_response())
}

/// The query of the raw upload.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UploadQuery {
    /// Sandbox path; missing parent directories are made.
    path: String,
    /// Octal permissions such as `755`; absent keeps those of the file that is replaced, else `644`.
    #[serde(default)]
    mode: Option<String>,
}

/// Sandbar extension, `PUT /api/files/raw?path=&mode=`: the body becomes the file, in one step and only when the
/// body has arrived whole.
pub async fn upload(
    State(agent): State<Shared>,
    Params(query): Params<UploadQuery>,
    body: Body,
) -> Result<Json<Written>, Problem> {
    let mode = query.mode.as_deref().map(permissions).transpose()?;
    let path = query.path.clone();
    let new = blocking(move || NewFile::beside(&agent.roots, &path)).await?;
    let failed = |error| Problem::on_path(&query.path, "cannot write the file", error);
    let mut file = tokio::fs::File::from_std(new.file().try_clone().map_err(failed)?);
    let mut body = body.into_data_stream();
    let mut written: u64 = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Problem::Bad("the request body could not be read to its end".to_owned()))?;
        written += chunk.len() as u64;
        if written > MAX_UPLOAD {
            return Err(Problem::TooLarge { what: "the request body", limit: MAX_UPLOAD, advice: "" });
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let path = query.path.clone();
    blocking(move || new.put(&path, mode)).await?;
    Ok(Json(Written { success: true, path: query.path }))
}

fn permissions(octal: &str) -> Result<u32, Problem> {
    u32::from_str_radix(octal, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| Problem::field("query", "mode", format!("{octal:?} is not octal, 000 to 777")))
}

/// Opens a regular file for reading.
pub fn open(agent: &Agent, path: &str) -> Result<(Place, File), Problem> {
    let place = agent.roots.existing(path)?;
    // Opening a named pipe would wait for a writer, for ever.
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&place.host);
    let file = opened.map_err(|error| Problem::on_path(path, "cannot open the file", error))?;
    let found = file.metadata().map_err(|error| Problem::on_path(path, "cannot open the file", error))?;
    if found.is_dir() {
        return Err(Problem::Bad(format!("{path:?} is a directory")));
    }
    if !found.is_file() {
        return Err(Problem::Bad(format!("{path:?} is not a regular file")));
    }
    Ok((place, file))
}

/// A file being written beside the one it will replace, so that nobody ever reads half of it.
pub struct NewFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// Begins it, making the parent directories of the sandbox path.
    pub fn beside(roots: &Roots, path: &str) -> Result<Self, Problem> {
        let target = roots.writable(path)?.host;
        if target.is_dir() {
            return Err(Problem::Bad(format!("{path:?} is a directory")));
        }
        if target.exists() && !target.is_file() {
            return Err(Problem::Bad(format!("{path:?} is not a regular file")));
        }
        let parent = target.parent().ok_or_else(|| Problem::Outside(path.to_owned()))?;
        let made = std::fs::create_dir_all(parent)
            .and_then(|()| tempfile::Builder::new().prefix(".upload-").tempfile_in(parent));
        let temporary = made.map_err(|error| Problem::on_path(path, "cannot write the file", error))?;
        Ok(Self { temporary, target })
    }

    /// Where to write.
    pub fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Puts it in place with these permissions, or those of the file before it, or `644`.
    pub fn put(self, path: &str, mode: Option<u32>) -> Result<(), Problem> {
        let before = self.target.metadata().ok().map(|found| found.permissions().mode() & 0o777);
        let permissions = Permissions::from_mode(mode.or(before).unwrap_or(0o644));
        let placed = self.temporary.as_file().set_permissions(permissions).and_then(|()| {
            self.temporary.persist(&self.target).map_err(|error| error.error)?;
            Ok(())
        });
        placed.map_err(|error| Problem::on_path(path, "cannot write the file", error))
    }
}
