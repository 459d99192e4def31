//! What the plan for a pool promises.

mod cost;
mod fixture;
mod properties;
mod refs;
mod rules;
mod share;
