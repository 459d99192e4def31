//! The public Python clients that tests drive our servers with, at versions pinned in `tests/python/requirements.txt`.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The interpreter of a virtual environment with all of them, made once per set of pins and kept in the user's cache;
/// none, with a word on standard error, where there is no Python.
///
/// # Panics
/// When there is a Python and the environment cannot be made: a test must not pass because of that.
pub fn venv() -> Option<PathBuf> {
    static VENV: OnceLock<Option<PathBuf>> = OnceLock::new();
    VENV.get_or_init(|| {
        if Command::new("python3").arg("--version").output().is_err() {
            eprintln!("skipped: there is no python3, so the public Python clients cannot be tried");
            return None;
        }
        Some(make())
    })
    .clone()
}

fn make() -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/requirements.txt");
    let digest = Sha256::digest(fs::read(&requirements).unwrap());
    let cache = cache();
    fs::create_dir_all(&cache).unwrap();
    let folder = cache.join(format!("venv-{}", &data_encoding::HEXLOWER.encode(&digest)[..16]));
    // Other test processes may want the same one at the same time.
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    // Written last: without it, somebody was interrupted here.
    let ready = folder.join("ready");
    if !ready.exists() {
        let _ = fs::remove_dir_all(&folder);
        eprintln!("making a Python environment in {} (once, about 30 s)", folder.display());
        let venv = Command::new("python3").args(["-m", "venv"]).arg(&folder).output().unwrap();
        check(&venv, "python3 -m venv failed (Debian and Ubuntu: apt-get install python3-venv)");
        let pip = Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements)
            .output()
            .unwrap();
        check(&pip, "pip could not install tests/python/requirements.txt (is there a network and a package index?)");
        fs::write(&ready, "").unwrap();
    }
    folder.join("bin/python")
}

/// Where what tests build or install once is kept.
pub fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    base.unwrap_or_else(home).join("sandbar")
}

fn check(output: &std::process::Output, what: &str) {
    assert!(output.status.success(), "{what}:\n{}", String::from_utf8_lossy(&output.stderr));
}
