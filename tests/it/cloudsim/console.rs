//! The console of an app, by clients that are not ours.

use super::support::{Client, Cloud, TOKEN, instant, options, spec, until};
use crate::python;
use sandbar::cloudsim::Options;
use sandbar::cloudsim::admin::{Fault, Op, Rule};
use sandbar::console::{Channel, ConsoleError};
use sandbar::providers::ConsoleAddress;
use sandbar::telemetry::secret::Secret;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

async fn cloud(virtual_apps: bool) -> Cloud {
    let program = Some(env!("CARGO_BIN_EXE_sandbar").into());
    Cloud::with(Options { virtual_apps, agent_program: program, ..options(instant()) }).await
}

/// A worker that runs; its id.
async fn worker(client: &Client, name: &str) -> String {
    let mut body = spec(name);
    let mut component = body["spec"]["services"][0].take();
    component.as_object_mut().expect("an object").remove("http_port");
    body["spec"] = json!({"name": name, "region": "nyc", "workers": [component]});
    let answer = client.post("/v2/apps", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.body["app"]["id"].as_str().expect("an id").to_owned();
    until("ACTIVE", async || client.app(&id).await["active_deployment"]["id"].as_str().map(drop)).await;
    assert_eq!(client.app(&id).await["live_url"], Value::Null, "a worker has no address");
    id
}

async fn driven_by_python(virtual_apps: bool) {
    let Some(python) = tokio::task::spawn_blocking(python::venv).await.expect("no panic") else { return };
    let cloud = cloud(virtual_apps).await;
    let id = worker(&cloud.client, "web-1").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/cloudsim_console.py");
    let mut command = Command::new(python);
    command.arg(script).args([cloud.running.url(), &id, if virtual_apps { "virtual" } else { "real" }]);
    command.env("TOKEN", TOKEN);
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let output = tokio::task::spawn_blocking(move || command.output().expect("python runs")).await.expect("no panic");
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.ends_with("all held\n"), "{said}{errors}");
    cloud.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_types_into_a_real_terminal() {
    driven_by_python(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_client_types_into_a_virtual_one() {
    driven_by_python(true).await;
}

/// The console's address as the API tells it.
async fn address(client: &Client, id: &str) -> ConsoleAddress {
    let answer = client.get(&format!("/v2/apps/{id}/components/sandbox/exec")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    ConsoleAddress { url: Secret::new(answer.body["url"].as_str().expect("an address").to_owned()) }
}

/// What is shown until `wanted` is, or the session's end.
async fn until_shown(channel: &mut Channel, wanted: &str) -> Result<String, ConsoleError> {
    let mut shown = String::new();
    while !shown.contains(wanted) {
        shown.push_str(&channel.receive().await?.ok_or(ConsoleError::Ended)?);
    }
    Ok(shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_too_old_or_used_does_not_open() {
    let cloud = cloud(true).await;
    let id = worker(&cloud.client, "web-1").await;
    let used = address(&cloud.client, &id).await;
    Channel::open(&used).await.expect("it opens once").close().await;
    assert!(matches!(Channel::open(&used).await, Err(ConsoleError::Refused { status: 401 })));
    cloud.admin.set_rules("default", [Rule::new(Fault::ConsoleExpired {})]).await.expect("a fault");
    let old = address(&cloud.client, &id).await;
    assert!(matches!(Channel::open(&old).await, Err(ConsoleError::Refused { status: 401 })));
    assert_eq!(cloud.admin.summary().await.expect("a summary").of("default", Op::Console), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_no_normal_end() {
    let cloud = cloud(true).await;
    let id = worker(&cloud.client, "web-1").await;
    cloud.admin.set_rules("default", [Rule::new(Fault::ConsoleCut { bytes: 400 })]).await.expect("a fault");
    let mut channel = Channel::open(&address(&cloud.client, &id).await).await.expect("it opens");
    let broken = async {
        loop {
            channel.send("echo again and again and again\r").await?;
            if channel.receive().await?.is_none() {
                return Ok::<_, ConsoleError>(());
            }
        }
    };
    assert!(matches!(broken.await, Err(ConsoleError::Connection { .. })));
}

/// Whether a process runs. One that has ended and that its new parent did not look at yet does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_container_and_leaves_no_process() {
    let cloud = cloud(false).await;
    let id = worker(&cloud.client, "web-1").await;
    // The last one ends the app itself.
    for by in ["hang up", "maintenance", "delete"] {
        let mut channel =
            until("a console that opens", async || Channel::open(&address(&cloud.client, &id).await).await.ok()).await;
        channel.send("sleep 3600 & echo pid=$! en'd'\r").await.expect("typed");
        let shown = until_shown(&mut channel, " end\r\n").await.expect("shown");
        let pid = shown.rsplit_once("pid=").and_then(|(_, rest)| rest.split_once(' ')).expect("an id").0;
        assert!(runs(pid), "{shown}");
        match by {
            "hang up" => channel.close().await,
            "maintenance" => drop(cloud.admin.maintenance(&id).await.expect("a maintenance")),
            _ => assert_eq!(cloud.client.delete(&id).await.status, 200),
        }
        until("the command to be gone", async || (!runs(pid)).then_some(())).await;
    }
    cloud.running.stop().await;
}
