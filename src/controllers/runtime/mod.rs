//! What every controller stands on: who leads, what time it is, when to try
//! again, and how requests leave.

pub mod backoff;
pub mod client;
pub mod clock;
pub mod election;
pub mod events;
pub mod follow_ups;
pub mod gate;
pub mod lease;
pub mod preflight;
pub mod status;
pub mod ticks;
