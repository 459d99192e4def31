//! What the plans for members and requests promise.

mod fixture;
mod inputs;
mod life;
mod members;
mod meter;
mod requests;
