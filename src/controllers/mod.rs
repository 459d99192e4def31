//! The operator: controllers, each observe → plan → apply, and what they share.

pub mod agents;
pub mod apply_error;
pub mod command;
mod consoles;
pub mod context;
pub mod filled;
pub mod index;
pub mod inputs;
pub mod lanes;
pub mod launches;
pub mod leftovers;
pub mod memory;
pub mod orphans;
pub mod pokes;
pub mod probes;
pub mod run;
pub mod runtime;
pub mod sandbox;
pub mod sandbox_pool;
pub mod transfers;
pub mod wiring;
