//! A simulated DigitalOcean App Platform with the real wire API.
//!
//! What a client sees under `/v2` follows the official API description. What
//! tests and people steer and read lies under `/_sim` and is typed in
//! [`admin`]. Every moment of an app's life is computed from timestamps when
//! somebody asks, so thousands of virtual apps cost no task and no timer.
//!
//! `/v2` and the provider client share no types on purpose: a mistake on
//! either side then shows as a failing call.

pub mod admin;
mod answer;
mod app;
mod call;
pub mod calls;
pub mod catalog;
mod clock;
pub mod command;
mod console;
pub mod faults;
mod fixture;
mod in_process;
mod journal;
pub mod ledger;
mod life;
mod limits;
mod offer;
mod options;
mod processes;
pub mod settings;
mod sim_api;
mod spec;
mod terminal;
mod v2_api;
mod virtual_agent;
mod virtual_shell;
mod wire;
mod world;

pub use fixture::{CloudSim, Running, StartError};
pub use in_process::{Cut, InProcess, Refused};
pub use journal::JournalError;
pub use options::Options;
