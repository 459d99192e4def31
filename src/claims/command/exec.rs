//! `sandbar exec`.

use super::gateway::EntryArgs;
use super::names;
use crate::agent::client::{AgentClient, AgentError, ExecEvent};
use crate::agent::wire::{ExecRequest, MAX_TIMEOUT};
use crate::api::Span;
use crate::failure::Failure;
use clap_complete::engine::ArgValueCandidates;
use futures::StreamExt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Exit code when the command's time is over, as timeout(1) has it.
const TIMED_OUT: u8 = 124;
/// Exit code when the command could not be run or its end was not learned.
pub(super) const NOT_RUN: u8 = 125;
/// Exit code when nobody reads the output any more: 128 + SIGPIPE.
pub(super) const NO_READER: u8 = 141;

/// Run a command in a sandbox, with its output as it comes, and end with its exit code.
///
/// One word is a line for the shell: -- 'ls | wc -l'. Several words are a program and its arguments, given to it as
/// they are: -- printf '%s\n' 'a b'. Exit codes of Sandbar's own: 124 = time-out, 125 = not run; a command that was
/// ended by signal N gives 128 + N.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Working directory; relative ones begin at /workspace
    #[arg(long, value_name = "DIR", default_value = crate::agent::wire::WORKSPACE)]
    cwd: String,
    /// Adds an environment variable; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// How long the command may take, at most 24h
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = time_limit)]
    timeout: Span,
    #[command(flatten)]
    entry: EntryArgs,
    /// The command, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(super) fn time_limit(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: crate::api::SpanError| error.to_string())?;
    match span.duration().as_secs() {
        1..=MAX_TIMEOUT => Ok(span),
        _ => Err("use more than 0s and at most 24h".to_owned()),
    }
}

/// One word is shell text, several are quoted so that the shell gives them on unchanged.
pub(super) fn shell_text(words: &[String]) -> Result<String, Failure> {
    match words {
        [line] => Ok(line.clone()),
        words => shlex::try_join(words.iter().map(String::as_str))
            .map_err(|_| Failure::new("the command holds a zero byte, which no program can be given").code(NOT_RUN)),
    }
}

/// Runs the command.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut request =
        ExecRequest::new(shell_text(&args.command)?).timeout(args.timeout.duration().as_secs()).cwd(&args.cwd);
    for (name, value) in &args.env {
        request = request.env(name, value);
    }
    let agent = args.entry.enter(&args.id).await.map_err(|failure| failure.code(NOT_RUN))?;
    print(&agent, &request, args.timeout).await
}

/// Runs it with its output as it comes; its exit code.
pub(super) async fn print(agent: &AgentClient, request: &ExecRequest, limit: Span) -> Result<ExitCode, Failure> {
    let mut events = agent.exec_stream(request).await.map_err(not_run)?;
    while let Some(event) = events.next().await {
        let written = match event.map_err(not_run)? {
            ExecEvent::Stdout(line) => write_line(std::io::stdout().lock(), &line),
            ExecEvent::Stderr(line) => write_line(std::io::stderr().lock(), &line),
            ExecEvent::Exit { code, .. } => return Ok(ExitCode::from(exit_code(code))),
            ExecEvent::Error { code, .. } if code == "TIMEOUT" => return Err(timed_out(limit)),
            ExecEvent::Error { message, .. } => return Err(Failure::new(message).code(NOT_RUN)),
        };
        match written {
            Ok(()) => {}
            // Leaving ends the command too.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::from(NO_READER)),
            Err(error) => return Err(Failure::from(error).code(NOT_RUN)),
        }
    }
    Err(Failure::new("the agent did not say how the command ended").code(NOT_RUN))
}

fn not_run(error: AgentError) -> Failure {
    Failure::from(error).code(NOT_RUN)
}

fn timed_out(limit: Span) -> Failure {
    Failure::new(format!("the command was ended after {limit}")).advice("give it longer with --timeout").code(TIMED_OUT)
}

fn write_line(mut out: impl Write, line: &str) -> std::io::Result<()> {
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A shell's view of how a command ended: minus a signal's number is 128 plus it.
pub(super) fn exit_code(code: i32) -> u8 {
    let code = if code < 0 { 128_i32.saturating_sub(code) } else { code };
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_for_the_shell_and_many_are_for_the_program() {
        let text = |words: &[&str]| shell_text(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(text(&["ls | wc -l"]).expect("fine"), "ls | wc -l");
        let line = text(&["printf", "%s", "a b", "$HOME", "it's", ""]).expect("fine");
        let given = shlex::split(&line).expect("shell words");
        assert_eq!(given, ["printf", "%s", "a b", "$HOME", "it's", ""]);
        assert!(!line.contains(" $HOME "), "{line}");
    }

    #[test]
    fn the_exit_code_is_the_commands() {
        assert_eq!([0, 7, 255, -9, -15, 300].map(exit_code), [0, 7, 255, 137, 143, 255]);
    }
}
