//! Sandbar put into clusters the ways people do it: each test has a control plane of its own, with nothing in it, and
//! operator and gateway run as processes with the arguments and the identity that were installed.

mod backup;
mod cluster;
mod doctor;
mod guide;
mod helm;
mod image;
mod images;
mod kustomize;
mod load;
mod monitoring;
mod previous;
mod release;
mod rights;
mod uninstall;
mod upgrade;

pub use cluster::ROOT;
