//! Integration tests: one binary, so that they link once.

mod dev;
mod wait;
mod world;
