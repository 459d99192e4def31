//! `sandbar snapshot`, over a real agent, a local store and a real S3 server.

use super::inside::{let_read_secrets, run};
use super::{command, done, err, failed, out};
use crate::agent::{Agent, TOKEN};
use crate::s3::S3;
use crate::world::{TestEnv, World};
use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

/// A namespace with a run in a real agent, and a store.
struct Stage {
    env: TestEnv,
    agent: Agent,
    id: String,
    store: Vec<(&'static str, String)>,
}

impl Stage {
    async fn new(name: &str, store: Vec<(&'static str, String)>) -> Self {
        let env = World::get().await.test(name).await;
        let (agent, id) = run(&env).await;
        let_read_secrets(&env).await;
        Self { env, agent, id, store }
    }

    async fn typed(&self, arguments: &[&str]) -> Output {
        let mut command = command(&self.env, &["snapshot"]);
        command.env_remove("AWS_PROFILE").args(arguments).envs(self.store.iter().cloned());
        command.output().await.expect("it runs")
    }

    fn write(&self, path: &str, content: &[u8], mode: u32) {
        let path = self.agent.root().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, content).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    }

    /// Every file below the workspace: content and permissions.
    fn files(&self) -> BTreeMap<String, (Vec<u8>, u32)> {
        let mut files = BTreeMap::new();
        collect(&self.agent.workspace(), &self.agent.workspace(), &mut files);
        files
    }

    fn temporary(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.agent.root().join("tmp")).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".sandbar")).collect()
    }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, (Vec<u8>, u32)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            let mode = path.metadata().expect("there").permissions().mode() & 0o777;
            files.insert(name, (std::fs::read(&path).expect("read"), mode));
        }
    }
}

/// Bytes that do not get smaller by packing.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// The whole use of snapshots, whatever the store.
async fn a_whole_life(stage: &Stage) {
    stage.write("workspace/data.bin", &noise(20_000_000), 0o644);
    stage.write("workspace/src/run me.sh", b"#!/bin/sh\n", 0o755);
    stage.write("workspace/.git/objects/ab/cd", b"object", 0o444);
    stage.write("workspace/.env", b"A=1\n", 0o600);
    stage.write("workspace/junk.log", b"junk", 0o644);
    let mut before = stage.files();
    before.remove("junk.log");

    let words = ["create", &stage.id, "--name", "base", "--exclude", "*.log", "--description", "two words"];
    let told = done(&stage.typed(&words).await);
    assert!(told.starts_with("snapshot base of python-0: "), "{told}");
    let listed = done(&stage.typed(&["ls"]).await);
    assert!(listed.contains("base") && listed.contains("/workspace") && listed.contains("two words"), "{listed}");
    let whole: Value = serde_json::from_str(&done(&stage.typed(&["ls", "-o", "json"]).await)).expect("JSON");
    assert_eq!((&whole[0]["snapshot_id"], &whole[0]["sandbox_image"]), (&"base".into(), &"r".into()), "{whole}");
    let taken = failed(&stage.typed(&["create", &stage.id, "--name", "base"]).await, 1);
    assert!(taken.contains("snapshot base exists in ") && taken.contains("--replace"), "{taken}");
    let name = done(&stage.typed(&["create", &stage.id, "-o", "name", "--path", "/workspace/src"]).await);
    assert!(name.starts_with("snap-") && name.trim().len() == 17, "{name}");

    stage.write("workspace/data.bin", b"changed", 0o644);
    std::fs::remove_dir_all(stage.agent.workspace().join("src")).expect("removed");
    stage.write("workspace/new", b"new", 0o644);
    let told = done(&stage.typed(&["restore", "base", &stage.id]).await);
    assert!(told.starts_with(&format!("restored base into {}: ", stage.id)), "{told}");
    let files = stage.files();
    assert!(files.contains_key("new") && files["data.bin"] == before["data.bin"], "over what is there");
    done(&stage.typed(&["restore", "base", &stage.id, "--replace"]).await);
    assert!(stage.files() == before, "instead of what was there: {:?}", stage.files().keys());
    assert_eq!(stage.temporary(), [""; 0], "a transfer leaves nothing behind");

    assert_eq!(done(&stage.typed(&["rm", "base", name.trim()]).await).matches("removed").count(), 2);
    let told = failed(&stage.typed(&["rm", "base"]).await, 1);
    assert!(told.contains("there is no snapshot base in "), "{told}");
    let told = failed(&stage.typed(&["restore", "base", &stage.id]).await, 1);
    assert!(told.contains("there is no snapshot base in ") && told.contains("snapshot ls"), "{told}");
    assert_eq!(done(&stage.typed(&["ls", "-o", "name"]).await), "");
}

#[tokio::test]
async fn snapshots_live_in_a_local_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}/store", folder.path().display());
    let stage = Stage::new("snap-local", vec![("SANDBAR_SNAPSHOT_URL", url)]).await;
    a_whole_life(&stage).await;
}

#[tokio::test]
async fn snapshots_live_in_s3() {
    let s3 = S3::start().await;
    let stage = Stage::new("snap-s3", s3.environment()).await;
    a_whole_life(&stage).await;
    assert!(s3.asked() > 10, "the store was really used");
    let left = std::fs::read_dir(s3.snapshots(&stage.env.namespace).join("base")).into_iter().flatten();
    assert_eq!(left.count(), 0, "what is removed is gone");
}

#[tokio::test]
async fn what_is_damaged_or_half_there_is_never_unpacked() {
    let s3 = S3::start().await;
    let stage = Stage::new("snap-bad", s3.environment()).await;
    stage.write("workspace/file", b"content", 0o644);
    done(&stage.typed(&["create", &stage.id, "--name", "base"]).await);
    let folder = s3.snapshots(&stage.env.namespace).join("base");
    let entries = std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let archive = entries.into_iter().find(|path| path.extension().is_some_and(|end| end == "gz")).expect("an archive");
    let good = std::fs::read(&archive).expect("the archive");
    stage.write("workspace/file", b"mine", 0o644);

    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    std::fs::write(&archive, &flipped).expect("written");
    let told = failed(&stage.typed(&["restore", "base", &stage.id, "--replace"]).await, 1);
    assert!(told.contains("snapshot base in ") && told.contains("is damaged: its digest is"), "{told}");
    std::fs::write(&archive, &good[..good.len() - 1]).expect("written");
    let told = failed(&stage.typed(&["restore", "base", &stage.id]).await, 1);
    assert!(told.contains("is damaged: the archive has"), "{told}");
    std::fs::remove_file(&archive).expect("removed");
    let told = failed(&stage.typed(&["restore", "base", &stage.id]).await, 1);
    assert!(told.contains("is damaged: its archive is gone"), "{told}");
    std::fs::write(&archive, &good).expect("written");
    std::fs::rename(folder.join("metadata.json"), folder.join("away")).expect("renamed");
    let told = failed(&stage.typed(&["restore", "base", &stage.id]).await, 1);
    assert!(told.contains("there is no snapshot base"), "{told}");
    assert_eq!(stage.files()["file"].0, b"mine", "nothing of it was unpacked");
    assert_eq!(stage.temporary(), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_kept_is_said() {
    let s3 = S3::start().await;
    let mut stage = Stage::new("snap-errors", s3.environment()).await;
    stage.write("workspace/data.bin", &noise(3_000_000), 0o644);
    let id = stage.id.clone();
    let told = failed(&stage.typed(&["create", &id, "--max-size", "1MiB"]).await, 1);
    assert!(told.contains("the files have 2 MiB, more than the 1 MiB") && told.contains("--max-size"), "{told}");
    let told = failed(&stage.typed(&["create", &id, "--path", "/etc"]).await, 1);
    assert!(told.contains("\"/etc\" cannot be in a snapshot; use folders in or below /workspace"), "{told}");
    let told = failed(&stage.typed(&["create", &id, "--path", "/workspace/none"]).await, 1);
    assert!(told.contains("there is no folder /workspace/none"), "{told}");
    let told = failed(&stage.typed(&["create", &id, "--name", "A/B"]).await, 1);
    assert!(told.contains("\"A/B\" is not a name of a snapshot"), "{told}");
    let told = failed(&stage.typed(&["create", &id, "--name", "hibernate-x"]).await, 1);
    assert!(told.contains("the operator's own"), "{told}");
    let told = failed(&stage.typed(&["create", "run-none"]).await, 1);
    assert!(told.contains("no run run-none in namespace"), "{told}");
    assert_eq!(done(&stage.typed(&["ls", "-o", "name"]).await), "", "nothing half-done is shown");
    s3.broken(true);
    let told = failed(&stage.typed(&["create", &id]).await, 1);
    assert!(told.contains("cannot ") && told.contains(&s3.url()) && told.contains("AWS_*"), "{told}");
    s3.broken(false);
    stage.store.retain(|(name, _)| *name != "AWS_SECRET_ACCESS_KEY");
    let told = failed(&stage.typed(&["ls"]).await, 1);
    assert!(told.contains("needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{told}");
    stage.store = Vec::new();
    let told = failed(&stage.typed(&["ls"]).await, 1);
    assert!(told.contains("no snapshot store is named") && told.contains("SANDBAR_SNAPSHOT_URL"), "{told}");
    let told = failed(&stage.typed(&["ls", "--store", "/var/x"]).await, 1);
    assert!(told.contains("--store: \"/var/x\" is not the address of a snapshot store"), "{told}");
}

/// The agent behind this address has no route for raw files, as those of the public images.
async fn without_raw_files(agent: &Agent) -> String {
    let (base, http) = (agent.base.clone(), reqwest::Client::new());
    let pass = move |request: Request| {
        let (http, base) = (http.clone(), base.clone());
        async move {
            let (parts, body) = request.into_parts();
            if parts.uri.path() == "/api/files/raw" {
                return (StatusCode::NOT_FOUND, r#"{"detail": "Not Found"}"#).into_response();
            }
            let url = format!("{base}{}", parts.uri);
            let body = reqwest::Body::wrap_stream(body.into_data_stream());
            let answer =
                http.request(parts.method, url).headers(parts.headers).body(body).send().await.expect("passed");
            let status = answer.status();
            (status, axum::body::Body::from_stream(answer.bytes_stream())).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let router: Router = Router::new().fallback(pass).layer(axum::extract::DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn a_sandbox_with_a_public_image_gets_large_files_in_small_pieces() {
    use sandbar::agent::client::AgentClient;
    use sandbar::artifacts::{SaveOptions, Store, Unpack, restore, save};
    let folder = tempfile::tempdir().expect("a folder");
    let snapshots = Store::open(&format!("file://{}", folder.path().display())).expect("a store").of("ns");
    let agent = Agent::start();
    let client = AgentClient::new(&without_raw_files(&agent).await, Some(TOKEN)).expect("a client");
    let content = noise(10_000_000);
    std::fs::write(agent.workspace().join("large"), &content).expect("written");
    save(&client, &snapshots, "s", &SaveOptions::default(), || true).await.expect("kept");
    std::fs::remove_file(agent.workspace().join("large")).expect("removed");
    restore(&client, &snapshots, "s", Unpack::Instead, || true).await.expect("restored");
    assert!(std::fs::read(agent.workspace().join("large")).expect("there") == content);

    let refused = save(&client, &snapshots, "late", &SaveOptions::default(), || false).await;
    assert!(matches!(refused, Err(sandbar::artifacts::TransferError::Fenced)), "{refused:?}");
    assert!(snapshots.get("late").await.is_err(), "whoever no longer decides makes no snapshot");
}

#[tokio::test]
async fn files_are_put_into_a_container_once_for_each_purpose_also_by_one_who_comes_late() {
    use sandbar::artifacts::{SaveOptions, Store, Unpack, restore, save};
    let folder = tempfile::tempdir().expect("a folder");
    let snapshots = Store::open(&format!("file://{}", folder.path().display())).expect("a store").of("ns");
    let agent = Agent::start();
    let client = agent.client();
    let file = agent.workspace().join("notes");
    let keep = async |text: &str| {
        std::fs::write(&file, text).expect("written");
        save(&client, &snapshots, "s", &SaveOptions::default(), || true).await.expect("kept");
    };
    let put = async |purpose| {
        restore(&client, &snapshots, "s", Unpack::Once { purpose }, || true).await.expect("restored");
        std::fs::read_to_string(&file).expect("there")
    };
    keep("old").await;
    assert_eq!(put("instance").await, "old");
    keep("new").await;
    std::fs::write(&file, "the holder's").expect("written");
    assert_eq!(put("instance").await, "the holder's", "another archive of the name changes nothing");
    assert_eq!(put("claim").await, "new");
}

#[tokio::test]
async fn a_snapshot_of_the_public_sdk_is_restored() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", folder.path().display());
    let stage = Stage::new("snap-sdk", vec![("SANDBAR_SNAPSHOT_URL", url)]).await;
    let place = folder.path().join(&stage.env.namespace).join("snapshots/snap-0123456789ab");
    std::fs::create_dir_all(&place).expect("a folder");
    // What its `tar -czf ... -C / workspace` makes.
    let source = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(source.path().join("workspace")).expect("a folder");
    std::fs::write(source.path().join("workspace/main.py"), "print(1)\n").expect("written");
    let archive = place.join("archive.tar.gz");
    let mut tar = std::process::Command::new("tar");
    let packed = tar.arg("-czf").arg(&archive).arg("-C").arg(source.path()).arg("workspace").status();
    assert!(packed.expect("tar runs").success());
    let bytes = std::fs::metadata(&archive).expect("there").len();
    let metadata = format!(
        r#"{{"snapshot_id": "snap-0123456789ab", "created_at": 1764000000.5, "sandbox_image": "python",
            "size_bytes": {bytes}, "paths": ["/workspace"], "description": null, "tags": {{"a": "b"}}}}"#
    );
    std::fs::write(place.join("metadata.json"), metadata).expect("written");
    let restored = stage.typed(&["restore", "snap-0123456789ab", &stage.id]).await;
    assert!(done(&restored).contains("restored"), "{}", out(&restored));
    assert!(err(&restored).contains("has no digest: only its size is checked"), "{}", err(&restored));
    assert_eq!(stage.files()["main.py"].0, b"print(1)\n");
}
