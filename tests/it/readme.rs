//! Types the README's commands as a newcomer would, in a world of their own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sandbar::dev::nursery::die_with_parent;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::typed::type_page;
use crate::world::PROGRAM;

const START: Duration = Duration::from_secs(120);

/// Starts a local world as the README says, and waits until it is ready.
async fn up(dir: &Path) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(["dev", "up", "--speed", "60", "--dir"]).arg(dir).args(["--", "--listing-period", "1s"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    die_with_parent(command.as_std_mut());
    let mut process = command.spawn().expect("sandbar dev up starts");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    let line = timeout(START, lines.next_line()).await.expect("ready in time").expect("text");
    assert!(line.as_deref().is_some_and(|line| line.starts_with("ready: ")), "{line:?}");
    process
}

#[tokio::test]
async fn everything_in_the_readme_works_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = up(&folder.path().join("world")).await;
    type_page("README.md", folder.path()).await;
    let down = Command::new(PROGRAM).args(["dev", "down", "--dir"]).arg(folder.path().join("world")).status().await;
    assert!(down.expect("sandbar dev down runs").success());
    let ended = timeout(START, world.wait()).await.expect("an end in time").expect("a status");
    assert!(ended.success(), "{ended}");
}
