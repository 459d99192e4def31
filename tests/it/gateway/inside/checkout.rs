//! A repository behind a token, checked out in a sandbox.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::Held;
use crate::claims::{done, failed};

/// What the repository's server takes, and what nobody may find in the sandbox.
const SECRET: &str = "ghp_hush0123456789";

/// A hook of the sandbox's own that writes down what it sees; that it works is tried out.
const PLANTED: &str = r#"
    set -e
    mkdir hooks
    printf '#!/bin/sh\nenv > "$SANDBOX_WORKSPACE/seen"\n' > hooks/post-checkout
    chmod +x hooks/post-checkout
    git config --global core.hooksPath "$PWD/hooks"
    git init -q tried
    cd tried
    git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m x
    git checkout -q -b y
    rm ../seen
"#;

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "user.name=ada", "-c", "user.email=ada@example.com"]).args(arguments);
    let output = command.output().expect("git runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// Git's own server behind Basic authentication; its address.
async fn serve(root: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(answer).with_state(root);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn answer(State(root): State<PathBuf>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let text = |name| parts.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let wanted = format!("Basic {}", data_encoding::BASE64.encode(format!("ada:{SECRET}").as_bytes()));
    if text(header::AUTHORIZATION) != wanted {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response();
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let mut backend = tokio::process::Command::new("git");
    backend.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    backend.env("REQUEST_METHOD", parts.method.as_str()).env("PATH_INFO", parts.uri.path());
    backend.env("QUERY_STRING", parts.uri.query().unwrap_or_default()).env("CONTENT_TYPE", text(header::CONTENT_TYPE));
    backend.env("GIT_PROTOCOL", text(HeaderName::from_static("git-protocol")));
    backend.env("CONTENT_LENGTH", body.len().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    if text(header::CONTENT_ENCODING) == "gzip" {
        backend.env("HTTP_CONTENT_ENCODING", "gzip");
    }
    let mut child = backend.spawn().expect("git runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(&body).await.expect("written");
    drop(stdin);
    from_cgi(child.wait_with_output().await.expect("an end").stdout.into())
}

fn from_cgi(output: Bytes) -> Response {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let mut response = Response::new(Body::from(output.slice(end + 4..)));
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").expect("a header");
        if name == "Status" {
            *response.status_mut() = value[..3].parse().expect("a status");
        } else {
            let name: HeaderName = name.parse().expect("a name");
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
    }
    response
}

/// Files below a folder that hold these bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let found = entries.flat_map(|entry| match entry.file_type().expect("a type").is_dir() {
        true => holding(&entry.path(), bytes),
        false => {
            let has = |content: Vec<u8>| content.windows(bytes.len()).any(|part| part == bytes);
            std::fs::read(entry.path()).is_ok_and(has).then(|| entry.path()).into_iter().collect()
        }
    });
    found.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_repository_is_checked_out_and_its_token_stays_on_no_disk() {
    let held = Held::start("inside-checkout").await;
    let (root, kubeconfig, run) = (tempfile::tempdir().expect("a folder"), held.kubeconfig(), held.run.as_str());
    let repository = root.path().join("game");
    std::fs::create_dir(&repository).expect("a folder");
    git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
    for content in ["first", "second"] {
        std::fs::write(repository.join("file"), content).expect("written");
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "--quiet", "-m", content]);
    }
    git(&repository, &["branch", "older", "HEAD~1"]);
    let url = format!("{}/game/.git", serve(root.path().to_owned()).await);
    let typed = async |token: &str, arguments: &[&str]| {
        let mut command = held.command(&["checkout", run, &url, "--user", "ada"], &kubeconfig);
        command.args(arguments).env("SANDBAR_GIT_TOKEN", token).output().await.expect("it ran")
    };
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), format!("{SECRET}\n")).expect("written");
    // What ran there before would like to see it.
    done(&held.command(&["exec", run, "--", PLANTED], &kubeconfig).output().await.expect("it ran"));
    done(&typed("", &["here", "--token-file", file.path().to_str().expect("text")]).await);
    done(&typed(SECRET, &["older", "--branch", "older", "--depth", "0"]).await);
    let workspace = held.agent.workspace();
    let read = |name: &str| std::fs::read_to_string(workspace.join(name)).expect("a file");
    assert_eq!((read("here/file"), read("older/file")), ("second".to_owned(), "first".to_owned()));
    assert!(read("here/.git/config").contains(&url), "it says where it is from");
    assert_eq!(holding(held.agent.root(), SECRET.as_bytes()), Vec::<PathBuf>::new());
    assert!(!workspace.join("seen").exists(), "no hook ran");
    assert!(!holding(&workspace, url.as_bytes()).is_empty(), "what is there is looked at");

    for token in ["", "ghp_other"] {
        let told = failed(&typed(token, &["refused"]).await, 128);
        assert!(!told.contains("ghp_") && !workspace.join("refused").exists(), "{told}");
    }
    held.gateway.stop().await;
}
