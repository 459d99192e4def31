//! How a command of a request becomes a process: shell, folder, environment.

use super::children::Group;
use super::problem::Problem;
use super::{Agent, limits};
use crate::agent::wire::{BackgroundRequest, Limits, SessionRequest};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The variable that brings the token to the agent, and must not get any further.
pub const TOKEN_VARIABLE: &str = "SANDBOX_API_TOKEN";

const BASH: &str = "/bin/bash";
const SH: &str = "/bin/sh";

/// What a program is told about a terminal that nobody looks at, or whose kind nobody has named.
pub const TERM: &str = "xterm-256color";

type Env = BTreeMap<String, String>;

/// Starts commands for one agent.
#[derive(Debug)]
pub struct Launcher<'a>(pub &'a Agent);

impl Launcher<'_> {
    /// A command under `sh` whose output comes through pipes.
    pub fn piped(
        &self,
        command: &str,
        cwd: &str,
        env: Option<&Env>,
        limits: Option<&Limits>,
    ) -> Result<Group, Problem> {
        let mut process = self.shell(SH, command, cwd, env)?;
        limits::put(limits, &mut process)?;
        process.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.start(&mut process)
    }

    /// A command under `bash` (or `sh`) that writes into a file.
    pub fn logged(&self, request: &BackgroundRequest, log: File) -> Result<Group, Problem> {
        let shell = if Path::new(BASH).exists() { BASH } else { SH };
        let mut process = self.shell(shell, &request.command, &request.cwd, request.env.as_ref())?;
        limits::put(request.limits.as_ref(), &mut process)?;
        let again = log.try_clone().map_err(|source| Problem::Io { what: "cannot use the log file", source })?;
        process.stdout(log).stderr(again);
        self.start(&mut process)
    }

    /// A `bash` (or `sh`) that is interactive, without start-up files and history, and takes its lines from a pipe:
    /// what runs in it has the terminal, and cannot take what is meant for the shell.
    pub fn session(&self, request: &SessionRequest, terminal: File) -> Result<Group, Problem> {
        let cwd = &request.cwd;
        let bash = ["--noprofile", "--norc", "--noediting", "+H", "+o", "history", "-i"];
        let mut process = match Path::new(BASH).exists() {
            true => self.process(BASH, &bash, cwd)?,
            false => self.process(SH, &["-i"], cwd)?,
        };
        process.env("TERM", TERM);
        self.add(&mut process, request.env.as_ref())?;
        limits::put(request.limits.as_ref(), &mut process)?;
        let again = terminal.try_clone().map_err(|source| Problem::Io { what: "cannot use the terminal", source })?;
        process.stdin(Stdio::piped()).stdout(terminal).stderr(again);
        self.start_with(&mut process, |process| self.0.children.spawn_in_terminal(process))
    }

    /// A command under `sh`, or without one a `bash` (or `sh`) for a person, with this terminal and kind of terminal.
    pub fn terminal(&self, command: Option<&str>, cwd: &str, kind: &str, terminal: File) -> Result<Group, Problem> {
        let mut process = match command {
            Some(command) => self.process(SH, &["-c", command], cwd)?,
            None => self.process(if Path::new(BASH).exists() { BASH } else { SH }, &["-i"], cwd)?,
        };
        process.env("TERM", kind);
        let no_terminal = |source| Problem::Io { what: "cannot use the terminal", source };
        process.stdin(terminal.try_clone().map_err(no_terminal)?);
        process.stdout(terminal.try_clone().map_err(no_terminal)?).stderr(terminal);
        self.start_with(&mut process, |process| self.0.children.spawn_in_terminal(process))
    }

    fn shell(&self, shell: &str, command: &str, cwd: &str, env: Option<&Env>) -> Result<Command, Problem> {
        without_nul("body", command)?;
        let mut process = self.process(shell, &["-c", command], cwd)?;
        process.stdin(Stdio::null());
        self.add(&mut process, env)?;
        Ok(process)
    }

    fn add(&self, process: &mut Command, env: Option<&Env>) -> Result<(), Problem> {
        for (name, value) in env.into_iter().flatten() {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let message =
                    format!("{name:?} is not a name and value for the environment: no NUL, no `=` in the name");
                return Err(Problem::field("body", "env", message));
            }
            let value = if name == "PORT" { self.0.shared_ports.told(value) } else { value.into() };
            process.env(name, value.as_ref());
        }
        Ok(())
    }

    fn process(&self, program: &str, arguments: &[&str], cwd: &str) -> Result<Command, Problem> {
        let mut process = Command::new(program);
        process.args(arguments).current_dir(self.0.roots.working_directory(cwd)?);
        process.env_remove(TOKEN_VARIABLE).envs(self.0.roots.environment());
        Ok(process)
    }

    fn start(&self, process: &mut Command) -> Result<Group, Problem> {
        self.start_with(process, |process| self.0.children.spawn(process))
    }

    fn start_with(
        &self,
        process: &mut Command,
        spawn: impl FnOnce(&mut Command) -> io::Result<Option<Group>>,
    ) -> Result<Group, Problem> {
        match spawn(process) {
            Ok(Some(group)) => Ok(group),
            Ok(None) => Err(Problem::Stopping),
            // The kernel's limit on the size of one argument and of all of them: the caller can do something about it.
            Err(error) if error.kind() == io::ErrorKind::ArgumentListTooLong => {
                Err(Problem::Bad("command and environment are too long for the operating system".to_owned()))
            }
            Err(source) => Err(Problem::Io { what: "cannot start the command", source }),
        }
    }
}

/// A command, as far as a program can be given it.
pub fn without_nul(place: &str, command: &str) -> Result<(), Problem> {
    if command.contains('\0') {
        return Err(Problem::field(place, "command", "must not hold a NUL character"));
    }
    Ok(())
}
