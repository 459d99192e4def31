//! What the plans for members and requests promise.

mod app;
mod claim_files;
mod fixture;
mod hibernation;
mod inputs;
mod life;
mod members;
mod meter;
mod requests;
mod sleep;
mod wake;
mod worker;
