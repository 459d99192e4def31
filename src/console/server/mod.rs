//! Consoles for people, over the HTTP API of an agent: `POST …/api/exec`, `POST …/api/exec/stream`, `GET …/api/files`,
//! `GET …/api/files/download`, `PUT …/api/files/raw`, `POST …/api/files/content`, each below
//! `/v1/namespaces/{namespace}/sandboxes/{name}/{uid}`.
//!
//! Who asks is found out by a TokenReview of the bearer token, what they may by a SubjectAccessReview: `create` of
//! `sandboxes/exec`; `get` or `create` of `sandboxes/files`. Only a sandbox that somebody holds is opened.
//!
//! | limit | |
//! | --- | --- |
//! | sessions at once | 64, then 429 |
//! | each output of `/api/exec` | the first 16 MiB, then a line `[stdout truncated: N more bytes were written]` |
//! | a command with its environment | 100 KiB, then 400 |
//! | a file | 256 MiB, then 400; in JSON 16 MiB |
//! | a command's time-out | 1 s to 1 day |
//! | silence of the console while a file moves | 60 s |

mod exec;
mod files;
mod guard;
mod refused;
mod serve;

pub use guard::{Action, Guard};
pub use refused::Refused;
pub use serve::{Listening, listen};

use super::address::PATH;
use crate::agent::wire::Health;
use crate::providers::ConsoleAddress;
use async_trait::async_trait;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::Deserialize;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sessions at once: each keeps a connection and some pieces of 64 KiB.
const SESSIONS: usize = 64;
/// Largest JSON body, in bytes: 16 MiB of a file in base64.
const MAX_JSON: usize = 24 * 1024 * 1024;

/// A sandbox as its address names it.
#[derive(Clone, Debug, Deserialize)]
pub struct Place {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: names are used again.
    pub uid: String,
}

/// Opens consoles.
#[async_trait]
pub trait Consoles: Send + Sync {
    /// Where this sandbox's console can be opened, once and now.
    ///
    /// # Errors
    /// When there is no such sandbox, nobody holds it, or the provider gives none.
    async fn address(&self, place: &Place) -> Result<ConsoleAddress, Refused>;
}

/// What every request needs.
pub struct Desk {
    consoles: Arc<dyn Consoles>,
    guard: Guard,
    sessions: Arc<Semaphore>,
}

/// An admitted request: the way in, and its place among the sessions.
struct Admitted {
    address: ConsoleAddress,
    permit: OwnedSemaphorePermit,
}

impl Desk {
    /// A desk that lets in whom the guard admits.
    pub fn new(consoles: Arc<dyn Consoles>, guard: Guard) -> Self {
        Self { consoles, guard, sessions: Arc::new(Semaphore::new(SESSIONS)) }
    }

    async fn admit(&self, asked: &Asked, action: Action) -> Result<Admitted, Refused> {
        self.guard.admit(asked.token.as_deref(), action, &asked.place).await?;
        let permit = Arc::clone(&self.sessions).try_acquire_owned().map_err(|_| Refused::Busy)?;
        let address = self.consoles.address(&asked.place).await?;
        tracing::info!(namespace = asked.place.namespace, sandbox = asked.place.name, ?action, "console opened");
        Ok(Admitted { address, permit })
    }
}

type Shared = Arc<Desk>;

/// Who asks, as they say, and for which sandbox.
struct Asked {
    token: Option<String>,
    place: Place,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Path(place) = Path::<Place>::from_request_parts(parts, state).await.map_err(|_| Refused::NoRoute)?;
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer ")).map(|token| token.trim().to_owned());
        Ok(Self { token: token.filter(|token| !token.is_empty()), place })
    }
}

/// The routes.
pub fn router(desk: Desk) -> Router {
    let api = Router::new()
        .route("/health", get(health))
        .route("/api/exec", post(exec::exec))
        .route("/api/exec/stream", post(exec::stream))
        .route("/api/files", get(files::list))
        .route("/api/files/content", post(files::write))
        .route("/api/files/download", get(files::download))
        .layer(DefaultBodyLimit::max(MAX_JSON))
        .route("/api/files/raw", put(files::upload).layer(DefaultBodyLimit::disable()));
    Router::new()
        .nest(PATH, api)
        .fallback(async || Refused::NoRoute)
        .method_not_allowed_fallback(async || Refused::NoRoute)
        .with_state(Arc::new(desk))
}

/// That consoles are served here; nothing of the sandbox itself, which nobody has proved to be let into.
async fn health() -> Json<Health> {
    let timestamp = jiff::Timestamp::now().as_duration().as_secs_f64();
    Json(Health { status: "healthy".to_owned(), mode: "worker".to_owned(), timestamp })
}
