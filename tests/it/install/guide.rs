//! The guides of operations, typed: every block of commands in them has a name, and a test that types it.

use std::path::Path;
use std::process::Stdio;

use sandbar::dev::binaries::Tool;

use super::cluster::{Cluster, ROOT, text};
use crate::world::PROGRAM;

const FOLDER: &str = "docs/src/operations";
/// The guides that are typed here.
const PAGES: [&str; 3] = ["backup", "uninstall", "upgrade"];
/// Begins a block; its name follows.
const BEGIN: &str = "```sh operations ";

/// One page.
pub struct Guide {
    page: &'static str,
    text: String,
}

struct Block {
    name: String,
    script: String,
    /// What the output holds, in this order.
    answers: Vec<String>,
}

impl Guide {
    pub fn open(page: &'static str) -> Self {
        assert!(PAGES.contains(&page), "{page} is in PAGES");
        let text = std::fs::read_to_string(Path::new(ROOT).join(FOLDER).join(format!("{page}.md"))).expect("the guide");
        Self { page, text }
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        // Blocks of list items are indented.
        for line in self.text.lines().map(str::trim_start) {
            if let Some(name) = line.strip_prefix(BEGIN) {
                blocks.push(Block { name: name.to_owned(), script: String::new(), answers: Vec::new() });
                open = true;
            } else if line.starts_with("```") {
                assert!(open || !line.starts_with("```sh"), "{}.md: a block that nobody types: {line}", self.page);
                open = false;
            } else if let (true, Some(block)) = (open, blocks.last_mut()) {
                match line.strip_prefix("# => ") {
                    Some(answer) => block.answers.push(answer.to_owned()),
                    None => block.script.extend([line, "\n"]),
                }
            }
        }
        blocks
    }

    /// Types a block as an administrator of the cluster. Gives what was said.
    pub async fn typed(&self, cluster: &Cluster, name: &str) -> String {
        let (succeeded, said) = self.tried(cluster, name, &[]).await;
        assert!(succeeded, "{}.md, {name}:\n{said}", self.page);
        said
    }

    /// Types a block with these variables; gives whether it succeeded and what was said. What it promises has to be in
    /// that.
    pub async fn tried(&self, cluster: &Cluster, name: &str, variables: &[(&str, &str)]) -> (bool, String) {
        let block = self.blocks().into_iter().find(|block| block.name == name);
        let block = block.unwrap_or_else(|| panic!("{}.md has no block {name}", self.page));
        let mut command = tokio::process::Command::new("bash");
        command.args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{}", block.script)]).current_dir(ROOT);
        command.env("KUBECONFIG", cluster.home().join("admin")).env("HOME", cluster.home());
        command.env("PATH", path(cluster).await).envs(variables.iter().copied());
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("bash runs");
        let said = text(&output.stdout);
        let mut rest = said.as_str();
        for answer in &block.answers {
            let at = rest.find(answer.as_str());
            let at = at.unwrap_or_else(|| panic!("{}.md, {name}: {answer:?} is not said:\n{said}", self.page));
            rest = &rest[at + answer.len()..];
        }
        (output.status.success(), said)
    }
}

/// Where `sandbar` and the clients of a cluster are, before everything else.
async fn path(cluster: &Cluster) -> String {
    let mut folders = vec![Path::new(PROGRAM).parent().expect("a folder").display().to_string()];
    for tool in [Tool::Kubectl, Tool::Helm, Tool::Etcdctl, Tool::Etcdutl] {
        folders.push(cluster.tool(tool).await.parent().expect("a folder").display().to_string());
    }
    folders.push(std::env::var("PATH").unwrap_or_default());
    folders.join(":")
}

#[test]
fn every_block_of_the_guides_has_a_name_and_is_typed_by_a_test() {
    let folder = Path::new(ROOT).join("tests/it/install");
    let sources = std::fs::read_dir(folder)
        .expect("the tests")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a source"));
    let sources: String = sources.collect();
    for page in PAGES {
        let blocks = Guide::open(page).blocks();
        assert!(!blocks.is_empty(), "{page}.md");
        for block in blocks {
            assert!(sources.contains(&format!("\"{}\"", block.name)), "{page}.md: nobody types {}", block.name);
        }
    }
}
