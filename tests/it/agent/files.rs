//! Files.

use super::{Agent, TOKEN, alive, eventually};
use futures::TryStreamExt;
use sandbar::agent::client::AgentError;
use sandbar::agent::server::MAX_OUTPUT;
use sandbar::agent::wire::ExecRequest;
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn content(agent: &Agent, path: &str) -> (u16, Value) {
    agent.call("GET", &format!("/api/files/content?path={path}"), None).await
}

#[tokio::test]
async fn text_is_written_with_its_parents_and_read_back_as_text() {
    let agent = Agent::start();
    let path = "/workspace/a/b/c.txt";
    let body = json!({"path": path, "content": "zwölf\n"});
    let written = agent.call("POST", "/api/files/content", Some(body)).await;
    assert_eq!(written, (200, json!({"success": true, "path": path})));
    assert_eq!(std::fs::read_to_string(agent.workspace().join("a/b/c.txt")).unwrap(), "zwölf\n");
    assert_eq!(content(&agent, path).await, (200, json!({"content": "zwölf\n", "path": path})));
    assert_eq!(content(&agent, "/workspace/a/./x/../b/c.txt").await.1["path"], path);
    assert_eq!(content(&agent, "a/b/c.txt").await.1["path"], path);
}

#[tokio::test]
async fn bytes_that_are_not_text_survive_both_ways() {
    let agent = Agent::start();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let encoded = data_encoding::BASE64.encode(&bytes);
    let body = json!({"path": "/tmp/b", "content": encoded, "encoding": "base64"});
    assert_eq!(agent.call("POST", "/api/files/content", Some(body)).await.0, 200);
    assert_eq!(std::fs::read(agent.root().join("tmp/b")).unwrap(), bytes);
    let answer = content(&agent, "/tmp/b").await;
    assert_eq!(answer, (200, json!({"content": encoded, "path": "/tmp/b", "encoding": "base64"})));
    assert_eq!(agent.client().read_file("/tmp/b").await.unwrap(), bytes);
}

#[tokio::test]
async fn the_client_moves_files_of_any_size() {
    let agent = Agent::start();
    let client = agent.client();
    for size in [0, 1, 4 * 1024 * 1024, MAX_OUTPUT + 1] {
        let bytes: Vec<u8> = (0..size).map(|n| (n * 31 % 251) as u8).collect();
        client.write_file("/home/sandbox/some file?&", bytes.clone()).await.unwrap();
        assert!(client.read_file("/home/sandbox/some file?&").await.unwrap() == bytes, "{size} bytes differ");
    }
    let (status, answer) = content(&agent, "/home/sandbox/some%20file%3F%26").await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("download"));
}

#[tokio::test]
async fn a_download_is_an_attachment_with_its_length() {
    let agent = Agent::start();
    std::fs::write(agent.workspace().join("a \"ü\".bin"), b"12345").unwrap();
    let url = format!("{}/api/files/download", agent.base);
    let request = reqwest::Client::new().get(url).query(&[("path", "/workspace/a \"ü\".bin")]).bearer_auth(TOKEN);
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("content-length"), "5");
    assert_eq!(header("content-disposition"), "attachment; filename=\"a____.bin\"");
    assert_eq!(response.bytes().await.unwrap(), "12345");
}

#[tokio::test]
async fn a_directory_lists_names_kinds_sizes_and_permissions() {
    let agent = Agent::start();
    let workspace = agent.workspace();
    std::fs::create_dir(workspace.join("dir")).unwrap();
    std::fs::write(workspace.join("b.sh"), "12345").unwrap();
    std::fs::set_permissions(workspace.join("b.sh"), PermissionsExt::from_mode(0o750)).unwrap();
    symlink("nowhere", workspace.join("dangling")).unwrap();
    let (status, answer) = agent.call("GET", "/api/files", None).await;
    assert_eq!(status, 200);
    let files = answer["files"].as_array().unwrap();
    let script = json!({"name": "b.sh", "path": "/workspace/b.sh", "is_dir": false, "size": 5, "permissions": "750"});
    assert_eq!(files[0], script);
    assert_eq!((&files[1]["name"], &files[1]["is_dir"]), (&json!("dangling"), &json!(false)));
    let directory = &files[2];
    assert_eq!((&directory["is_dir"], &directory["size"]), (&json!(true), &Value::Null));
    assert_eq!(agent.call("GET", "/api/files?path=/workspace", None).await.1, answer);
    assert_eq!(agent.client().list_files("/workspace/dir").await.unwrap(), []);
}

#[tokio::test]
async fn what_cannot_be_read_or_written_says_why() {
    let agent = Agent::start();
    let workspace = agent.workspace();
    std::fs::create_dir(workspace.join("dir")).unwrap();
    std::fs::write(workspace.join("file"), "").unwrap();
    nix::unistd::mkfifo(&workspace.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let long = format!("/workspace/{}", "x".repeat(300));
    for (path, want) in [
        ("/api/files?path=/workspace/none", 404),
        ("/api/files?path=/workspace/file", 400),
        ("/api/files/content?path=/workspace/none", 404),
        ("/api/files/content?path=/workspace/dir", 400),
        ("/api/files/content?path=/workspace/pipe", 400),
        ("/api/files/content?path=/workspace/file/x", 400),
        ("/api/files/content?path=/workspace/a%00b", 422),
        ("/api/files/download?path=/workspace/none", 404),
        ("/api/files/download?path=/workspace/dir", 400),
        (&format!("/api/files/content?path={long}"), 400),
    ] {
        let (status, answer) = agent.call("GET", path, None).await;
        assert_eq!(status, want, "{path}: {answer}");
    }
    for path in ["/workspace/dir", "/workspace/pipe", "/workspace/file/x", "/workspace", &long] {
        let error = agent.client().write_file(path, "x").await.unwrap_err();
        assert!(matches!(error, AgentError::Invalid { .. }), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn paths_outside_the_sandbox_are_refused_however_they_are_written() {
    let agent = Agent::start();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let workspace = agent.workspace();
    symlink(&secret, workspace.join("file-link")).unwrap();
    symlink(outside.path(), workspace.join("dir-link")).unwrap();
    symlink(outside.path().join("new"), workspace.join("dangling")).unwrap();
    symlink("../..", workspace.join("up")).unwrap();
    for path in [
        "/",
        "/etc/passwd",
        "/workspace/../etc/passwd",
        "/workspace/../../../../../../etc/passwd",
        "../etc/passwd",
        "/workspace/%2e%2e/etc/passwd",
        "/workspaces/x",
        "/home/other",
        "/workspace/file-link",
        "/workspace/dir-link/secret",
        "/workspace/dir-link",
        "/workspace/up",
    ] {
        for route in ["/api/files", "/api/files/content", "/api/files/download"] {
            let (status, answer) = agent.call("GET", &format!("{route}?path={path}"), None).await;
            assert_eq!(status, 403, "{route} {path}: {answer}");
        }
    }
    for path in [
        "/etc/new",
        "/workspace/../new",
        "/workspace/file-link",
        "/workspace/dir-link/new",
        "/workspace/dir-link/deep/new",
        "/workspace/dangling",
        "/workspace/dangling/new",
        "/workspace/up/new",
    ] {
        let client = agent.client();
        for result in [client.write_file(path, "x").await, client.upload(path, None, "x").await] {
            assert!(matches!(result, Err(AgentError::Forbidden { .. })), "{path}: {result:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn links_that_stay_inside_are_followed() {
    let agent = Agent::start();
    let workspace = agent.workspace();
    std::fs::create_dir(workspace.join("releases")).unwrap();
    symlink("releases", workspace.join("current")).unwrap();
    let client = agent.client();
    client.write_file("/workspace/current/new/file", "x").await.unwrap();
    assert_eq!(std::fs::read_to_string(workspace.join("releases/new/file")).unwrap(), "x");
    assert_eq!(content(&agent, "/workspace/current/new/file").await.1["path"], "/workspace/releases/new/file");
}

#[tokio::test]
async fn a_replaced_root_folder_opens_nothing() {
    let agent = Agent::start();
    std::fs::remove_dir(agent.workspace()).unwrap();
    symlink("/", agent.workspace()).unwrap();
    assert_eq!(content(&agent, "/workspace/etc/passwd").await.0, 403);
    assert_eq!(agent.call("GET", "/api/files", None).await.0, 403);
}

#[tokio::test]
async fn an_upload_streams_sets_permissions_and_keeps_them_later() {
    let agent = Agent::start();
    let client = agent.client();
    let chunks = (0..64).map(|n: u8| Ok::<_, std::io::Error>(vec![n; 65_536]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    client.upload("/workspace/bin/tool", Some(0o755), body).await.unwrap();
    let file = agent.workspace().join("bin/tool");
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() == 64 * 65_536 && bytes.chunks(65_536).enumerate().all(|(n, chunk)| chunk[0] == n as u8));
    assert_eq!(mode(&file), 0o755);
    client.upload("/workspace/bin/tool", None, "other").await.unwrap();
    assert_eq!((std::fs::read(&file).unwrap(), mode(&file)), (b"other".to_vec(), 0o755));
    client.write_file("/workspace/bin/new", "x").await.unwrap();
    assert_eq!(mode(&agent.workspace().join("bin/new")), 0o644);
    let pieces: Vec<_> = client.download("/workspace/bin/tool").await.unwrap().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"other");
}

#[tokio::test]
async fn an_upload_that_breaks_leaves_the_old_file_and_no_remains() {
    let agent = Agent::start();
    let client = agent.client();
    client.write_file("/workspace/file", "old").await.unwrap();
    let chunks = [Ok(vec![b'x'; 1_000_000]), Err(std::io::Error::other("cut"))];
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    assert!(client.upload("/workspace/file", None, body).await.is_err());
    eventually("only the old file is there", || std::fs::read_dir(agent.workspace()).unwrap().count() == 1).await;
    assert_eq!(client.read_file("/workspace/file").await.unwrap(), "old");
}

#[tokio::test]
async fn commands_and_files_see_the_same_sandbox() {
    let agent = Agent::start();
    let client = agent.client();
    client.write_file("/workspace/main.sh", "echo from $(basename $PWD) > $TMPDIR/said; echo $0").await.unwrap();
    let output = client.exec(&ExecRequest::new("sh main.sh")).await.unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("main.sh\n", ""));
    assert_eq!(client.read_file("/tmp/said").await.unwrap(), "from workspace\n");
}

#[tokio::test]
async fn a_download_nobody_reads_does_not_keep_the_agent_from_ending() {
    let mut agent = Agent::start();
    std::fs::write(agent.workspace().join("big"), vec![0; 50_000_000]).unwrap();
    let unread = agent.client().download("/workspace/big").await.unwrap();
    let pid = agent.pid();
    let (code, took) = agent.terminate();
    assert_eq!((code, alive(pid)), (Some(0), false));
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(unread);
}
