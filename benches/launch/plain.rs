//! The yardstick of copies: as little HTTP server as there can be, in a process of its own as an agent is.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::io::ReaderStream;

use crate::common::Result;
use crate::program::Program;

/// The first argument of a process that is to be this server.
const WORD: &str = "serve-one-file";
/// Read at once, as an agent does.
const PIECE: usize = 64 * 1024;

/// The file that this process is to serve, if it is to be the server.
pub fn wanted() -> Option<OsString> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == WORD).then(|| arguments.next()).flatten()
}

/// Starts it as a process.
pub async fn start(file: &std::path::Path) -> Result<Program> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(file);
    Program::start(command).await
}

/// Is it, until the process is ended.
pub async fn serve(file: OsString) -> Result<()> {
    let router = Router::new().route("/", get(read).put(write)).layer(DefaultBodyLimit::disable());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router.with_state(Arc::new(PathBuf::from(file)))).await?)
}

async fn read(State(path): State<Arc<PathBuf>>) -> std::result::Result<Response, StatusCode> {
    let file = File::open(&*path).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    let body = Body::from_stream(ReaderStream::with_capacity(file, PIECE));
    Ok(([(header::CONTENT_LENGTH, length.to_string())], body).into_response())
}

async fn write(State(path): State<Arc<PathBuf>>, body: Body) -> std::result::Result<(), StatusCode> {
    let (mut file, mut body) = (File::create(&*path).await.map_err(failed)?, body.into_data_stream());
    while let Some(piece) = body.next().await {
        file.write_all(&piece.map_err(|_| StatusCode::BAD_REQUEST)?).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

fn failed(error: std::io::Error) -> StatusCode {
    eprintln!("the plain server: {error}");
    StatusCode::INTERNAL_SERVER_ERROR
}
