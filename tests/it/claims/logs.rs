use super::inside::run;
use super::{command, done, failed, let_read_secrets, sandbar};
use crate::agent::eventually;
use crate::world::World;
use sandbar::agent::wire::BackgroundRequest;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn logs_are_those_of_the_one_process_or_of_the_one_that_is_named() {
    let env = World::get().await.test("logs").await;
    let (agent, id) = run(&env).await;
    let_read_secrets(&env).await;
    let told = failed(&sandbar(&env, &["logs", &id]).await, 1);
    assert!(told.contains("has no background process") && told.contains("sandbar exec"), "{told}");

    let start = async |command: &str| agent.client().exec_background(&BackgroundRequest::new(command)).await.unwrap();
    let first = start("seq 1 5; echo oops >&2; touch first; while [ ! -e go ]; do sleep 0.05; done; echo last").await;
    eventually("it has written", || agent.workspace().join("first").exists()).await;
    assert_eq!(done(&sandbar(&env, &["logs", &id]).await), "1\n2\n3\n4\n5\noops\n");
    assert_eq!(done(&sandbar(&env, &["logs", &id, "--tail", "2"]).await), "5\noops\n");
    assert_eq!(done(&sandbar(&env, &["logs", &id, "--tail", "0"]).await), "");

    let second = start("echo other").await;
    let told = failed(&sandbar(&env, &["logs", &id]).await, 1);
    assert!(told.contains("2 background processes"), "{told}");
    for pid in [first.pid, second.pid] {
        assert!(told.contains(&pid.to_string()), "{told}");
    }
    assert!(told.contains("echo other") && told.contains("--process"), "{told}");
    eventually("it has written", || {
        let log = second.log_file.strip_prefix("/tmp/").unwrap();
        std::fs::read(agent.root().join("tmp").join(log)).is_ok_and(|text| text == b"other\n")
    })
    .await;
    let (one, other) = (first.pid.to_string(), second.pid.to_string());
    assert_eq!(done(&sandbar(&env, &["logs", &id, "--process", &other]).await), "other\n");
    let told = failed(&sandbar(&env, &["logs", &id, "--process", "1"]).await, 1);
    assert!(told.contains("process 1 is not one"), "{told}");

    // Followed: what is there, then what comes, then the end with the process.
    let words = ["logs", &id, "--process", &one, "-f", "--tail", "1"];
    let mut child = command(&env, &words).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || timeout(WITHIN, lines.next_line()).await.expect("in time").unwrap();
    assert_eq!(next().await.as_deref(), Some("oops"));
    std::fs::write(agent.workspace().join("go"), "").unwrap();
    assert_eq!(next().await.as_deref(), Some("last"));
    assert_eq!(next().await, None);
    assert!(timeout(WITHIN, child.wait()).await.unwrap().unwrap().success());
}
