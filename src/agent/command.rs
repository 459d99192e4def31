use crate::failure::Failure;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_args: Args) -> Result<ExitCode, Failure> {
    Err(Failure::new("this room is not built yet"))
}
