//! What a real bash completes, through the function that it is given.

use super::{Operator, POOL, command, done, out, pool, sandbar};
use crate::world::{PROGRAM, TestEnv, World};
use kube::api::{Api, Patch, PatchParams};
use sandbar::api::SandboxPool;
use serde_json::json;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// Lets bash complete its arguments as the words of a line, as it does when somebody presses Tab after the last one.
const PRESS_TAB: &str = r#"
source <("$0" completions bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
_clap_complete_sandbar sandbar "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// Pressing Tab after these words.
fn tab(kubeconfig: &Path, words: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", PRESS_TAB, PROGRAM, "sandbar"]).args(words);
    command.env("KUBECONFIG", kubeconfig).env_remove("SANDBAR_SNAPSHOT_URL").kill_on_drop(true);
    command
}

/// What is offered after these words, flags apart.
async fn offered(env: &TestEnv, words: &[&str]) -> Vec<String> {
    names(&mut tab(&env.user_kubeconfig, words)).await
}

async fn names(command: &mut Command) -> Vec<String> {
    let output = command.output().await.expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "somebody who types reads this");
    out(&output).lines().filter(|name| !name.is_empty() && !name.starts_with('-')).map(str::to_owned).collect()
}

#[tokio::test]
async fn names_of_pools_runs_apps_and_snapshots_are_offered_where_they_fit() {
    let env = World::get().await.test("completion").await;
    pool(&env).await;
    let apps = json!({"spec": {"apps": [{"name": "clock", "run": "./clock", "port": 5000}, {"name": "snake", "run": "./snake", "port": 5000}]}});
    let pools: Api<SandboxPool> = env.api();
    pools.patch(POOL, &PatchParams::default(), &Patch::Merge(apps)).await.expect("apps");
    let operator = Operator::of(&env).await;
    for slot in [0, 1, 2] {
        operator.warm(slot).await;
    }
    let mut runs = Vec::new();
    for phase in ["Running", "Hibernated"] {
        let id = done(&sandbar(&env, &["claim", POOL, "--no-probe", "-o", "name"]).await).trim().to_owned();
        let held = env.api::<sandbar::api::Sandbox>().list(&Default::default()).await.expect("a list").items;
        let held = held.iter().find(|each| each.held_by().is_some_and(|claim| claim.id == id)).expect("a member");
        operator.status(held.metadata.name.as_deref().expect("a name"), json!({"phase": phase})).await;
        runs.push(id);
    }
    done(&sandbar(&env, &["claim", POOL, "--id", "job-1", "--no-wait"]).await);
    let (running, asleep) = (runs[0].as_str(), runs[1].as_str());

    assert_eq!(offered(&env, &["claim", ""]).await, [POOL]);
    assert_eq!(offered(&env, &["claim", "x"]).await, [""; 0]);
    assert_eq!(offered(&env, &["claim", POOL, "--app", ""]).await, ["clock", "snake"]);
    assert_eq!(offered(&env, &["claim", "--app", "s"]).await, ["snake"]);
    let mut all = vec!["job-1", running, asleep];
    all.sort_unstable();
    assert_eq!(offered(&env, &["release", ""]).await, all);
    assert_eq!(offered(&env, &["release", running, "job"]).await, ["job-1"]);
    for words in
        [&["exec", ""][..], &["shell", ""], &["port-forward", ""], &["hibernate", ""], &["snapshot", "create", ""]]
    {
        assert_eq!(offered(&env, words).await, [running], "{words:?}");
    }
    assert_eq!(offered(&env, &["wake", ""]).await, [asleep]);
    assert_eq!(offered(&env, &["cp", &running[..4]]).await, [format!("{running}:")]);

    // Another namespace on the line is another answer; this person may not look into it, and hears nothing of that.
    assert_eq!(offered(&env, &["release", "-n", "default", ""]).await, [""; 0]);
    assert_eq!(offered(&env, &["release", "-n", ""]).await, [""; 0]);
    let administrators = names(&mut tab(&env.kubeconfig, &["ls", "-n", &env.namespace[..12]])).await;
    assert_eq!(administrators, [env.namespace.as_str()]);
    assert_eq!(names(&mut tab(&env.kubeconfig, &["claim", "-n", &env.namespace, "pyt"])).await, [POOL]);
    assert_eq!(offered(&env, &["ls", "--context", ""]).await.len(), 1);

    let store = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", store.path().display());
    let publish = ["app", "publish", "deploy/examples/apps/snake", "--app", "snake", "--store", &url];
    done(&command(&env, &publish).output().await.expect("it runs"));
    assert_eq!(offered(&env, &["snapshot", "rm", "--store", &url, ""]).await, ["snake"]);
    let mut named = tab(&env.user_kubeconfig, &["claim", POOL, "--snapshot", ""]);
    assert_eq!(names(named.env("SANDBAR_SNAPSHOT_URL", &url)).await, ["snake"]);
}

#[tokio::test]
async fn a_shell_neither_waits_for_a_silent_cluster_nor_says_anything_without_one() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(names(&mut tab(&dir.path().join("none"), &["claim", ""])).await, [""; 0]);
    // It is connected to and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = format!("http://{}", silent.local_addr().expect("an address"));
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "silent",
        "clusters": [{"name": "silent", "cluster": {"server": server}}],
        "contexts": [{"name": "silent", "context": {"cluster": "silent", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {"token": "t"}}],
    });
    let file = dir.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).expect("a file");
    let began = Instant::now();
    assert_eq!(names(&mut tab(&file, &["claim", ""])).await, [""; 0]);
    // Two seconds, and what a busy machine takes for two starts of the program.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(names(&mut tab(&file, &["claim", "--context", ""])).await, ["silent"]);
    assert_eq!(names(&mut tab(&file, &["rel"])).await, ["release"]);
}
