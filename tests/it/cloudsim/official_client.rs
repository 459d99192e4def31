//! DigitalOcean's own client, `pydo`, against the simulated cloud.

use super::support::{TOKEN, instant, options};
use crate::python;
use sandbar::cloudsim::{CloudSim, Options};
use std::path::Path;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_drives_the_whole_life_of_apps() {
    let Some(python) = tokio::task::spawn_blocking(python::venv).await.unwrap() else { return };
    let mut settings = instant();
    (settings.timings.ready_seconds, settings.timings.delete_seconds) = (seconds(20.0), seconds(10.0));
    let running = CloudSim::start(Options { speed: 60.0, ..options(settings) }).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/cloudsim_pydo.py");
    let mut command = Command::new(python);
    command.arg(script).arg(running.url()).env("TOKEN", TOKEN);
    for proxy in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.ends_with("all held\n"), "{said}{errors}");
}

fn seconds(seconds: f64) -> sandbar::cloudsim::admin::Seconds {
    sandbar::cloudsim::admin::Seconds::Fixed(seconds)
}
