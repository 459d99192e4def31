//! A command that may be silent for long, and of whose output only the end is wanted.

use super::{AgentClient, AgentError, ExecEvent};
use crate::agent::wire::ExecRequest;
use futures::StreamExt;

/// The end of each output that is kept, in bytes.
const KEPT: usize = 2048;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The shell's exit code; minus the signal number when a signal ended it.
    pub code: i32,
    /// The last 2 KiB of standard output.
    pub stdout: String,
    /// The last 2 KiB of standard error, without blanks around it.
    pub stderr: String,
}

impl AgentClient {
    /// Runs a command to its end over the stream that has heartbeats: the platform's edge would cut a silent answer off.
    ///
    /// # Errors
    /// As [`Self::exec`].
    pub async fn exec_whole(&self, request: &ExecRequest) -> Result<Ended, AgentError> {
        let mut events = self.exec_stream(request).await?;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        while let Some(event) = events.next().await {
            match event? {
                ExecEvent::Stdout(line) => keep(&mut stdout, &line),
                ExecEvent::Stderr(line) => keep(&mut stderr, &line),
                ExecEvent::Exit { code, .. } => return Ok(Ended { code, stdout, stderr: stderr.trim().to_owned() }),
                ExecEvent::Error { message, .. } => return Err(AgentError::Timeout { detail: message }),
            }
        }
        Err(AgentError::Unreachable { detail: "the agent did not say how the command ended".to_owned() })
    }
}

fn keep(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
    let mut cut = text.len().saturating_sub(KEPT);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    text.drain(..cut);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_was_said_is_kept() {
        let mut text = String::new();
        for number in 0..1000 {
            keep(&mut text, &format!("äline {number}"));
        }
        assert!(text.len() <= KEPT && text.ends_with("line 999\n"));
    }
}
