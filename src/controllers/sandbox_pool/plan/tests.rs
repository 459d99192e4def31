//! What the plan for a pool promises.

mod fixture;
mod properties;
mod refs;
mod rollouts;
mod rules;
mod sized;
mod world;
