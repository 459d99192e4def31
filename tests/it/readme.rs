//! Types the README's commands as a reader would, in a world of their own.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sandbar::dev::binaries::{Binaries, Tool};
use sandbar::dev::nursery::die_with_parent;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::world::PROGRAM;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const START: Duration = Duration::from_secs(120);
/// The longest `--timeout` in a block, and room for a busy machine.
const BLOCK: Duration = Duration::from_secs(240);

/// One fenced block that begins with ```` ```sh readme ````.
struct Block {
    /// Line of the README.
    line: usize,
    /// Whether its last command is to be refused.
    fails: bool,
    script: String,
    /// What the output holds, in this order.
    answers: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```sh readme")) {
            (None, Some(rest)) => {
                let (line, fails) = (number + 1, rest.trim() == "fails");
                open = Some(Block { line, fails, script: String::new(), answers: Vec::new() });
            }
            (Some(_), _) if line == "```" => blocks.extend(open.take()),
            (Some(block), _) => match line.strip_prefix("# => ") {
                Some(answer) => block.answers.push(answer.to_owned()),
                None => block.script.extend([line, "\n"]),
            },
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of the README does not end");
    blocks
}

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

/// Folders with `sandbar` and `kubectl`, before everything else.
async fn path() -> String {
    let kubectl = Binaries::from_env().expect("a cache").path(Tool::Kubectl, &|_| {}).await.expect("kubectl");
    let folder = |file: &Path| file.parent().expect("a folder").display().to_string();
    let given = std::env::var("PATH").unwrap_or_default();
    format!("{}:{}:{given}", folder(Path::new(PROGRAM)), folder(&kubectl))
}

/// Types one block; gives whether it succeeded and all that it said.
async fn typed(script: &str, folder: &Path, path: &str) -> (bool, String) {
    let mut command = Command::new("bash");
    let whole = format!("exec 2>&1\n. world/env\n{script}");
    command.args(["-euo", "pipefail", "-c", &whole]).current_dir(folder).env("PATH", path);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(BLOCK, command.output()).await.unwrap_or_else(|_| panic!("does not end:\n{script}"));
    let output = output.expect("bash runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What of the answers is not in what was said, in order.
fn missing<'a>(block: &'a Block, said: &str) -> Option<&'a str> {
    let mut rest = said;
    for answer in &block.answers {
        match rest.find(answer.as_str()) {
            Some(at) => rest = &rest[at + answer.len()..],
            None => return Some(answer),
        }
    }
    None
}

#[tokio::test]
async fn everything_in_the_readme_works_as_it_says() {
    let blocks = blocks(&std::fs::read_to_string(Path::new(ROOT).join("README.md")).expect("the README"));
    assert!(blocks.len() >= 10, "only {} blocks are marked", blocks.len());
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(Path::new(ROOT).join("deploy"), folder.path().join("deploy")).expect("a link");
    let path = path().await;
    let mut world = up(&folder.path().join("world")).await;
    for block in &blocks {
        let (succeeded, said) = typed(&block.script, folder.path(), &path).await;
        let place = format!("README.md:{}:\n{}said:\n{said}", block.line, block.script);
        assert_eq!(succeeded, !block.fails, "unexpected exit code at {place}");
        assert_eq!(missing(block, &said), None, "not said at {place}");
    }
    let down = Command::new(PROGRAM).args(["dev", "down", "--dir"]).arg(folder.path().join("world")).status().await;
    assert!(down.expect("sandbar dev down runs").success());
    let ended = timeout(START, world.wait()).await.expect("an end in time").expect("a status");
    assert!(ended.success(), "{ended}");
}
