//! Integration tests: one binary, so that they link once.

mod agent;
mod apps;
mod claim_files;
mod claims;
mod claims_flow;
mod cloudsim;
mod console;
mod cost;
#[cfg(feature = "failpoints")]
mod crash;
mod dev;
mod faults;
mod gateway;
mod given_up;
mod hibernation;
mod inputs;
mod level;
mod operator;
mod orphans;
mod providers;
mod python;
mod readme;
mod recorder;
mod rollout;
mod rules;
mod running_apps;
mod runtime;
mod s3;
mod scene;
mod share;
mod sizing;
mod wait;
mod watcher;
mod worker;
mod world;
