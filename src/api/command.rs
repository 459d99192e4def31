//! `sandbar crds`: prints or writes the custom resource definitions.

use super::{crds, manifest};
use crate::failure::Failure;
use std::path::PathBuf;
use std::process::ExitCode;

/// Prints the definitions, or writes one file each.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write one file per kind into this folder instead of printing; may be repeated
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,
}

/// Prints or writes every definition.
///
/// # Errors
/// If a file cannot be written.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    for crd in crds() {
        let text = manifest(&crd).map_err(|error| Failure::new(error.to_string()))?;
        if args.write.is_empty() {
            println!("---\n{text}");
        }
        for dir in &args.write {
            let file = dir.join(format!("{}.yaml", crd.spec.names.plural));
            std::fs::create_dir_all(dir)?;
            std::fs::write(&file, &text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
