//! The gateway: launching apps and watching what happens to them, over HTTP, for people's pages and for programs.
//!
//! Everything it shows is state in the API server, and it keeps none that matters: it can be killed at any moment, run
//! several times over, and be asked again by whoever got no answer. It serves one namespace.
//!
//! | route | needs | |
//! | --- | --- | --- |
//! | `POST /api/launch/warm`, `/api/launch/cold`, `POST /v1/launches` | `create` sandboxes | 202 after one write: a request named by the run's id ([`launch`]) |
//! | `GET /api/status/{run}`, `GET /v1/runs/{run}` | `get` sandboxes | how far it is ([`status`]) |
//! | `GET /api/stream/{run}`, `GET /v1/runs/{run}/events` | `get` sandboxes | its timeline, as events or JSON ([`events`]) |
//! | `POST /api/runs/{run}/stop`, `POST /v1/runs/{run}/stop` | `delete` sandboxes | ends it ([`change`]) |
//! | `POST /v1/runs/{run}/extend` | `patch` sandboxes | keeps it longer |
//! | `GET /v1/runs`, `GET /api/orchestrator/logs` | `list` sandboxes | all runs; their newest entries |
//! | `GET /v1/apps`, `GET /v1/pools`, `GET /api/pool/status` | `list` sandboxpools | what can be launched, and where ([`overview`]) |
//! | `GET /healthz`, `GET /readyz` | nothing | |
//!
//! Who asks is found out by a TokenReview of the bearer token, what they may by a SubjectAccessReview ([`caller`]). In
//! demo mode one without a token may launch the listed apps, and see and stop what was launched like that.

mod body;
pub mod caller;
pub mod change;
pub mod command;
mod desk;
pub mod events;
pub mod launch;
mod link;
mod listener;
pub mod overview;
mod pools;
mod quota;
mod refused;
mod run;
mod runs;
mod serve;
pub mod status;

pub use desk::{Desk, Dialect, Query, RunId, Settings, Shared};
pub use quota::Limits;
pub use refused::Refused;
pub use serve::Gateway;
