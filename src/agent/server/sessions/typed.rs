//! What is typed to a session's shell, so that the terminal tells where a command's output begins and ends, and with
//! which code.
//!
//! Around the output two words are printed that are made for this one command. What is typed holds them only in
//! halves: neither a shell that repeats its input nor a command that reads it shows them whole. A command that throws
//! the shell back to its prompt (Ctrl-C, `${unset?}`) takes the rest of its line with it, so the end is said once more
//! on a line of its own. That one is typed when the first one certainly runs: some shells forget all that they have read.

use rand::RngExt;

/// Stands before and after what is for us, and hardly ever in a text.
const MARK: char = '\x1e';

/// The two words of one command.
#[derive(Debug)]
pub struct Words {
    begin: String,
    end: String,
}

impl Words {
    /// Words that nobody else knows.
    pub fn new() -> Self {
        let word = || format!("{:032x}", rand::rng().random::<u128>());
        Self { begin: word(), end: word() }
    }

    /// What the terminal shows right before the output.
    pub fn begin(&self) -> String {
        format!("{MARK}{}{MARK}", self.begin)
    }

    /// What it shows right after it; the exit code and [`Self::CLOSE`] follow.
    pub fn end(&self) -> String {
        format!("{MARK}{} ", self.end)
    }

    /// What follows the exit code.
    pub const CLOSE: u8 = MARK as u8;

    /// Runs a command. Prompts would be output of commands that were interrupted.
    pub fn command(&self, command: &str) -> String {
        let (one, two) = self.begin.split_at(16);
        let begin = said(&format!("'\\036%s%s\\036' {one} {two}"));
        // Single quotes, whatever the command holds: they hold for every shell and every option.
        let quoted = command.replace('\'', r"'\''");
        format!("PS1= PS2=; {begin}; eval '{quoted}' </dev/tty; {}", self.after())
    }

    /// Says the end and its code.
    pub fn after(&self) -> String {
        let (one, two) = self.end.split_at(16);
        let end = said(&format!("'\\036%s%s %s\\036' {one} {two} \"$?\""));
        format!("{end}\n")
    }
}

/// Prints, whatever aliases there are and wherever the shell's outputs go; unseen where the shell shows what it runs.
fn said(what: &str) -> String {
    format!("{{ \\command printf {what}; }} >/dev/tty 2>/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_does_not_hold_what_is_shown() {
        let words = Words::new();
        let typed = words.command("echo 'a'");
        assert!(!typed.contains(&words.begin) && !typed.contains(&words.end));
        assert!(typed.contains(r"eval 'echo '\''a'\'''") && typed.ends_with('\n'));
        assert_ne!(Words::new().end(), words.end());
    }
}
