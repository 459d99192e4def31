//! What the plans for members and requests promise.

mod fixture;
mod life;
mod members;
mod requests;
