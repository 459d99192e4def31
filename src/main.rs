//! The `sandbar` program.

use clap::Parser;
use sandbar::command::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Two TLS users share one process: the provider is chosen here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match sandbar::command::run(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
