//! What the plan for a pool promises.

mod cost;
mod fixture;
mod properties;
mod refs;
mod rollouts;
mod rules;
mod share;
mod sized;
mod world;
