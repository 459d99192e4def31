//! The `sandbar` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two TLS users share one process: the provider is chosen here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Before anything is printed: a shell reads what it says.
    match sandbar::command::answer_completion() {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => error.exit(),
    }
    match sandbar::command::run(sandbar::command::parse()) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
