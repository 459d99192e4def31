//! The operator in its place: started by `dev up`, and by tests.

use kube::api::PostParams;
use sandbar::api::SandboxPool;
use tokio::process::Command;

use super::up::{Up, all_gone, children, down, whole};
use crate::wait::{eventually, wait_for};
use crate::world::{OperatorSpec, TestEnv, World};

fn pool() -> SandboxPool {
    let provider = serde_json::json!({"digitalOcean": {
        "credentialsRef": {"name": "digitalocean", "key": "token"}, "region": "nyc"}});
    let object = serde_json::json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "SandboxPool", "metadata": {"name": "python"},
        "spec": {
            "provider": provider,
            "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
            "warm": {"target": 2}, "limits": {"maxSandboxes": 3},
        },
    });
    serde_json::from_value(object).unwrap()
}

async fn level(env: &TestEnv) {
    let pools = env.api::<SandboxPool>();
    wait_for(&pools, "python", "two warm", |pool| pool.status.as_ref().is_some_and(|status| status.warm == 2)).await;
}

#[tokio::test]
async fn dev_up_runs_the_operator_under_its_own_identity_and_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = whole(dir.path());
    command.args(["--speed", "60", "--seed", "7", "--", "--listing-period", "1s", "--log-format", "json"]);
    let up = Up::from(command).await;
    assert!(!up.line.contains("no operator"), "{}", up.line);
    let pids = children(up.pid());
    assert!(pids.iter().any(|(_, line)| line.contains("controller\0") && line.contains("--listing-period\x001s")));

    let script = r#". "$1" && curl -sf "$METRICS_URL""#;
    let sourced = Command::new("sh").args(["-c", script, "sh"]).arg(dir.path().join("env")).output().await.unwrap();
    let words = String::from_utf8_lossy(&sourced.stdout).into_owned();
    assert!(sourced.status.success() && words.contains("sandbar_"), "{sourced:?}");

    let said = down(dir.path()).await;
    assert!(said.status.success(), "{said:?}");
    all_gone(&pids).await;
    let log = std::fs::read_to_string(dir.path().join("logs/operator.log")).unwrap();
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
}

#[tokio::test]
async fn an_operator_of_a_test_is_killed_started_again_and_stopped() {
    let env = World::get().await.test("operator").await;
    env.api::<SandboxPool>().create(&PostParams::default(), &pool()).await.unwrap();
    let mut operator = env.operator(OperatorSpec::default()).await;
    level(&env).await;
    assert!(operator.metrics().await.contains("sandbar_"));

    let first = operator.pid();
    operator.kill9().await;
    operator.restart().await;
    assert_ne!(operator.pid(), first);
    assert_eq!(operator.get("/readyz").await.0, 200);
    assert_eq!(env.sim.ledger_of(&env.account).await.unwrap().apps.len(), 2);
    assert_eq!(operator.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_operator_of_a_test_waits_for_the_lease_of_the_first() {
    let env = World::get().await.test("standby").await;
    let mut first = env.operator(OperatorSpec::default()).await;
    // Ready is not leading: a standby is ready too, and the second could be faster.
    eventually("the first leads", async || match first.try_get("/readyz").await {
        Some((_, body)) if body.contains("[+] leader: ok") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let second = env.operator_unready(OperatorSpec::default().named("second")).await;
    eventually("on standby", async || match second.try_get("/readyz").await {
        Some((_, body)) if body.contains("leader") && !body.contains("[+] leader: ok") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(first.stop().await.code(), Some(0));
    eventually("leading", async || match second.try_get("/readyz").await {
        Some((_, body)) if body.contains("[+] leader: ok") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}
