//! `sandbar logs`.

use super::gateway::EntryArgs;
use super::names;
use crate::agent::client::AgentClient;
use crate::agent::wire::{ProcessInfo, ProcessStatus};
use crate::failure::Failure;
use clap_complete::engine::ArgValueCandidates;
use futures::TryStreamExt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Exit code when nobody reads the output any more: 128 + SIGPIPE.
const NO_READER: u8 = 141;

/// Characters of a command that are shown where several are listed.
const SHOWN: usize = 60;

/// Print what a background process of a run has written, both its outputs in the order they were written.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Go on until the process has ended
    #[arg(short, long)]
    follow: bool,
    /// Process id; not needed where there is only one
    #[arg(long, value_name = "PID")]
    process: Option<i32>,
    /// Only so many lines from the end
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    #[command(flatten)]
    entry: EntryArgs,
}

/// Prints.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let agent = args.entry.enter_service(&args.id, "read the logs of").await?.agent;
    let pid = match args.process {
        Some(pid) => pid,
        None => only(&agent.processes().await?, &args.id)?,
    };
    let printed = if args.follow {
        follow(&agent, pid, args.tail).await
    } else if args.tail == Some(0) {
        agent.process(pid).await?;
        Ok(())
    } else {
        let text = agent.process_logs(pid, args.tail).await?;
        std::io::stdout().write_all(text.as_bytes()).map_err(Printing::Output)
    };
    match printed {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Printing::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::from(NO_READER)),
        Err(Printing::Output(error)) => Err(error.into()),
        Err(Printing::Agent(failure)) => Err(failure),
    }
}

/// Why printing stopped.
enum Printing {
    Output(std::io::Error),
    Agent(Failure),
}

async fn follow(agent: &AgentClient, pid: i32, tail: Option<usize>) -> Result<(), Printing> {
    let failed = |error| Printing::Agent(Failure::from(error));
    let mut lines = agent.follow_logs(pid, tail).await.map_err(failed)?;
    while let Some(line) = lines.try_next().await.map_err(failed)? {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Printing::Output)?;
    }
    Ok(())
}

/// The process that must be meant.
fn only(processes: &[ProcessInfo], id: &str) -> Result<i32, Failure> {
    match processes {
        [] => Err(Failure::new(format!("run {id} has no background process, and so no logs"))
            .advice(format!("sandbar exec {id} -- COMMAND prints what a command writes"))),
        [one] => Ok(one.pid),
        several => {
            let lines: Vec<_> = several.iter().map(line).collect();
            Err(Failure::new(format!("run {id} has {} background processes:\n{}", several.len(), lines.join("\n")))
                .advice(format!("sandbar logs {id} --process {}", several[several.len() - 1].pid)))
        }
    }
}

fn line(process: &ProcessInfo) -> String {
    let status = match (process.status, process.exit_code) {
        (ProcessStatus::Running, _) => "running".to_owned(),
        (ProcessStatus::Stopped, Some(code)) => format!("ended with {code}"),
        (ProcessStatus::Stopped, None) => "ended".to_owned(),
    };
    // A command may have many lines, and characters that a terminal would take for its own.
    let mut command: String = process.command.escape_default().take(SHOWN).collect();
    if command.len() == SHOWN {
        command.push('…');
    }
    format!("  {:<8} {status:<16} {command}", process.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, command: &str) -> ProcessInfo {
        let (log_file, command) = ("/tmp/x.log".to_owned(), command.to_owned());
        ProcessInfo { pid, command, status: ProcessStatus::Stopped, log_file, started_at: 0.0, exit_code: Some(3) }
    }

    #[test]
    fn one_process_needs_no_name_and_several_are_shown() {
        assert_eq!(only(&[process(7, "x")], "run-1").expect("one"), 7);
        assert!(only(&[], "run-1").expect_err("none").to_string().contains("run-1 has no background process"));
        let several = only(&[process(7, "a\nb\u{1b}[31m"), process(8, "c")], "run-1").expect_err("several").to_string();
        assert!(several.contains("7        ended with 3     a\\nb\\u{1b}[31m"), "{several}");
        assert!(several.contains("\n  8 "), "{several}");
    }
}
