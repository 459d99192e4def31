//! Completions: a shell, or kubectl, calls this program again and reads what could be typed.

use super::{Invoked, parser};
use clap_complete::CompleteEnv;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

/// Set by the scripts of [`Completions`], to the shell that asks.
const VARIABLE: &str = "SANDBAR_COMPLETE";
/// Set by some shells, to the number of the word that is completed.
const CURSOR: &str = "_CLAP_COMPLETE_INDEX";
/// Whatever can ask.
const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Kubectl, &Powershell, &Zsh]);

/// Who completes what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Completions {
    /// Bash
    Bash,
    /// Elvish
    Elvish,
    /// Fish
    Fish,
    /// kubectl, for its plugin: an executable kubectl_complete-sandbar
    Kubectl,
    /// PowerShell
    #[value(name = "powershell")]
    PowerShell,
    /// Zsh
    Zsh,
}

impl Completions {
    /// What makes it ask this program.
    ///
    /// # Errors
    /// When `out` takes nothing.
    pub fn script(self, out: &mut dyn Write) -> io::Result<()> {
        let shell: &dyn EnvCompleter = match self {
            Self::Bash => &Bash,
            Self::Elvish => &Elvish,
            Self::Fish => &Fish,
            Self::Kubectl => &Kubectl,
            Self::PowerShell => &Powershell,
            Self::Zsh => &Zsh,
        };
        shell.write_registration(VARIABLE, "sandbar", "sandbar", &program(), out)
    }
}

/// This program, as a shell finds it later: by its path, unless it was found in PATH.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_else(|| "sandbar".to_owned());
    match Path::new(&called).components().count() {
        0 | 1 => called,
        _ => std::path::absolute(&called).map_or(called, |path| path.display().to_string()),
    }
}

/// Answers who asks for completions; false = nobody does, it is an ordinary call. Call it before anything is printed.
///
/// # Errors
/// When nobody knows the shell, or it takes no answer.
pub fn answer() -> Result<bool, clap::Error> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let here = std::env::current_dir().ok();
    if Invoked::now() != Invoked::Completer {
        return CompleteEnv::with_factory(parser).var(VARIABLE).shells(SHELLS).try_complete(words, here.as_deref());
    }
    let mut answer = Vec::new();
    Kubectl.write_complete(&mut parser(), words, here.as_deref(), &mut answer)?;
    io::stdout().write_all(&answer)?;
    Ok(true)
}

/// The words of the line that is being completed, without the one that is under the cursor.
pub fn words() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if Invoked::now() != Invoked::Completer {
        let begin = words.iter().position(|word| word == "--").map_or(0, |at| at + 1);
        words.drain(..begin);
    }
    let told = std::env::var(CURSOR).ok().and_then(|index| index.parse().ok());
    let cursor = told.unwrap_or(words.len().saturating_sub(1));
    if cursor < words.len() {
        words.remove(cursor);
    }
    words
}

/// The protocol by which kubectl completes a plugin: it runs `kubectl_complete-PLUGIN` with the words after the
/// plugin's name, and reads a candidate per line, its description after a tab, and at last a colon with what the shell
/// is to do (`ShellCompDirective` of the Go library cobra).
struct Kubectl;

/// No space after the candidate.
const NO_SPACE: u8 = 2;
/// No names of files instead.
const NO_FILES: u8 = 4;

impl EnvCompleter for Kubectl {
    fn name(&self) -> &'static str {
        "kubectl"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _: &str,
        _: &str,
        program: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let program = shlex::try_quote(program).map_err(io::Error::other)?;
        write!(out, "#!/bin/sh\n# kubectl runs this to complete `kubectl sandbar`.\n")?;
        writeln!(out, "{variable}=kubectl exec {program} -- kubectl-sandbar \"$@\"")
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let cursor = words.len().saturating_sub(1);
        let asks_for_flags = words.last().is_some_and(|word| word.to_string_lossy().starts_with('-'));
        let mut candidates = complete(command, words, cursor, here)?;
        let is_flag = |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().starts_with('-');
        // Whoever has typed nothing wants names: flags would hide them.
        if !asks_for_flags && candidates.iter().any(|candidate| !is_flag(candidate)) {
            candidates.retain(|candidate| !is_flag(candidate));
        }
        let mut goes_on = !candidates.is_empty();
        for candidate in &candidates {
            let value = candidate.get_value().to_string_lossy();
            goes_on &= value.ends_with(['/', ':', '=']);
            let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            match help.lines().next() {
                Some(help) => writeln!(out, "{value}\t{help}")?,
                None => writeln!(out, "{value}")?,
            }
        }
        writeln!(out, ":{}", if goes_on { NO_FILES | NO_SPACE } else { NO_FILES })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(words: &[&str]) -> String {
        let words = words.iter().map(OsString::from).collect();
        let mut out = Vec::new();
        Kubectl.write_complete(&mut parser(), words, None, &mut out).expect("an answer");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn kubectl_reads_a_candidate_per_line_and_a_directive() {
        assert_eq!(completed(&["kubectl-sandbar", "rel"]), "release\tGive runs back\n:4\n");
        let all = completed(&["kubectl-sandbar", ""]);
        assert!(all.contains("\nclaim\t") && !all.lines().any(|line| line.starts_with('-')), "{all}");
        assert!(completed(&["kubectl-sandbar", "ls", "--out"]).starts_with("--output\t"));
    }

    #[test]
    fn every_shell_gets_a_script_that_calls_this_program() {
        for shell in <Completions as clap::ValueEnum>::value_variants() {
            let mut script = Vec::new();
            shell.script(&mut script).expect("a script");
            let script = String::from_utf8(script).expect("text");
            assert!(script.contains(VARIABLE) && script.contains("sandbar"), "{shell:?}: {script}");
        }
    }
}
