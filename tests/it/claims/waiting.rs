use super::{Operator, POOL, command, done, failed, pool, sandbar};
use crate::wait::{eventually, wait_for_all};
use crate::world::{PROGRAM, TestEnv, World};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbar::api::Sandbox;
use sandbar::claims::{Claims, RequestWish, WaitError};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

const LONG: Duration = Duration::from_secs(60);

fn request(id: &str) -> RequestWish {
    let (pool, holder) = (POOL.to_owned(), "ada".to_owned());
    RequestWish { id: id.to_owned(), pool, holder, ttl: None, snapshot: None, app: None, keep_ended: None }
}

/// What the operator does for a request, in its order: bind, claim, mirror.
async fn serve(operator: &Operator, request: &Sandbox, member: &Sandbox) {
    let (name, uid) = (request.name_any(), request.uid().unwrap());
    let bound = json!({"name": member.name_any(), "uid": member.uid()});
    operator.status(&name, json!({"phase": "Booting", "boundTo": bound})).await;
    let claim = json!({"id": request.spec.claim.as_ref().unwrap().id, "holder": "ada", "ttl": "30m",
        "for": {"name": name, "uid": uid}});
    let patch = Patch::Merge(json!({"spec": {"claim": claim}}));
    operator.sandboxes.patch(&member.name_any(), &PatchParams::default(), &patch).await.unwrap();
    let ready = json!({"type": "Ready", "status": "True", "reason": "Healthy", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    operator.status(&name, json!({"phase": "Claimed", "conditions": [ready]})).await;
}

#[tokio::test]
async fn a_wait_ends_with_the_member_that_the_request_got() {
    let env = World::get().await.test("wait-ready").await;
    let operator = Operator::of(&env).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    let earlier = claims.request(&request("job-0")).await.unwrap();
    let asked = claims.request(&request("job-1")).await.unwrap();
    let member = operator.member(0, "Booting", "http://127.0.0.1:1").await;
    let (told, mut progress) = tokio::sync::mpsc::unbounded_channel();
    let waits = claims.wait_ready(&asked, LONG, |progress| told.send(progress.clone()).unwrap());
    let serves = async {
        assert_eq!(progress.recv().await.unwrap().place, Some((2, 2)), "behind {}", earlier.name_any());
        serve(&operator, &asked, &member).await;
    };
    let (got, ()) = tokio::join!(waits, serves);
    let got = got.unwrap();
    assert_eq!(got.uid(), member.uid());
    assert_eq!(got.spec.claim.unwrap().id, "job-1");
}

#[tokio::test]
async fn a_wait_says_why_the_request_ended_or_went() {
    let env = World::get().await.test("wait-ended").await;
    let operator = Operator::of(&env).await;
    let claims = Claims::new(env.user.clone(), &env.namespace);
    let asked = claims.request(&request("job-1")).await.unwrap();
    let error = claims.wait_ready(&asked, Duration::from_millis(300), |_| {}).await.unwrap_err();
    assert!(matches!(error, WaitError::TimedOut { .. }), "{error}");
    operator.status("job-1", json!({"phase": "Ended", "reason": "AtCapacity"})).await;
    let error = claims.wait_ready(&asked, LONG, |_| {}).await.unwrap_err();
    assert!(matches!(&error, WaitError::Ended { reason, .. } if reason == "AtCapacity"), "{error}");
    claims.release("job-1").await.unwrap();
    let error = claims.wait_ready(&asked, LONG, |_| {}).await.unwrap_err();
    assert_eq!(error, WaitError::Deleted { name: "job-1".to_owned() });
}

/// Serves the first request that appears.
async fn serve_next(env: &TestEnv, operator: &Operator, member: &Sandbox) -> String {
    let sandboxes: Api<Sandbox> = env.api();
    let all = wait_for_all(&sandboxes, "a request", |all| all.iter().any(|each| !each.is_member())).await;
    let asked = all.iter().find(|each| !each.is_member()).unwrap();
    serve(operator, asked, member).await;
    asked.name_any()
}

#[tokio::test]
async fn with_none_warm_the_command_waits_in_the_queue_and_tells_its_place() {
    let env = World::get().await.test("wait-command").await;
    let operator = Operator::of(&env).await;
    pool(&env).await;
    let member = operator.member(0, "Booting", "http://127.0.0.1:1").await;
    let mut waiting =
        command(&env, &["claim", POOL, "-o", "name"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Served only once the place was told: a faster operator leaves no place to tell.
    let mut told = BufReader::new(waiting.stderr.take().unwrap()).lines();
    while let Some(line) = told.next_line().await.unwrap() {
        if line.contains("waiting, place 1 of 1 in the queue") {
            break;
        }
    }
    let id = serve_next(&env, &operator, &member).await;
    while told.next_line().await.unwrap().is_some() {}
    assert_eq!(done(&waiting.wait_with_output().await.unwrap()).trim(), id);
}

#[tokio::test]
async fn a_wait_that_ends_takes_an_unnamed_request_back_and_leaves_a_named_one() {
    let env = World::get().await.test("wait-back").await;
    pool(&env).await;
    let sandboxes: Api<Sandbox> = env.api();
    let told = failed(&sandbar(&env, &["claim", POOL, "--wait", "1s"]).await, 1);
    assert!(told.contains("no sandbox of pool python after 1s; the request was taken back"), "{told}");
    eventually("nothing left", || async {
        let left = sandboxes.list(&Default::default()).await.unwrap().items.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
    })
    .await;
    let told = failed(&sandbar(&env, &["claim", POOL, "--id", "job-1", "--wait", "1s"]).await, 1);
    assert!(told.contains("sandbar release job-1 ends it"), "{told}");
    assert!(sandboxes.get("job-1").await.is_ok());
    let told = failed(&sandbar(&env, &["claim", POOL, "--no-wait"]).await, 1);
    assert!(told.contains("no sandbox of pool python is warm"), "{told}");
}

#[tokio::test]
async fn an_interrupted_wait_leaves_the_request_and_says_how_to_end_it() {
    let env = World::get().await.test("wait-interrupt").await;
    pool(&env).await;
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args(["claim", POOL]).env("KUBECONFIG", &env.user_kubeconfig).kill_on_drop(true);
    let mut waiting = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    told.read_line(&mut line).await.unwrap();
    assert!(line.contains("waiting, place 1 of 1"), "{line}");
    let pid = Pid::from_raw(i32::try_from(waiting.id().unwrap()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    told.read_to_string(&mut line).await.unwrap();
    assert_eq!(waiting.wait().await.unwrap().code(), Some(130), "{line}");
    let left = env.api::<Sandbox>().list(&Default::default()).await.unwrap().items;
    let id = left[0].name_any();
    assert!(line.contains(&format!("sandbar release {id} ends it")), "{line}");
    assert!(done(&sandbar(&env, &["release", &id]).await).contains(&format!("request {id} deleted")));
}
