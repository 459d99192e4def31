//! The agent: the small HTTP daemon inside a sandbox, and the client that talks to it.
//!
//! The wire API is the one of the public service-mode images of `do-app-sandbox` 0.2.3, so that its clients work
//! with this agent and this client works with those images. What Sandbar adds is marked "Sandbar extension" where it
//! is defined: `exit_code` of a process and of a session's command, `PUT /api/files/raw`, `/api/terminal`,
//! signed links, TCP tunnels, heartbeats on streams, limits on sizes, `limits` of commands.
//!
//! * [`wire`]: the JSON shapes, shared by both sides.
//! * [`link`]: signed links to one port, shared by both sides.
//! * [`tunnel`]: TCP inside a WebSocket, the same for both sides.
//! * `hop`, `pulse`, `activity`: what every proxy does with a message, and with a WebSocket.
//! * [`server`]: the daemon.
//! * [`client`]: [`client::AgentClient`] and [`client::probe`].
//! * [`command`]: `sandbar agent`.

pub(crate) mod activity;
pub mod client;
pub mod command;
pub(crate) mod hop;
pub mod link;
pub(crate) mod pulse;
pub mod server;
pub mod tunnel;
pub mod wire;
