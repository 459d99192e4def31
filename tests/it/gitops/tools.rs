//! What kstatus, Flux and Argo CD say of objects: asked of a small Go program (tests/gitops) that links what these tools
//! run themselves, with the checks that deploy/gitops ships.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::install::ROOT;
use crate::python::cache;

/// A word and a sentence.
#[derive(Clone, Debug, Deserialize)]
pub struct Word {
    pub status: String,
    pub message: String,
}

/// What the three say of one object.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    pub kstatus: Word,
    pub flux: String,
    pub argo: Word,
}

/// What the tools say of each object, in their order.
pub async fn verdicts(objects: &[Value]) -> Vec<Verdict> {
    let question = json!({"lua": health_checks(), "cel": health_expressions(), "objects": objects});
    let mut child = Command::new(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(question.to_string().as_bytes()).await.expect("it reads");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "the tools' checks could not be run");
    serde_json::from_slice(&output.stdout).expect("verdicts")
}

/// The documents of a file under deploy/gitops.
pub fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(Path::new(ROOT).join("deploy/gitops").join(file)).expect("a file");
    serde_yaml::Deserializer::from_str(&text).map(|part| Value::deserialize(part).expect("YAML")).collect()
}

/// Argo CD's scripts, by kind.
fn health_checks() -> BTreeMap<String, String> {
    let [config] = &documents("argocd/argocd-cm.yaml")[..] else { panic!("one ConfigMap") };
    let data = config["data"].as_object().expect("data");
    let script = |(key, script): (&String, &Value)| {
        let kind = key.strip_prefix("resource.customizations.health.sandbar.dev_")?;
        Some((kind.to_owned(), script.as_str().expect("a script").to_owned()))
    };
    data.iter().filter_map(script).collect()
}

/// Flux's expressions, by kind.
fn health_expressions() -> BTreeMap<String, Value> {
    let all = documents("flux/team.yaml");
    let checks = all.iter().find_map(|document| document["spec"]["healthCheckExprs"].as_array()).expect("expressions");
    checks.iter().map(|check| (check["kind"].as_str().expect("a kind").to_owned(), check.clone())).collect()
}

/// The program, built once per state of its sources and kept in the user's cache.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build)
}

fn build() -> PathBuf {
    let source = Path::new(ROOT).join("tests/gitops");
    let mut hash = Sha256::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        hash.update(fs::read(source.join(file)).expect("a source"));
        hash.update([0]);
    }
    let folder = cache().join("gitops").join(&data_encoding::HEXLOWER.encode(&hash.finalize())[..16]);
    fs::create_dir_all(&folder).expect("a folder");
    // Other test processes may want it at the same time.
    let lock = File::create(folder.join(".lock")).expect("a lock");
    lock.lock().expect("locked");
    let program = folder.join("verdicts");
    if !program.exists() {
        eprintln!("building what GitOps tools judge by into {} (once, about 2 min)", folder.display());
        let new = folder.join("verdicts.new");
        let mut go = std::process::Command::new("go");
        go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(&new).arg(".").current_dir(&source);
        let built = go.env("CGO_ENABLED", "0").env("GOWORK", "off").output().expect("Go 1.26 is there");
        assert!(built.status.success(), "go build failed:\n{}", String::from_utf8_lossy(&built.stderr));
        fs::rename(&new, &program).expect("moved");
    }
    program
}
