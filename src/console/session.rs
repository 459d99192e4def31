//! One session: a terminal made raw, and one script that runs in it.

use super::frame::{Frame, Frames};
use super::{Channel, ConsoleError};
use crate::providers::ConsoleAddress;
use data_encoding::BASE64;
use rand::RngExt;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Programs that the image has to have.
pub const PROGRAMS: &str = "stty base64 dd mkfifo mktemp sha256sum stat sed";
/// The longest script that a shell can be given: one argument of a program has at most 128 KiB.
const MAX_SCRIPT: usize = 120 * 1024;
/// Longest wait until the terminal is raw.
const READY: Duration = Duration::from_secs(20);
/// More than a prompt and echoes.
const MAX_NOISE: usize = 64 * 1024;

const COMMON: &str = include_str!("scripts/common.sh");

/// A session that runs one script. Dropping it hangs up, and the script ends what it has started.
pub struct Session {
    channel: Channel,
    frames: Frames,
    ready: VecDeque<Frame>,
}

impl Session {
    /// Opens a console and runs a script there, with these variables, of which W is a path.
    ///
    /// # Errors
    /// When the console does not open, nothing in it answers, or the image lacks what the scripts need.
    pub async fn run(address: &ConsoleAddress, script: &str, variables: &[(&str, &str)]) -> Result<Self, ConsoleError> {
        let nonce = word();
        let text = text(&nonce, script, variables)?;
        let mut channel = Channel::open(address).await?;
        make_raw(&mut channel).await?;
        channel.send(&format!("{}\n", BASE64.encode(text.as_bytes()))).await?;
        Ok(Self { channel, frames: Frames::new(&nonce), ready: VecDeque::new() })
    }

    /// What the script says next, until `deadline`. Cancel-safe.
    ///
    /// # Errors
    /// When it says nothing any more, or not in time.
    pub async fn next(&mut self, deadline: Instant) -> Result<Frame, ConsoleError> {
        let began = Instant::now();
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Ok(frame);
            }
            let silent = |_| ConsoleError::Silent(deadline.saturating_duration_since(began));
            let shown = timeout_at(deadline, self.channel.receive()).await.map_err(silent)??;
            self.ready.extend(self.frames.add(&shown.ok_or(ConsoleError::Ended)?));
        }
    }

    /// Types this to the script.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, data: &str) -> Result<(), ConsoleError> {
        self.channel.send(data).await
    }

    /// Hangs up.
    pub async fn close(self) {
        self.channel.close().await;
    }
}

/// A word that nobody else knows.
fn word() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

/// The script with its variables, as one argument of a shell.
fn text(nonce: &str, script: &str, variables: &[(&str, &str)]) -> Result<String, ConsoleError> {
    let mut text = format!("N={nonce}\n");
    for (name, value) in variables {
        let quoted = shlex::try_quote(value)
            .map_err(|_| ConsoleError::Invalid("a zero byte can be given to no program".to_owned()))?;
        text.push_str(&format!("{name}={quoted}\n"));
    }
    text.push_str(COMMON);
    text.push_str(script);
    if text.len() > MAX_SCRIPT {
        let most = MAX_SCRIPT / 1024 - 20;
        let what = format!("the command and its environment are longer than {most} KiB");
        return Err(ConsoleError::Invalid(format!("{what}; put it into a file, and run that")));
    }
    Ok(text)
}

/// Makes the terminal raw and its shell wait for one line with a script, which takes its place.
async fn make_raw(channel: &mut Channel) -> Result<(), ConsoleError> {
    let (one, two) = (word(), word());
    // What is typed is echoed before it is raw: the two words are joined only by the shell.
    let line = format!(
        "M=; for t in {PROGRAMS}; do command -v $t >/dev/null 2>&1 || M=\"$M $t\"; done; stty raw -echo isig; \
         printf '\\n%s-%s lacks%s.\\n' {one} {two} \"$M\"; IFS= read -r L; \
         exec sh -c \"$(printf %s \"$L\" | base64 -d)\"\r"
    );
    channel.send(&line).await?;
    let (begin, deadline) = (format!("{one}-{two} lacks"), Instant::now() + READY);
    let mut shown = String::new();
    loop {
        if let Some((lacks, _)) = shown.split_once(&begin).and_then(|(_, rest)| rest.split_once('.')) {
            let lacks = lacks.trim();
            return if lacks.is_empty() { Ok(()) } else { Err(ConsoleError::Lacks(lacks.replace(' ', ", "))) };
        }
        if shown.len() > MAX_NOISE {
            return Err(ConsoleError::Protocol("much, and no answer of a shell".to_owned()));
        }
        let more = timeout_at(deadline, channel.receive()).await.map_err(|_| ConsoleError::Silent(READY))??;
        shown.push_str(&more.ok_or(ConsoleError::Ended)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_reach_the_script_as_they_are() {
        let text = text("n", "", &[("C", "echo 'a b' $HOME\n\"x\"")]).expect("fits");
        let line = text.strip_prefix("N=n\nC=").and_then(|text| text.split_once("\n# Runs")).expect("two variables").0;
        assert_eq!(shlex::split(line).expect("words"), ["echo 'a b' $HOME\n\"x\""]);
    }

    #[test]
    fn what_no_shell_takes_is_refused_before_anything_is_typed() {
        let long = text("n", "", &[("C", &"x".repeat(MAX_SCRIPT))]).expect_err("too long");
        assert!(long.to_string().contains("put it into a file"), "{long}");
        assert!(text("n", "", &[("C", "a\0b")]).is_err());
    }
}
