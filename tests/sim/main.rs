//! The simulation: the real controllers in a world of its own, hours of it in a moment, the same in every run of a seed.
//!
//! The real `look` of every controller works with a real context, a real client, the real Lease, provider client and
//! inventory. Simulated are: the clock (tokio's, paused), the API server (`api/`), the cloud (cloudsim, called directly),
//! the network between them (`net.rs`), the watches (`feed.rs`), and those who use it (`users.rs`). `judge/` looks at
//! every effect the moment it happens, `settle.rs` at what is left.

mod api;
mod doors;
mod feed;
mod files;
mod judge;
mod mutation;
mod net;
mod operator;
mod panics;
mod proofs;
mod queue;
mod run;
mod script;
mod seeds;
mod settle;
mod trace;
mod users;
mod world;
