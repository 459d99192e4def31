//! The version before this one: its manifests, and its program where that was built.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cluster::ROOT;
use crate::operator::OperatorSpec;
use crate::world::PROGRAM;

/// A version of the project: what is applied, and what runs.
#[derive(Clone, Debug)]
pub struct Version {
    /// The folder with `deploy/` and `charts/`.
    pub files: PathBuf,
    pub program: PathBuf,
}

impl Version {
    /// This one.
    pub fn this() -> Self {
        Self { files: ROOT.into(), program: PROGRAM.into() }
    }

    /// The one before (`.ci/previous`; `make test` builds its program). What cannot be had is taken from this version,
    /// and that is said.
    pub fn before() -> Self {
        let output = Command::new(Path::new(ROOT).join(".ci/previous")).output().expect(".ci/previous runs");
        let (said, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{why}");
        eprint!("{why}");
        let of = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).map(PathBuf::from);
        let this = Self::this();
        let told = |found: Option<PathBuf>, what: &str, instead: PathBuf| {
            found.unwrap_or_else(|| {
                eprintln!("THE VERSION BEFORE HAS NO {what} HERE: this version's plays its part");
                instead
            })
        };
        Self {
            files: told(of("files="), "MANIFESTS", this.files),
            program: told(of("program="), "PROGRAM", this.program),
        }
    }

    /// A file or folder of it.
    pub fn path(&self, name: &str) -> String {
        self.files.join(name).to_str().expect("UTF-8").to_owned()
    }

    /// The flags of a quick operator, as far as its program knows them.
    pub fn quick_flags(&self) -> Vec<String> {
        let help = Command::new(&self.program).args(["controller", "--help"]).output().expect("the program runs");
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        let flags = OperatorSpec::default().flags();
        flags.chunks(2).filter(|flag| help.contains(&format!("{} ", flag[0]))).flatten().cloned().collect()
    }
}
