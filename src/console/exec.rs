//! Commands.

use super::frame::Numbered;
use super::session::Session;
use super::{ConsoleError, Refusal};
use crate::agent::wire::ExecRequest;
use crate::providers::ConsoleAddress;
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

const SCRIPT: &str = include_str!("scripts/exec.sh");
/// What the way to the sandbox and back may add to a command's own time-out.
const MARGIN: Duration = Duration::from_secs(30);

/// A piece of what a command writes, as it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// To its standard output.
    Stdout(Bytes),
    /// To its standard error.
    Stderr(Bytes),
}

/// How a command ended, after everything that it wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this code; 128 and a signal's number where a signal ended it.
    Exit(i32),
    /// It was ended, with its whole process group, when its time was over.
    TimedOut,
}

/// Runs a command until both its outputs are closed. When nobody takes what it writes any more, or this future is
/// dropped, the command is ended.
///
/// # Errors
/// When the console fails, or the working directory does not exist.
pub async fn exec(
    address: &ConsoleAddress,
    request: &ExecRequest,
    outputs: &Sender<Output>,
) -> Result<Ended, ConsoleError> {
    let mut command = String::new();
    for (name, value) in request.env.iter().flatten() {
        let exported = shlex::try_quote(value).ok().filter(|_| is_name(name)).ok_or_else(|| {
            ConsoleError::Invalid(format!("env: {name:?} is no name, or its value is none, for a variable of a shell"))
        })?;
        command.push_str(&format!("export {name}={exported}\n"));
    }
    command.push_str(&request.command);
    let (timeout, folder) = (request.timeout.to_string(), super::files::absolute(&request.cwd));
    let variables = [("W", folder.as_str()), ("T", timeout.as_str()), ("C", command.as_str())];
    let deadline = Instant::now() + Duration::from_secs(request.timeout) + MARGIN;
    let mut session = Session::run(address, SCRIPT, &variables).await?;
    let ended = follow(&mut session, deadline, &folder, outputs).await;
    session.close().await;
    ended
}

async fn follow(
    session: &mut Session,
    deadline: Instant,
    folder: &str,
    outputs: &Sender<Output>,
) -> Result<Ended, ConsoleError> {
    let (mut stdout, mut stderr) = (Numbered::default(), Numbered::default());
    loop {
        let frame = tokio::select! {
            frame = session.next(deadline) => frame?,
            () = outputs.closed() => return Err(ConsoleError::Ended),
        };
        let output = match frame.word.as_str() {
            "o" => Output::Stdout(stdout.line(&frame.rest)?.into()),
            "e" => Output::Stderr(stderr.line(&frame.rest)?.into()),
            "o." => {
                stdout.end(&frame.rest)?;
                continue;
            }
            "e." => {
                stderr.end(&frame.rest)?;
                continue;
            }
            "timeout" => return Ok(Ended::TimedOut),
            "exit" if stdout.is_whole() && stderr.is_whole() => {
                let code = frame.rest.parse().map_err(|_| ConsoleError::Damaged("no exit code"))?;
                return Ok(Ended::Exit(code));
            }
            "exit" => return Err(ConsoleError::Damaged("the end of an output is missing")),
            other => match Refusal::of(other) {
                Some(refusal) => return Err(ConsoleError::Path { path: folder.to_owned(), refusal }),
                None => continue,
            },
        };
        if outputs.send(output).await.is_err() {
            return Err(ConsoleError::Ended);
        }
    }
}

/// Whether a shell takes this as the name of a variable.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(letter) && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}
