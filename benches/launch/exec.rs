//! Commands through an agent against the same commands here.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sandbar::agent::client::AgentClient;
use sandbar::agent::wire::ExecRequest;
use tokio::process::Command;

use crate::common::Result;
use crate::common::meter::p50;
use crate::common::table::Table;
use crate::program::Agent;
use crate::size;

/// What is run: nothing at all, and something that a program would.
const COMMANDS: [(&str, &str); 2] = [("true", "true"), ("a line of Python", "python3 -c 'print(sum(range(100)))'")];

/// Measures every command; a run here and a question for the agent's health between two through the agent.
pub async fn exec(folder: &Path, table: &mut Table) -> Result<()> {
    let agent = Agent::start(&folder.join("exec")).await?;
    let client = agent.client(&reqwest::Client::new())?;
    for (what, command) in COMMANDS {
        let count = 3 * size();
        let (mut through, mut here, mut trip) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            through.push(by_agent(&client, command).await?);
            here.push(locally(&agent.workspace(), command).await?);
            let started = Instant::now();
            client.health().await?;
            trip.push(started.elapsed());
        }
        let (through, here, trip) = (p50(&mut through), p50(&mut here), p50(&mut trip));
        let name = format!("exec of {what} ÷ (the same here + a round trip), p50 of {count}");
        table.at_most(&name, 1.2, through / (here + trip), "");
        table.figure("the same in ms", format!("{through:.2} ÷ ({here:.2} + {trip:.2})"));
    }
    Ok(())
}

async fn by_agent(client: &AgentClient, command: &str) -> Result<Duration> {
    let request = ExecRequest::new(command);
    let started = Instant::now();
    let output = client.exec(&request).await?;
    let took = started.elapsed();
    if output.exit_code == 0 { Ok(took) } else { Err(format!("{command}: {}", output.stderr).into()) }
}

async fn locally(folder: &Path, command: &str) -> Result<Duration> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).current_dir(folder).stdin(Stdio::null());
    let started = Instant::now();
    let output = shell.output().await?;
    let took = started.elapsed();
    if output.status.success() { Ok(took) } else { Err(format!("{command}: {}", output.status).into()) }
}
