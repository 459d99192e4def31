//! What every request needs.

use super::caller::{Access, Caller, Right};
use super::forward;
use super::link::Links;
use super::members::Members;
use super::pools::{Listing, Pools};
use super::quota::{Limits, Quota};
use super::refused::Refused;
use super::run::Run;
use super::runs::Runs;
use super::way::Ways;
use crate::api::{Sandbox, SandboxPool};
use crate::claims::{Claims, Fault, FindError, check_id};
use crate::telemetry::readiness::Readiness;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest wait for an object that nobody has seen here yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a gateway is run.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The namespace that it serves.
    pub namespace: String,
    /// Whether one without a token may launch the listed apps.
    pub demo: bool,
    /// How many runs may be launched within an hour.
    pub limits: Limits,
    /// Origins of pages elsewhere that may use it.
    pub cors: Vec<HeaderValue>,
    /// Connections at once; absent = [`super::CONNECTIONS`].
    pub connections: Option<usize>,
}

/// What every request needs.
pub struct Desk {
    pub(super) settings: Settings,
    pub(super) access: Access,
    pub(super) claims: Claims,
    pub(super) runs: Runs,
    pub(super) members: Members,
    pub(super) pools: Pools,
    pub(super) quota: Quota,
    pub(super) ways: Arc<Ways>,
    pub(super) links: Links,
    /// Connections to agents.
    pub(super) agents: reqwest::Client,
    pub(super) listing: Listing,
    pub(super) sandbox_api: Api<Sandbox>,
    pub(super) pool_api: Api<SandboxPool>,
    pub(super) readiness: Readiness,
    pub(super) stop: CancellationToken,
}

/// What handlers are given.
pub type Shared = Arc<Desk>;

impl Desk {
    /// A desk that knows nothing yet, and ends its streams with `stop`.
    ///
    /// # Errors
    /// When TLS to agents cannot be set up.
    pub(super) fn new(client: &Client, settings: Settings, stop: CancellationToken) -> reqwest::Result<Self> {
        let namespace = settings.namespace.clone();
        let ways = Arc::new(Ways::new(client, &namespace));
        Ok(Self {
            access: Access::new(client.clone(), &namespace),
            claims: Claims::new(client.clone(), &namespace),
            sandbox_api: Api::namespaced(client.clone(), &namespace),
            pool_api: Api::namespaced(client.clone(), &namespace),
            quota: Quota::new(settings.limits),
            links: Links::new(Arc::clone(&ways)),
            ways,
            agents: forward::client()?,
            listing: Listing::default(),
            runs: Runs::default(),
            members: Members::default(),
            pools: Pools::default(),
            readiness: Readiness::new(),
            settings,
            stop,
        })
    }

    /// The run of this id, if there is one. One that another gateway launched just now is asked for by its name.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Arc<Run>>, Refused> {
        if let Some(run) = self.runs.get(id) {
            return Ok(Some(run));
        }
        let silent = |_| Fault::Unclear(format!("none within {} s", PATIENCE.as_secs()));
        let found = tokio::time::timeout(PATIENCE, self.sandbox_api.get_opt(id)).await.map_err(silent)?;
        let run = found.map_err(Fault::from)?.as_ref().and_then(Run::of);
        Ok(run.filter(|run| run.id == id).map(Arc::new))
    }

    /// The run of this id, if there is one to which this caller may do this.
    pub(super) async fn run_for(&self, caller: &Caller, id: &str, right: Right) -> Result<Arc<Run>, Refused> {
        let seen = self.runs.get(id);
        let name = seen.as_ref().map_or(id, |run| &run.name);
        self.access.allow(caller, right, Some(name)).await?;
        let run = match seen {
            Some(run) => Some(run),
            None => self.find(id).await?,
        };
        // Whose run it is, is nothing that an anonymous caller learns.
        run.filter(|run| caller.shares(run)).ok_or_else(|| Refused::NoRun(id.to_owned()))
    }
}

/// Which of the two sets of routes is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/api/…`, about games.
    Games,
    /// `/v1/…`, about apps.
    V1,
}

impl Dialect {
    /// Where a run's events are.
    pub fn stream_url(self, id: &str) -> String {
        match self {
            Self::Games => format!("/api/stream/{id}"),
            Self::V1 => format!("/v1/runs/{id}/events"),
        }
    }

    /// Where a run's status is.
    pub fn status_url(self, id: &str) -> String {
        match self {
            Self::Games => format!("/api/status/{id}"),
            Self::V1 => format!("/v1/runs/{id}"),
        }
    }
}

/// The id of a run in a route, which is one.
pub struct RunId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RunId {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let all = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Refused::NoRoute)?;
        let id = all.iter().find(|(name, _)| *name == "run_id").map(|(_, id)| id.to_owned()).ok_or(Refused::NoRoute)?;
        check_id(&id).map_err(FindError::BadId)?;
        Ok(Self(id))
    }
}

/// A query whose values fit.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let bad = |why: String| Refused::Body { status: StatusCode::UNPROCESSABLE_ENTITY, why };
        read.map(|axum::extract::Query(query)| Self(query)).map_err(|rejection| bad(rejection.body_text()))
    }
}
