//! Apps that claims launch: a real control plane, real processes, a real S3 server.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use sandbar::api::{LaunchStep, Phase, Sandbox};
use serde_json::{Value, json};

use crate::claims::{done, failed};
use crate::hibernation::{Stage, says};
use crate::scene::{is, is_not, name};

/// A server of one page, which says the file beside it.
const SERVER: &str = r#"
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open('page.txt').read().encode()
        self.send_response(200 if self.path == '/ready' else 404)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Page).serve_forever()
"#;

fn write_app(folder: &Path, page: &str) {
    std::fs::create_dir_all(folder).expect("a folder");
    std::fs::write(folder.join("server.py"), SERVER).expect("written");
    std::fs::write(folder.join("page.txt"), page).expect("written");
}

fn app(patch: Value) -> Value {
    let mut app = json!({"name": "snake", "title": "Snake", "snapshot": {"name": "snake"}, "run": "exec python3 server.py", "healthPath": "/ready"});
    let fields = patch.as_object().expect("fields").clone();
    app.as_object_mut().expect("an app").extend(fields);
    app
}

async fn stage(test: &str, app: Value) -> Stage {
    let stage = Stage::start(test).await;
    stage.scene.edit(json!({"limits": {"maxSandboxes": 3}, "apps": [app]})).await;
    stage.scene.level(1).await;
    stage
}

async fn publish(stage: &Stage, page: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    write_app(folder.path(), page);
    let path = folder.path().to_str().expect("text");
    let told = done(&stage.typed(&["app", "publish", path, "--app", "snake", "--replace"]).await);
    assert!(told.contains("app snake is in snapshot snake"), "{told}");
}

fn lines(sandbox: &Sandbox) -> Vec<String> {
    sandbox.status.iter().flat_map(|status| &status.timeline).map(|entry| entry.message.clone()).collect()
}

/// What the app says, by way of the sandbox's agent.
async fn page(stage: &Stage, run: &str) -> String {
    let member = member_of(stage, run).await;
    let url = member.status.clone().and_then(|status| status.url).expect("an address");
    let secret = sandbar::api::agent_secret_name(member.metadata.uid.as_deref().expect("a UID"));
    let secret = stage.scene.env.api::<Secret>().get(&secret).await.expect("the agent's token");
    let token = String::from_utf8(secret.data.expect("data")["token"].0.clone()).expect("text");
    let answer = reqwest::Client::new().get(format!("{url}/proxy/5000/ready")).bearer_auth(token).send().await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("text")
}

async fn member_of(stage: &Stage, run: &str) -> Sandbox {
    let request = stage.scene.sandboxes.get(run).await.expect("the request");
    let bound = request.status.and_then(|status| status.bound_to).expect("bound");
    stage.scene.sandboxes.get(&bound.name).await.expect("the member")
}

#[tokio::test]
async fn a_claim_launches_an_app_from_its_snapshot_and_tells_every_step() {
    let app = app(json!({"install": "echo installed >> page.txt"}));
    let mut stage = stage("apps-snapshot", app).await;
    publish(&stage, "hello\n").await;
    let claim = ["claim", "python", "--id", "run-1", "--ttl", "20m", "--app", "snake"];
    done(&stage.typed(&claim).await);
    assert_eq!(page(&stage, "run-1").await, "hello\ninstalled\n");
    let request = stage.scene.sandboxes.get("run-1").await.expect("the request");
    assert!(is(&request, "AppReady") && request.phase() == Phase::Running, "{:#?}", request.status);
    let told = lines(&request);
    let begins = [
        "Acquiring sandbox from warm pool...",
        "Pool acquisition: ",
        "Deploying snake from snapshot...",
        "Files restored from snapshot: ",
        "Installed: ",
        "Process started for port 5000: ",
        "Snake is ready: ",
    ];
    assert_eq!(told.len(), begins.len(), "{told:#?}");
    assert!(told.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{told:#?}");
    assert!(told[1].ends_with("ms (pool hit)"), "{told:#?}");
    let status = request.status.expect("a status");
    let numbers: Vec<i32> = status.timeline.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, (1..=7).collect::<Vec<_>>());
    let timings = status.timings.expect("timings");
    assert!(timings.acquire_ms.is_some() && timings.files_ms.is_some() && timings.install_ms.is_some());
    assert!(timings.total_ms >= timings.answer_ms, "{timings:?}");

    // Another operator takes up what runs, and nothing is begun twice.
    let pid = |member: &Sandbox| member.status.as_ref().and_then(|status| status.app.as_ref()?.pid);
    let before = member_of(&stage, "run-1").await;
    stage.scene.operator.kill9().await;
    stage.scene.operator.restart().await;
    done(&stage.typed(&["exec", "run-1", "--", &format!("kill {}", pid(&before).expect("a process"))]).await);
    let ended =
        stage.scene.shows("run-1", "the end of its app", |request| says(request, "AppReady", "AppExited")).await;
    assert!(is(&ended, "Ready") && ended.phase() == Phase::Claimed);
    assert_eq!(pid(&member_of(&stage, "run-1").await), pid(&before));
    stage.scene.sound(3).await;
}

#[tokio::test]
async fn a_launch_goes_on_whoever_dies_meanwhile_s8() {
    let app = app(json!({"install": "echo once >> installed; while [ ! -e go ]; do sleep 0.1; done"}));
    let mut stage = stage("apps-killed", app).await;
    publish(&stage, "here").await;
    let claim = ["claim", "python", "--id", "run-1", "--ttl", "20m", "--app", "snake"];
    done(&stage.typed(&[&claim[..], &["--no-wait"]].concat()).await);
    let installs = |request: &Sandbox| {
        request.status.iter().flat_map(|status| &status.conditions).any(|told| told.message.contains("being installed"))
    };
    let request = stage.scene.shows("run-1", "installing", installs).await;
    assert!(is_not(&request, "AppReady") && request.phase() == Phase::Launching);
    stage.scene.operator.kill9().await;
    stage.scene.operator.restart().await;
    done(&stage.typed(&["exec", "run-1", "--", "touch snake/go"]).await);
    done(&stage.typed(&claim).await);
    assert_eq!(page(&stage, "run-1").await, "here");
    let installed = done(&stage.typed(&["exec", "run-1", "--", "cat snake/installed"]).await);
    assert!(!installed.is_empty());
    let processes = done(&stage.typed(&["exec", "run-1", "--", "pgrep -fc '[:] sandbar app run-1-1' || true"]).await);
    assert_eq!(processes.trim(), "0", "the shell gave way to the app");
    stage.scene.sound(3).await;
}

#[tokio::test]
async fn a_missing_snapshot_is_replaced_by_git_and_said() {
    let repository = tempfile::tempdir().expect("a folder");
    write_app(&repository.path().join("games/snake"), "from git");
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(repository.path()).args(["-c", "user.name=t", "-c", "user.email=t@t.test"]);
        assert!(command.args(arguments).output().expect("git runs").status.success(), "{arguments:?}");
    };
    git(&["init", "--quiet", "--initial-branch", "main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "games"]);
    let source = json!({"url": "https://git.test/games", "ref": "main", "path": "games/snake"});
    let app = app(json!({"git": source}));
    let stage = stage("apps-git", app).await;
    // No test asks a server elsewhere: the image's git finds the repository here.
    let instead = format!("url.file://{}.insteadOf", repository.path().display());
    let env = json!([{"name": "GIT_CONFIG_COUNT", "value": "1"}, {"name": "GIT_CONFIG_KEY_0", "value": instead},
        {"name": "GIT_CONFIG_VALUE_0", "value": "https://git.test/games"}]);
    stage.scene.edit(json!({"env": env, "rollout": {"strategy": "Recreate"}})).await;
    stage.scene.pool_shows("the new environment", |status| status.updated == 1 && status.warm == 1).await;
    done(&stage.typed(&["claim", "python", "--id", "run-1", "--ttl", "20m", "--app", "snake"]).await);
    assert_eq!(page(&stage, "run-1").await, "from git");
    let told = lines(&stage.scene.sandboxes.get("run-1").await.expect("the request"));
    let fallback = "its snapshot cannot be had, so it comes from git: there is no snapshot snake in ";
    assert!(told.iter().any(|line| line.starts_with(fallback)), "{told:#?}");
    stage.scene.sound(3).await;
}

#[tokio::test]
async fn an_app_that_does_not_come_up_says_why_with_its_last_words() {
    let stage = stage("apps-failed", app(json!({"run": "echo no module named flask >&2; exit 3"}))).await;
    publish(&stage, "here").await;
    let claim = |id| ["claim", "python", "--id", id, "--ttl", "20m", "--app", "snake"];
    let refused = failed(&stage.typed(&claim("run-1")).await, 1);
    assert!(refused.contains("it has ended with exit code 3: no module named flask"), "{refused}");
    let member = member_of(&stage, "run-1").await;
    assert!(says(&member, "AppReady", "AppExited") && is(&member, "Ready"), "its holder can look into it");
    assert_eq!(member.status.and_then(|status| status.app).map(|app| app.step), Some(LaunchStep::Failed));
    done(&stage.typed(&["exec", "run-1", "--", "true"]).await);
    stage.scene.watcher.ends_by_word("run-1");
    done(&stage.typed(&["release", "run-1"]).await);

    stage.scene.edit(json!({"apps": [app(json!({"install": "echo cannot compile; exit 9"}))]})).await;
    stage.scene.level(1).await;
    let refused = failed(&stage.typed(&claim("run-2")).await, 1);
    assert!(refused.contains("install: echo cannot compile; exit 9: exit code 9: cannot compile"), "{refused}");

    let silent = app(json!({"run": "exec sleep 600", "deadline": "3s"}));
    stage.scene.edit(json!({"apps": [silent]})).await;
    let refused = failed(&stage.typed(&claim("run-3")).await, 1);
    assert!(refused.contains("not ready within 3s; the last step was Answer"), "{refused}");

    let unknown = ["claim", "python", "--id", "run-4", "--app", "chess"];
    let refused = failed(&stage.typed(&unknown).await, 1);
    assert!(refused.contains("spec.claim.app.name: chess is not an app of pool python, which has snake"), "{refused}");
    let all = stage.scene.members().await;
    assert!(
        !all.iter().any(|member| crate::scene::held(member) == Some("run-4")),
        "nothing is held for it: {:?}",
        all.iter().map(name).collect::<Vec<_>>()
    );
}
