//! A whole local world in child processes: control plane, simulated cloud,
//! operator, gateway. The command `sandbar dev`, the demo and the integration tests
//! share it.

pub mod binaries;
pub mod cloud;
pub mod command;
pub mod controlplane;
pub mod demo;
pub mod gateway;
pub mod install;
pub mod kubeconfig;
pub mod nursery;
pub mod operator;
pub mod pki;
pub mod place;
pub mod plugin;
pub mod ports;
pub mod server;
pub mod world;

use std::io::{self, Write};
use std::path::Path;

/// Writes a file that only its owner may read, replacing what was there.
///
/// # Errors
/// When it cannot be opened or written.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    pki::private_file(path)?.write_all(text.as_bytes())
}
