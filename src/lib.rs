//! Sandbar: a Kubernetes operator that keeps cloud sandboxes level.
//!
//! One room per concern; `CONTRIBUTING.md` draws the house. Everything a
//! process of Sandbar does is reachable from [`command`].

pub mod agent;
pub mod api;
pub mod artifacts;
pub mod claims;
pub mod cloudsim;
pub mod command;
pub mod console;
pub mod controllers;
pub mod dev;
pub mod failpoints;
pub mod failure;
pub mod gateway;
pub mod providers;
pub mod pty;
pub mod reference;
pub mod reviews;
pub mod telemetry;
pub mod wall;
