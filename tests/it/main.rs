//! Integration tests: one binary, so that they link once.

mod agent;
mod claims;
mod cloudsim;
mod dev;
mod operator;
mod orphans;
mod providers;
mod python;
mod readme;
mod rules;
mod runtime;
mod wait;
mod world;
