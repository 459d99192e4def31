//! The whole way into a worker: claimed with the commands, entered through the operator, as the cluster allows.

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use rand::RngExt;
use reqwest::{Client, Method, StatusCode};
use sandbar::api::Sandbox;
use sandbar::cloudsim::admin::{Fault, Rule};
use sandbar::dev::install::service_account_token;
use serde_json::{Value, json};

use super::worker;
use crate::claims::{done, failed, sandbar};
use crate::running_apps::RunningApps;
use crate::scene::{POOL, name};
use crate::world::PROGRAM;

impl RunningApps {
    /// Lets the normal user enter.
    async fn let_in(&self) {
        let binding = json!({
            "metadata": {"name": "enter"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sandbar-enter"},
            "subjects": [{"kind": "ServiceAccount", "name": "user", "namespace": self.scene.env.namespace}],
        });
        let binding: RoleBinding = serde_json::from_value(binding).expect("a binding");
        self.scene.env.api::<RoleBinding>().create(&PostParams::default(), &binding).await.expect("bound");
    }

    async fn cli(&self, arguments: &[&str]) -> std::process::Output {
        sandbar(&self.scene.env, arguments).await
    }

    /// Status and detail of a call to the endpoint.
    async fn ask(&self, method: Method, url: &str, token: &str, body: Option<Value>) -> (StatusCode, String) {
        let request = Client::new().request(method, url).bearer_auth(token);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        (status, body["detail"].as_str().unwrap_or_default().to_owned())
    }
}

fn url(sandbox: &Sandbox) -> String {
    sandbox.status.clone().and_then(|status| status.url).expect("an address")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_enters_a_claimed_worker_with_the_usual_commands() {
    let inside = RunningApps::start("worker-inside").await;
    inside.scene.pool(worker(1)).await;
    inside.scene.warm_member().await;
    let run = done(&inside.cli(&["claim", POOL, "-o", "name"]).await).trim().to_owned();

    let told = failed(&inside.cli(&["exec", &run, "--", "true"]).await, 125);
    assert!(told.contains("may not create sandboxes/exec") && told.contains("sandbar-enter"), "{told}");
    let told = failed(&inside.cli(&["cp", PROGRAM, &format!("{run}:x")]).await, 1);
    assert!(told.contains("sandboxes/files"), "{told}");
    inside.let_in().await;
    inside
        .scene
        .within("the right holds", async || {
            let output = inside.cli(&["exec", &run, "--", "echo in"]).await;
            if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
        })
        .await;

    let output = inside.cli(&["exec", &run, "--", "echo out; echo err >&2; exit 3"]).await;
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"out\n"[..], Some(3)));
    assert!(output.stderr.ends_with(b"err\n"));
    let told = failed(&inside.cli(&["shell", &run]).await, 125);
    assert!(told.contains("offers no terminal") && told.contains("mode Worker"), "{told}");
    let told = failed(&inside.cli(&["exec", &run, "--timeout", "1s", "--", "sleep 100"]).await, 124);
    assert!(told.contains("ended after 1s"), "{told}");

    let folder = tempfile::tempdir().expect("a folder");
    let content: Vec<u8> = (0..1_500_000).map(|_| rand::rng().random()).collect();
    std::fs::create_dir_all(folder.path().join("src/deep")).expect("a folder");
    std::fs::write(folder.path().join("src/deep/data.bin"), &content).expect("a file");
    std::fs::write(folder.path().join("src/empty"), b"").expect("a file");
    let (there, here) = (format!("{run}:"), folder.path().join("back"));
    done(&inside.cli(&["cp", folder.path().join("src").to_str().expect("text"), &there]).await);
    done(&inside.cli(&["cp", &format!("{run}:src"), here.to_str().expect("text")]).await);
    assert!(std::fs::read(here.join("deep/data.bin")).expect("the file") == content);
    assert_eq!(std::fs::read(here.join("empty")).expect("the file"), b"");
    let told = failed(&inside.cli(&["cp", &format!("{run}:nothing"), "/tmp/nothing"]).await, 1);
    assert!(told.contains("no such file"), "{told}");

    done(&inside.cli(&["release", &run]).await);
    inside.scene.watcher.ends_by_word(&run);
    let told = failed(&inside.cli(&["exec", &run, "--", "true"]).await, 125);
    assert!(told.contains(&run), "{told}");
    let _ = inside.scene.pools.delete(POOL, &Default::default()).await.expect("deleted");
    crate::wait::wait_gone(&inside.scene.pools, POOL).await;
    let ledger = inside.admin.ledger().await.expect("the books");
    assert_eq!(ledger.existing().count(), 0, "nothing is left");
    let log = std::fs::read_to_string(inside.log.path()).expect("the log");
    assert!(log.contains("console opened"));
    assert!(!log.contains("_console?token="), "no address of a console is logged");
    drop(inside.scene);
    inside.cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_enters_what_is_not_theirs_to_enter() {
    let inside = RunningApps::start("worker-guard").await;
    inside.let_in().await;
    // No other is made for the claimed one: its console would be asked too, and meet the faults.
    let mut alone = worker(1);
    alone["limits"] = json!({"maxSandboxes": 1});
    inside.scene.pool(alone).await;
    let warm = inside.scene.warm_member().await;
    let (env, command) = (&inside.scene.env, json!({"command": "true"}));
    let token = service_account_token(&env.client, &env.namespace, "user").await.expect("a token");
    let exec = format!("{}/api/exec", url(&warm));
    let post = async |url: &str, token: &str| inside.ask(Method::POST, url, token, Some(command.clone())).await;

    let (status, detail) = post(&exec, &token).await;
    assert_eq!(status, StatusCode::CONFLICT, "{detail}");
    assert!(detail.contains("is held by nobody: claim it first"), "{detail}");
    let claimed = inside.scene.claim_one("run-1", "10m").await;
    assert_eq!(name(&claimed), name(&warm));
    assert_eq!(post(&exec, &token).await, (StatusCode::OK, String::new()));

    assert_eq!(post(&exec, "not-a-token").await.0, StatusCode::UNAUTHORIZED);
    let anonymous = Client::new().post(&exec).json(&command).send().await.expect("an answer");
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    let other = exec.replace(claimed.metadata.uid.as_deref().expect("a UID"), "00000000-0000-4000-8000-000000000000");
    let (status, detail) = post(&other, &token).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{detail}");
    assert!(detail.contains("its claim has ended"), "{detail}");
    let elsewhere = exec.replace(&format!("namespaces/{}", env.namespace), "namespaces/default");
    assert_eq!(
        post(&elsewhere, &token).await.0,
        StatusCode::FORBIDDEN,
        "rights are asked before anything is looked for"
    );

    for (rule, expected) in [
        (Rule::new(Fault::ConsoleExpired {}), "refuses its own address (401)"),
        (Rule::new(Fault::ConsoleCut { bytes: 500 }), "console"),
        (Rule::new(Fault::TooManyRequests { retry_after: Some(1) }).on([sandbar::cloudsim::admin::Op::Console]), "429"),
    ] {
        inside.admin.set_rules(&env.account, [rule]).await.expect("a fault");
        let (status, detail) = post(&exec, &token).await;
        assert!(!status.is_success() && detail.contains(expected), "{status} {detail}");
        assert!(!detail.contains("token="), "{detail}");
    }
    drop(inside.scene);
    inside.cloud.stop().await;
}
