//! `sandbar shell`.

mod local;

use super::exec::{NO_READER, NOT_RUN, exit_code, shell_text};
use super::gateway::EntryArgs;
use super::names;
use crate::agent::client::{AgentError, Shown, TerminalInput, TerminalOutput};
use crate::agent::wire::TerminalRequest;
use crate::failure::Failure;
use crate::pty;
use clap_complete::engine::ArgValueCandidates;
use local::{Ending, Keys, Raw};
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What a terminal takes for the end of input.
const CONTROL_D: u8 = 4;
/// How often the end of input is typed again: who edits lines takes it only while it waits for one.
const AGAIN: Duration = Duration::from_millis(500);

/// Open a terminal in a sandbox, and end with the exit code of what ran there.
///
/// Without a command a shell runs. Every key goes to the sandbox, Ctrl-C too; `exit` or Ctrl-D leaves. Without a
/// terminal on standard input, what comes there is typed and its end is Ctrl-D. Exit codes of Sandbar's own: 125 = not
/// run, or the connection broke; a command that was ended by signal N gives 128 + N.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Working directory; relative ones begin at /workspace
    #[arg(long, value_name = "DIR", default_value = crate::agent::wire::WORKSPACE)]
    cwd: String,
    #[command(flatten)]
    entry: EntryArgs,
    /// Runs this instead of a shell, after --
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Opens the terminal, and carries what is typed and shown until the program ends.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let agent = args.entry.enter(&args.id).await.map_err(|failure| failure.code(NOT_RUN))?;
    let mut request = TerminalRequest { cwd: args.cwd.clone(), ..TerminalRequest::default() };
    if !args.command.is_empty() {
        request.command = Some(shell_text(&args.command)?);
    }
    if let Some((columns, rows)) = pty::size_of(std::io::stdout()) {
        (request.cols, request.rows) = (columns.into(), rows.into());
    }
    if let Ok(term) = std::env::var("TERM")
        && !term.is_empty()
    {
        request.term = term;
    }
    let (input, output) = agent.terminal(&request).await.map_err(|error| not_opened(error, &args.id))?;
    let raw = match std::io::stdin().is_terminal() {
        true => Some(Raw::enter().map_err(|error| Failure::from(error).code(NOT_RUN))?),
        false => None,
    };
    let ended = carry(input, output, raw.is_some()).await;
    drop(raw);
    ended
}

fn not_opened(error: AgentError, id: &str) -> Failure {
    match error {
        AgentError::NotFound { detail } => {
            Failure::new(format!("the sandbox of run {id} offers no terminal: {detail}"))
                .advice("sandboxes in mode Worker and images with another agent have none: use sandbar exec")
        }
        other => Failure::from(other),
    }
    .code(NOT_RUN)
}

/// Both directions at once: a program that writes much must not wait for one that reads much.
async fn carry(input: TerminalInput, output: TerminalOutput, keys_only: bool) -> Result<ExitCode, Failure> {
    let mut ending = Ending::listen()?;
    tokio::select! {
        biased;
        ended = show(output) => ended,
        error = type_in(input, keys_only) => Err(Failure::from(error).code(NOT_RUN)),
        number = ending.received() => Ok(ExitCode::from(exit_code(-number))),
    }
}

async fn show(mut output: TerminalOutput) -> Result<ExitCode, Failure> {
    loop {
        let written = match output.next().await.map_err(|error| Failure::from(error).code(NOT_RUN))? {
            Shown::Exit(code) => return Ok(ExitCode::from(exit_code(code))),
            Shown::Output(bytes) => {
                let mut out = std::io::stdout().lock();
                out.write_all(&bytes).and_then(|()| out.flush())
            }
        };
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::from(NO_READER)),
            Err(error) => return Err(Failure::from(error).code(NOT_RUN)),
        }
    }
}

/// Types what comes on standard input, and tells every new size. Returns only when the connection is broken.
async fn type_in(mut input: TerminalInput, keys_only: bool) -> AgentError {
    let mut keys = Keys::read();
    let mut resized = signal(SignalKind::window_change()).ok();
    let (mut open, mut line_open) = (true, false);
    loop {
        let sent = tokio::select! {
            bytes = keys.next(), if open => match bytes {
                Some(bytes) => {
                    line_open = bytes.last() != Some(&b'\n');
                    input.send(bytes).await
                }
                // A terminal that is gone is no Ctrl-D: whoever sat there has left, and Ending tells.
                None if keys_only => {
                    open = false;
                    Ok(())
                }
                None => {
                    open = false;
                    // In the middle of a line the first one only ends the line.
                    let end: &[u8] = if line_open { &[CONTROL_D, CONTROL_D] } else { &[CONTROL_D] };
                    input.send(end.to_vec()).await
                }
            },
            () = tokio::time::sleep(AGAIN), if !open && !keys_only => input.send(vec![CONTROL_D]).await,
            Some(()) = next(&mut resized) => match pty::size_of(std::io::stdout()) {
                Some((columns, rows)) => input.resize(columns, rows).await,
                None => Ok(()),
            },
        };
        if let Err(error) = sent {
            return error;
        }
    }
}

async fn next(resized: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match resized {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}
