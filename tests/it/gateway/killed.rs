//! Gateways that are killed at the worst moment.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use sandbar::dev::nursery::die_with_parent;
use sandbar::dev::write_private;
use sandbar::gateway::Settings;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::played::told;
use super::sse::Stream;
use super::{Stand, is_ready, json_of};
use crate::world::PROGRAM;

/// A gateway as a process of its own.
async fn process(stand: &Stand, environment: &[(&str, &str)]) -> (Child, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = folder.path().join("kubeconfig");
    write_private(&kubeconfig, &stand.kubeconfig).expect("written");
    let mut command = Command::new(PROGRAM);
    command.args(["gateway", "--listen", "127.0.0.1:0"]).env("KUBECONFIG", &kubeconfig);
    command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    die_with_parent(command.as_std_mut());
    let mut process = command.spawn().expect("it starts");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    let line = timeout(Duration::from_secs(60), lines.next_line()).await.expect("in time").expect("text");
    let line = line.expect("a line");
    let url = line.strip_prefix("gateway listening on ").expect("its address").to_owned();
    is_ready(&url).await;
    (process, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_goes_on_and_its_stream_at_another_gateway_s8() {
    let stand = Stand::start("gateway-killed").await;
    let crash = [("SANDBAR_CRASH_AT", "1"), ("SANDBAR_CRASH_ON", "POST /sandboxes"), ("SANDBAR_CRASH_WHEN", "after")];
    let (mut dying, url) = process(&stand, &crash).await;
    let second = stand.gateway(Settings::default()).await;
    let launch = |gateway: &str| {
        let request = stand.ask(Method::POST, &format!("{gateway}/api/launch/warm")).bearer_auth(&stand.token);
        request.header("Idempotency-Key", "once").json(&json!({"game": "snake"})).send()
    };
    assert!(launch(&url).await.is_err(), "it dies before it can answer");
    dying.wait().await.expect("it has ended");
    assert_eq!(stand.requests().await.len(), 1, "the request is stored");
    let (status, body) = json_of(launch(&second.url).await.expect("an answer")).await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(stand.requests().await.len(), 1, "and no second one is made");

    let run = body["run_id"].as_str().expect("an id").to_owned();
    let (mut third, url) = process(&stand, &[]).await;
    let listen =
        |gateway: &str| stand.ask(Method::GET, &format!("{gateway}/api/stream/{run}")).bearer_auth(&stand.token);
    let mut stream = Stream::open(listen(&url)).await;
    stand.status(&run, told(2)).await;
    let heard = stream.take(2).await;
    third.kill().await.expect("killed");
    assert_eq!(stream.rest().await, [], "it is cut off without an end");
    stand.status(&run, told(5)).await;
    let last = heard[1].id.clone().expect("a number");
    let resumed = Stream::open(listen(&second.url).header("Last-Event-ID", last)).await.rest().await;
    let whole = Stream::open(listen(&second.url)).await.rest().await;
    assert_eq!([heard, resumed].concat(), whole);
    assert!(whole.len() == 6 && whole[5].is_end(), "{whole:#?}");
    second.stop().await;
}
