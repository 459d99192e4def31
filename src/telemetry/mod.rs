//! Logs, metrics, health, and what they must never show.

pub mod logging;
pub mod metrics;
pub mod readiness;
pub mod ready;
pub mod scrub;
pub mod secret;
pub mod server;
