//! The simulated cloud: its wire API, its faults and its books.

mod books;
mod contract;
mod faults;
mod limits;
mod official_client;
mod platform;
mod processes;
mod restart;
mod steering;
pub mod support;
