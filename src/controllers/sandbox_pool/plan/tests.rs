//! What the plan for a pool promises.

mod fixture;
mod properties;
mod refs;
mod rules;
