//! `sandbar dev plugin`: archives of the plugin of kubectl, and the manifest that krew installs it by.

use crate::failure::{Failure, chain};
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Url;
use serde_yaml::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The manifest without what depends on archives.
const MANIFEST: &str = include_str!("../../deploy/krew/sandbar.yaml");
const LICENSE: &str = include_str!("../../LICENSE");

/// Packs programs, each for one platform.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the archives and the manifest
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Where the archives will be found, such as https://example.com/v0.1.0 [default: the folder]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// A program for another machine, such as arm64=FILE; may be repeated [default: this program]
    #[arg(long, value_name = "ARCH=FILE", value_parser = program)]
    program: Vec<(String, PathBuf)>,
}

fn program(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((arch, file)) if !arch.is_empty() && !file.is_empty() => Ok((arch.to_owned(), PathBuf::from(file))),
        _ => Err("write ARCH=FILE, such as arm64=target/aarch64-unknown-linux-musl/release/sandbar".to_owned()),
    }
}

/// This machine as krew names it.
fn this_machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Packs each program, and writes the manifest with those platforms that there are archives for.
///
/// # Errors
/// When a program cannot be read, the folder not be written, or the manifest has no such platform.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    fs::create_dir_all(&args.to).map_err(|error| about(&args.to, &error))?;
    let programs = match args.program.is_empty() {
        true => vec![(this_machine().to_owned(), std::env::current_exe()?)],
        false => args.program.clone(),
    };
    let mut manifest: Value = serde_yaml::from_str(MANIFEST).map_err(|error| Failure::new(chain(&error)))?;
    let version = manifest["spec"]["version"].as_str().unwrap_or_default().to_owned();
    let mut packed = Vec::new();
    for (arch, program) in &programs {
        let name = format!("sandbar-{version}-linux-{arch}.tar.gz");
        let file = args.to.join(&name);
        let archive = pack(program).map_err(|error| about(program, &error))?;
        fs::write(&file, &archive).map_err(|error| about(&file, &error))?;
        let mut platform = platform(&manifest, arch)?;
        platform["uri"] = address(args, &name)?.into();
        platform["sha256"] = HEXLOWER.encode(&Sha256::digest(&archive)).into();
        packed.push(platform);
        println!("{}", file.display());
    }
    manifest["spec"]["platforms"] = packed.into();
    let file = args.to.join("sandbar.yaml");
    let text = serde_yaml::to_string(&manifest).map_err(|error| Failure::new(chain(&error)))?;
    fs::write(&file, text).map_err(|error| about(&file, &error))?;
    println!("{}", file.display());
    Ok(ExitCode::SUCCESS)
}

fn about(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

/// What the manifest says of one machine.
fn platform(manifest: &Value, arch: &str) -> Result<Value, Failure> {
    let platforms = manifest["spec"]["platforms"].as_sequence().into_iter().flatten();
    let found = platforms.clone().find(|each| each["selector"]["matchLabels"]["arch"].as_str() == Some(arch)).cloned();
    found.ok_or_else(|| {
        let known: Vec<_> = platforms.filter_map(|each| each["selector"]["matchLabels"]["arch"].as_str()).collect();
        Failure::new(format!("--program: the manifest has no platform {arch}"))
            .advice(format!("one of {}, or add it to deploy/krew/sandbar.yaml", known.join(", ")))
    })
}

fn address(args: &Args, name: &str) -> Result<String, Failure> {
    if let Some(url) = &args.url {
        return Ok(format!("{}/{name}", url.as_str().trim_end_matches('/')));
    }
    let file = fs::canonicalize(args.to.join(name)).map_err(|error| about(&args.to, &error))?;
    let bad = |()| Failure::new(format!("{} has no address", file.display()));
    Url::from_file_path(&file).map(String::from).map_err(bad)
}

/// The archive of one program: the same bytes for the same program, whoever packs it and when.
fn pack(program: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut add = |name: &str, mode: u32, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content)
    };
    add("kubectl-sandbar", 0o755, &fs::read(program)?)?;
    add("LICENSE", 0o644, LICENSE.as_bytes())?;
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_of_this_version() {
        let manifest: Value = serde_yaml::from_str(MANIFEST).expect("YAML");
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        assert_eq!(manifest["spec"]["version"].as_str(), Some(version), "set spec.version of deploy/krew/sandbar.yaml");
    }

    #[test]
    fn a_machine_that_the_manifest_does_not_have_is_refused_with_those_it_has() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("program");
        fs::write(&file, "x").expect("a file");
        let args = Args { to: dir.path().to_owned(), url: None, program: vec![("s390x".to_owned(), file)] };
        let said = run(&args).expect_err("refused").to_string();
        assert_eq!(said, "--program: the manifest has no platform s390x");
    }

    #[test]
    fn archives_are_found_where_the_caller_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("program");
        fs::write(&file, "x").expect("a file");
        let url = Url::parse("https://example.com/v1/").ok();
        let program = vec![("arm64".to_owned(), file.clone()), ("amd64".to_owned(), file)];
        run(&Args { to: dir.path().to_owned(), url, program }).expect("packed");
        let text = fs::read_to_string(dir.path().join("sandbar.yaml")).expect("a manifest");
        let manifest: Value = serde_yaml::from_str(&text).expect("YAML");
        let platforms = manifest["spec"]["platforms"].as_sequence().expect("platforms");
        let uris: Vec<_> = platforms.iter().filter_map(|each| each["uri"].as_str()).collect();
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        let of = |arch: &str| format!("https://example.com/v1/sandbar-{version}-linux-{arch}.tar.gz");
        assert_eq!(uris, [of("arm64"), of("amd64")]);
    }
}
