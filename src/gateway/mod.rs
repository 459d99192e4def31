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
//! | `POST /v1/runs/{run}/api/exec…`, `/api/sessions…`, `…/kill` | `create` sandboxes/exec | commands in its sandbox ([`inside`]) |
//! | `GET /v1/runs/{run}/api/files…` | `get` sandboxes/files | its files, of any size |
//! | `POST …/api/files/content`, `PUT …/api/files/raw` | `create` sandboxes/files | |
//! | `GET /v1/runs/{run}/api/terminal` | `create` sandboxes/shell | a terminal, over a WebSocket |
//! | `GET /v1/runs/{run}/log`, `…/api/processes…` | `get` sandboxes/log | what its app, and other processes, have written |
//! | `GET /v1/runs/{run}/api/ports/{port}` | `create` sandboxes/portforward | a TCP connection, over a WebSocket |
//! | `ANY /v1/runs/{run}/proxy/{port}/…` | `create` sandboxes/proxy | an app, over HTTP and WebSockets |
//! | `GET /openapi.json` | nothing | all of this, for programs ([`openapi`]) |
//! | `GET /`, `/assets/…` | nothing | the page, which asks the routes above ([`page`]) |
//! | `GET /healthz`, `GET /readyz` | nothing | |
//!
//! Who asks is found out by a TokenReview of the bearer token, what they may by a SubjectAccessReview ([`caller`]). In
//! demo mode one without a token may launch the listed apps, and see and stop what was launched like that, read the log
//! of its app and open that app's port; nothing else of its sandbox.
//!
//! What is in a sandbox is asked of its agent, with a token that the gateway reads itself ([`inside`], `way`, `forward`).
//! So nobody needs to read Secrets, and each right is one of its own. A page of an app that comes through `…/proxy/`
//! gets an origin of its own (`Content-Security-Policy: sandbox`): it cannot read what the gateway's page may. An app
//! that stores something in the browser is opened by its link instead (`ingress_url`).
//!
//! | limit | |
//! | --- | --- |
//! | the head of a request, and the pause between two on a connection | 30 s |
//! | a JSON body; the pause between two pieces of one that is passed on | 30 s; 60 s |
//! | JSON bodies; headers | 64 KiB; 16 KiB (what an agent gets is bounded by the agent) |
//! | a reader that takes nothing | 2 minutes, then its connection is dropped |
//! | connections | 16,384, or `--max-connections`; further ones are told so |
//! | a stream's or WebSocket's silence | 15 s, then a comment or a ping |
//! | an agent's silence before the head of its answer | 120 s, then 504; none for commands and uploads |

mod body;
pub mod caller;
pub mod change;
pub mod command;
mod desk;
pub mod events;
mod forward;
pub mod inside;
pub mod launch;
mod link;
mod listener;
mod members;
pub mod openapi;
pub mod overview;
mod page;
mod pools;
mod quota;
mod refused;
mod routes;
mod run;
mod runs;
mod serve;
pub mod status;
mod way;

pub use desk::{Desk, Dialect, Query, RunId, Settings, Shared};
pub use listener::CONNECTIONS;
pub use quota::Limits;
pub use refused::Refused;
pub use serve::Gateway;
