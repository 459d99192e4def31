//! The local world itself: what it starts, what it refuses, what it leaves.

mod access;
mod controlplane;
mod harness;
mod operator;
mod up;
