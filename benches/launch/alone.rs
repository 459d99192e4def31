//! The yardstick of a launch: unpacking alone, and the app's own start alone.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sandbar::artifacts::{Snapshots, Unpack, restore};
use sandbar::dev::nursery::die_with_parent;
use tokio::process::Command;

use crate::common::Result;
use crate::launches::{APP, SNAPSHOT};
use crate::program::Agent;

/// Between two questions whether it is there.
const LOOK: Duration = Duration::from_millis(2);
/// An app that is not there by then does not come.
const WITHIN: Duration = Duration::from_secs(30);

/// Puts the snapshot into a sandbox that nothing else is done with, and starts the app from there without agent; how
/// long both took.
pub async fn alone(folder: &Path, snapshots: &Snapshots, http: &reqwest::Client) -> Result<(Duration, Duration)> {
    let agent = Agent::start(folder).await?;
    let client = agent.client(http)?;
    // The operator's connection stands as well: it has probed the agent.
    client.health().await?;
    let started = Instant::now();
    restore(&client, snapshots, SNAPSHOT, Unpack::Once { purpose: "app" }, || true).await?;
    let unpacked = started.elapsed();
    Ok((unpacked, start(&agent.workspace().join(APP), http).await?))
}

/// From the start of its process until its health path answers.
async fn start(folder: &Path, http: &reqwest::Client) -> Result<Duration> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}/health");
    let mut app = Command::new("/bin/sh");
    app.args(["-c", "exec python3 server.py"]).current_dir(folder).env("PORT", port.to_string());
    app.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    die_with_parent(app.as_std_mut());
    let started = Instant::now();
    let _app = app.spawn()?;
    while started.elapsed() < WITHIN {
        if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("{APP} does not answer at {url}").into())
}
