//! The simulated cloud: its wire API, its faults and its books.

mod books;
mod command_line;
mod console;
mod contract;
mod doctl;
mod faults;
mod limits;
mod offer;
mod official_client;
mod platform;
mod processes;
mod restart;
mod steering;
pub mod support;
