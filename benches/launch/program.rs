//! Programs that say where they listen.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sandbar::agent::client::AgentClient;
use sandbar::dev::nursery::die_with_parent;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::common::Result;

const TOKEN: &str = "bench";

/// A program that serves HTTP. Dropping it kills it.
pub struct Program {
    _child: Child,
    /// Where it listens, without a slash at the end.
    pub url: String,
}

impl Program {
    /// Starts it and waits for the line that ends with its address.
    pub async fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        die_with_parent(command.as_std_mut());
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(at) = line.find("http://") {
                return Ok(Self { url: line[at..].to_owned(), _child: child });
            }
        }
        Err("a program ended before it said where it listens".into())
    }
}

/// An agent with a folder of its own, as a process, started as the image of a real sandbox does it.
pub struct Agent {
    program: Program,
    root: PathBuf,
}

impl Agent {
    /// Starts `sandbar agent` with this folder as its sandbox's.
    pub async fn start(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandbar"));
        command.args(["agent", "--listen", "127.0.0.1:0", "--root"]).arg(root);
        command.env("SANDBOX_API_TOKEN", TOKEN).current_dir(root);
        Ok(Self { program: Program::start(command).await?, root: root.to_owned() })
    }

    /// A client with these connections.
    pub fn client(&self, http: &reqwest::Client) -> Result<AgentClient> {
        Ok(AgentClient::with_http(http.clone(), &self.program.url, Some(TOKEN))?)
    }

    /// The sandbox's `/workspace`.
    pub fn workspace(&self) -> PathBuf {
        self.root.join("workspace")
    }
}
