//! Logs, metrics, and what they must never show.

pub mod secret;
