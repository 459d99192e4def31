use super::{Operator, POOL, done, err, failed, out, sandbar};
use crate::agent::{Agent, TOKEN};
use crate::world::{TestEnv, World};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use sandbar::claims::{ClaimWish, Claims};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A run in a real agent, and the user may enter it.
pub async fn run(env: &TestEnv) -> (Agent, String) {
    let operator = Operator::of(env).await;
    let agent = Agent::start();
    let member = operator.member(0, "Warm", &agent.base).await;
    operator.token(&member, TOKEN).await;
    let wish = ClaimWish { holder: "ada".to_owned(), ttl: None, id: None };
    let run = Claims::new(env.user.clone(), &env.namespace).claim_warm(POOL, &wish).await.unwrap();
    (agent, run.id)
}

pub async fn let_read_secrets(env: &TestEnv) {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "enter"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
    let role: Role = serde_json::from_value(role).unwrap();
    env.api().create(&PostParams::default(), &role).await.unwrap();
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "enter"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "enter"},
        "subjects": [{"kind": "ServiceAccount", "name": "user", "namespace": env.namespace}]});
    let binding: RoleBinding = serde_json::from_value(binding).unwrap();
    env.api().create(&PostParams::default(), &binding).await.unwrap();
    let secrets = env.user_api::<k8s_openapi::api::core::v1::Secret>();
    crate::wait::eventually("the user reads Secrets", || async {
        secrets.get("digitalocean").await.map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn exec_is_the_command_its_output_and_its_exit_code() {
    let env = World::get().await.test("exec").await;
    let (agent, id) = run(&env).await;
    let told = failed(&sandbar(&env, &["exec", &id, "--", "true"]).await, 125);
    assert!(told.contains("the right to get Secrets in namespace"), "{told}");
    let_read_secrets(&env).await;

    let output = sandbar(&env, &["exec", &id, "--", "echo out; echo err >&2; exit 7"]).await;
    assert_eq!((output.status.code(), out(&output), err(&output)), (Some(7), "out\n".into(), "err\n".into()));
    let words = ["exec", &id, "--env", "A=x y", "--", "printf", "%s|%s\n", "a  b", "$A"];
    assert_eq!(done(&sandbar(&env, &words).await), "a  b|$A\n");
    assert_eq!(done(&sandbar(&env, &["exec", &id, "--env", "A=x y", "--", "echo \"$A\""]).await), "x y\n");
    std::fs::create_dir(agent.workspace().join("sub")).unwrap();
    assert!(done(&sandbar(&env, &["exec", &id, "--cwd", "sub", "--", "pwd"]).await).trim().ends_with("/workspace/sub"));
    let told = failed(&sandbar(&env, &["exec", &id, "--timeout", "1s", "--", "sleep 60"]).await, 124);
    assert!(told.contains("ended after 1s"), "{told}");
    failed(&sandbar(&env, &["exec", &id, "--", "kill -9 $$"]).await, 137);
    let told = failed(&sandbar(&env, &["exec", "run-none", "--", "true"]).await, 125);
    assert!(told.contains("no run run-none in namespace"), "{told}");
}

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[tokio::test]
async fn cp_takes_files_and_folders_both_ways() {
    let env = World::get().await.test("cp").await;
    let (agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    let here = tempfile::tempdir().unwrap();
    let path = |name: &str| here.path().join(name).to_str().unwrap().to_owned();
    let there = |name: &str| format!("{id}:{name}");
    let large: Vec<u8> = (0..6_000_000_u32).map(|number| (number % 251) as u8).collect();
    write(&here.path().join("tree/a.bin"), &large);
    write(&here.path().join("tree/deep/run.sh"), b"#!/bin/sh\n");
    std::fs::set_permissions(here.path().join("tree/deep/run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(here.path().join("tree/empty")).unwrap();

    let copied = sandbar(&env, &["cp", &path("tree"), &there("")]).await;
    done(&copied);
    assert!(err(&copied).contains("copied 2 files"), "{}", err(&copied));
    let tree = agent.workspace().join("tree");
    assert!(std::fs::read(tree.join("a.bin")).unwrap() == large);
    assert!(tree.join("empty").is_dir());
    assert_eq!(std::fs::metadata(tree.join("deep/run.sh")).unwrap().permissions().mode() & 0o777, 0o755);

    done(&sandbar(&env, &["cp", &there("tree"), &path("back")]).await);
    assert!(std::fs::read(here.path().join("back/a.bin")).unwrap() == large);
    assert!(here.path().join("back/empty").is_dir());
    let mode = std::fs::metadata(here.path().join("back/deep/run.sh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);

    done(&sandbar(&env, &["cp", &path("tree/deep/run.sh"), &there("/tmp/new/name")]).await);
    assert!(agent.root().join("tmp/new/name").is_file());
    done(&sandbar(&env, &["cp", &there("/tmp/new/name"), &format!("{}/", path("back"))]).await);
    assert_eq!(std::fs::read(here.path().join("back/name")).unwrap(), b"#!/bin/sh\n");
    done(&sandbar(&env, &["cp", &format!("{}/.", path("tree")), &there("/tmp")]).await);
    assert!(agent.root().join("tmp/deep/run.sh").is_file());
}

#[tokio::test]
async fn cp_says_what_it_cannot_copy() {
    let env = World::get().await.test("cp-errors").await;
    let (_agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    let here = tempfile::tempdir().unwrap();
    let target = here.path().join("x").to_str().unwrap().to_owned();
    let told = failed(&sandbar(&env, &["cp", "a", "b"]).await, 1);
    assert!(told.contains("neither a nor b is in a sandbox") && told.contains("ID:PATH"), "{told}");
    let told = failed(&sandbar(&env, &["cp", "/nonexistent", &format!("{id}:")]).await, 1);
    assert!(told.contains("/nonexistent"), "{told}");
    let told = failed(&sandbar(&env, &["cp", &format!("{id}:missing"), &target]).await, 1);
    assert!(told.contains("/workspace/missing"), "{told}");
    assert!(!Path::new(&target).exists());
    let told = failed(&sandbar(&env, &["cp", &format!("{id}:/etc/passwd"), &target]).await, 1);
    assert!(told.contains("/etc/passwd"), "{told}");
}
