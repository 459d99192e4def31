//! What every controller stands on: who leads, what time it is, when to try
//! again, and how requests leave.

pub mod backoff;
pub mod client;
pub mod clock;
pub mod election;
pub mod lease;
pub mod ticks;
