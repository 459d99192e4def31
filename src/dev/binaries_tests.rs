//! The build is exercised with a stand-in for the Go program: the real one
//! takes ten minutes and is exercised by every first start.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

struct Fixture {
    dir: tempfile::TempDir,
    binaries: Binaries,
    said: Mutex<Vec<String>>,
}

impl Fixture {
    /// `go` is the body of a shell script that stands in for the Go program.
    fn new(go: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("go");
        fs::write(&program, format!("#!/bin/sh\n{go}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let binaries = Binaries { assets: None, cache: dir.path().join("cache"), go: program };
        Self { dir, binaries, said: Mutex::default() }
    }

    async fn path(&self, tool: Tool) -> Result<PathBuf, BinaryError> {
        self.binaries.path(tool, &|line| self.said.lock().unwrap().push(line.to_owned())).await
    }

    fn cached(&self) -> Vec<String> {
        let files = fs::read_dir(self.binaries.folder(Tool::Etcd)).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Writes its arguments to the file after `-o`.
const WRITES: &str = r#"echo run >> "$0.runs"; all="$*"; while [ "$1" != -o ]; do shift; done
cat go.mod go.sum > /dev/null || exit 9; echo "$all" > "$2""#;

#[tokio::test]
async fn a_missing_program_is_built_once_with_words_on_how_long_it_takes() {
    let fixture = Fixture::new(WRITES);
    let first = fixture.path(Tool::Apiserver).await.unwrap();
    assert_eq!(first, fixture.path(Tool::Apiserver).await.unwrap());
    let arguments = fs::read_to_string(&first).unwrap();
    assert!(arguments.contains("k8s.io/kubernetes/cmd/kube-apiserver") && arguments.contains("gitVersion=v1.36.3"));
    assert_eq!(fs::read_to_string(fixture.dir.path().join("go.runs")).unwrap(), "run\n");
    let said = fixture.said.lock().unwrap();
    assert!(said[0].contains("building kube-apiserver") && said[0].contains("about 6 minutes"), "{said:?}");
    assert_eq!(fixture.cached(), [".lock", "kube-apiserver"]);
}

#[tokio::test]
async fn a_failed_build_leaves_nothing_and_shows_what_the_compiler_said() {
    let fixture =
        Fixture::new(r#"echo "proxy unreachable" >&2; while [ "$1" != -o ]; do shift; done; echo x > "$2"; exit 1"#);
    let error = fixture.path(Tool::Etcd).await.unwrap_err();
    assert!(matches!(&error, BinaryError::Build { tail, .. } if tail == "proxy unreachable"), "{error:?}");
    assert_eq!(fixture.cached(), [".lock"]);
}

#[tokio::test]
async fn without_the_go_program_the_advice_names_it() {
    let mut fixture = Fixture::new("");
    fixture.binaries.go = PathBuf::from("/nonexistent/go");
    let error = fixture.path(Tool::Etcd).await.unwrap_err();
    assert!(matches!(error, BinaryError::NoGo { .. }));
    assert!(error.advice().contains("install Go"));
}

#[tokio::test]
async fn two_at_once_build_once() {
    let fixture = Fixture::new(WRITES);
    let (one, two) = tokio::join!(fixture.path(Tool::Etcd), fixture.path(Tool::Etcd));
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(fs::read_to_string(fixture.dir.path().join("go.runs")).unwrap(), "run\n");
}

#[tokio::test]
async fn the_assets_folder_comes_first_and_may_lack_only_the_controller_manager() {
    let mut fixture = Fixture::new(WRITES);
    let assets = fixture.dir.path().join("assets");
    fs::create_dir(&assets).unwrap();
    fs::write(assets.join("etcd"), "").unwrap();
    fixture.binaries.assets = Some(assets.clone());
    assert_eq!(fixture.path(Tool::Etcd).await.unwrap(), assets.join("etcd"));
    let error = fixture.path(Tool::Apiserver).await.unwrap_err();
    assert!(error.to_string().ends_with("has no kube-apiserver"));
    assert!(fixture.path(Tool::ControllerManager).await.unwrap().starts_with(&fixture.binaries.cache));
}
