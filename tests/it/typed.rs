//! Commands that stand in the documentation, typed as a reader would: fenced blocks that begin with ```` ```sh readme ````.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sandbar::dev::binaries::{Binaries, Tool};
use tokio::process::Command;
use tokio::time::timeout;

use crate::world::PROGRAM;

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How a block begins that is typed.
const FENCE: &str = "```sh readme";
/// The longest `--timeout` in a block, and room for a busy machine.
const BLOCK: Duration = Duration::from_secs(240);

/// One block that is typed.
pub struct Block {
    /// Line of its page.
    line: usize,
    /// Whether its last command is to be refused.
    fails: bool,
    script: String,
    /// What the output holds, in this order.
    answers: Vec<String>,
}

/// The blocks of a page, whose path is below the repository.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix(FENCE)) {
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
    assert!(open.is_none(), "a block of {page} does not end");
    blocks
}

/// Types a page in `folder`, which gets the repository's files and has `world/env`.
pub async fn type_page(page: &str, folder: &Path) {
    let blocks = blocks(page);
    assert!(!blocks.is_empty(), "{page} has no block that is typed");
    std::os::unix::fs::symlink(Path::new(ROOT).join("deploy"), folder.join("deploy")).expect("a link");
    let path = path().await;
    for block in &blocks {
        let (succeeded, said) = typed(&block.script, folder, &path).await;
        let place = format!("{page}:{}:\n{}said:\n{said}", block.line, block.script);
        assert_eq!(succeeded, !block.fails, "unexpected exit code at {place}");
        assert_eq!(missing(block, &said), None, "not said at {place}");
    }
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
