//! What the benchmarks share: meters, and the table that they print.

pub mod meter;
pub mod table;
pub mod wait;

/// What a step gives, or why it could not be measured.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
