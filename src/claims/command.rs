use crate::failure::Failure;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {}

pub async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {}
}
