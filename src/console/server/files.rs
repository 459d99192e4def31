//! Files.

use super::{Action, Admitted, Asked, Refused, Shared};
use crate::agent::wire::{Encoding, FileList, WORKSPACE, WriteRequest, Written};
use crate::console::{self, ConsoleError, Download};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use futures::stream::{self, StreamExt};
use http::header;
use serde::Deserialize;
use std::convert::Infallible;

#[derive(Deserialize)]
pub(super) struct Folder {
    path: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct File {
    path: String,
    /// Octal permissions such as `755`.
    #[serde(default)]
    mode: Option<String>,
}

type Queried<T> = Result<Query<T>, QueryRejection>;

fn query<T>(query: Queried<T>) -> Result<T, Refused> {
    query.map(|Query(value)| value).map_err(|rejection| Refused::Bad(rejection.body_text()))
}

/// The entries of a folder.
pub(super) async fn list(
    State(desk): State<Shared>,
    asked: Asked,
    folder: Queried<Folder>,
) -> Result<Json<FileList>, Refused> {
    let Admitted { address, permit } = desk.admit(&asked, Action::ReadFiles).await?;
    let path = query(folder)?.path.unwrap_or_else(|| WORKSPACE.to_owned());
    let files = console::list(&address, &path).await?;
    drop(permit);
    Ok(Json(FileList { files }))
}

/// A file as it is. A connection that ends before the promised length is one whose file must not be used.
pub(super) async fn download(
    State(desk): State<Shared>,
    asked: Asked,
    file: Queried<File>,
) -> Result<Response, Refused> {
    let Admitted { address, permit } = desk.admit(&asked, Action::ReadFiles).await?;
    let opened = console::download(&address, &query(file)?.path).await?;
    // The last byte is held back until the digest has shown that all of them are right.
    let (size, state) = (opened.size, (Some(opened), Bytes::new(), permit));
    let pieces = stream::unfold(state, async |(mut opened, held, permit)| {
        let download: &mut Download = opened.as_mut()?;
        loop {
            return match download.piece().await {
                Ok(Some(piece)) if piece.is_empty() => continue,
                Ok(Some(piece)) => Some((Ok(held), (opened, piece, permit))),
                Ok(None) => Some((Ok(held), (None, Bytes::new(), permit))),
                Err(error) => Some((Err(error), (None, Bytes::new(), permit))),
            };
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
    ];
    let pieces = pieces.filter(|piece| {
        let some: bool = !matches!(piece, Ok::<_, ConsoleError>(bytes) if bytes.is_empty());
        std::future::ready(some)
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// The body becomes the file, in one step and only when it has arrived whole.
pub(super) async fn upload(
    State(desk): State<Shared>,
    asked: Asked,
    file: Queried<File>,
    body: Body,
) -> Result<Json<Written>, Refused> {
    let Admitted { address, permit } = desk.admit(&asked, Action::WriteFiles).await?;
    let File { path, mode } = query(file)?;
    let mode = mode.as_deref().map(permissions).transpose()?;
    console::upload(&address, &path, mode, body.into_data_stream()).await?;
    drop(permit);
    Ok(Json(Written { success: true, path }))
}

/// The same for a small file in JSON.
pub(super) async fn write(
    State(desk): State<Shared>,
    asked: Asked,
    body: Result<Json<WriteRequest>, JsonRejection>,
) -> Result<Json<Written>, Refused> {
    let Admitted { address, permit } = desk.admit(&asked, Action::WriteFiles).await?;
    let Json(WriteRequest { path, content, encoding }) =
        body.map_err(|rejection| Refused::Bad(rejection.body_text()))?;
    let bytes = match encoding {
        Some(Encoding::Base64) => {
            BASE64.decode(content.as_bytes()).map_err(|error| Refused::Bad(format!("content: not base64: {error}")))?
        }
        Some(Encoding::Utf8) | None => content.into_bytes(),
    };
    let content = stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]);
    console::upload(&address, &path, None, content).await?;
    drop(permit);
    Ok(Json(Written { success: true, path }))
}

fn permissions(octal: &str) -> Result<u32, Refused> {
    let mode = u32::from_str_radix(octal, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| Refused::Bad(format!("mode: {octal:?} is not octal, 000 to 777")))
}
