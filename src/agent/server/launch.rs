//! How a command of a request becomes a process: shell, folder, environment.

use super::Agent;
use super::children::Group;
use super::problem::Problem;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// The variable that brings the token to the agent, and must not get any further.
pub const TOKEN_VARIABLE: &str = "SANDBOX_API_TOKEN";

type Env = BTreeMap<String, String>;

/// Starts commands for one agent.
#[derive(Debug)]
pub struct Launcher<'a>(pub &'a Agent);

impl Launcher<'_> {
    /// A command under `sh` whose output comes through pipes.
    pub fn piped(&self, command: &str, cwd: &str, env: Option<&Env>) -> Result<Group, Problem> {
        let mut process = self.shell("/bin/sh", command, cwd, env)?;
        process.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.start(&mut process)
    }

    /// A command under `bash` (or `sh`) that writes into a file.
    pub fn logged(&self, command: &str, cwd: &str, env: Option<&Env>, log: File) -> Result<Group, Problem> {
        let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
        let mut process = self.shell(shell, command, cwd, env)?;
        let again = log.try_clone().map_err(|source| Problem::Io { what: "cannot use the log file", source })?;
        process.stdout(log).stderr(again);
        self.start(&mut process)
    }

    fn shell(&self, shell: &str, command: &str, cwd: &str, env: Option<&Env>) -> Result<Command, Problem> {
        if command.contains('\0') {
            return Err(Problem::field("body", "command", "must not hold a NUL character"));
        }
        let mut process = Command::new(shell);
        process.arg("-c").arg(command).stdin(Stdio::null());
        process.current_dir(self.0.roots.working_directory(cwd)?);
        process.env_remove(TOKEN_VARIABLE).envs(self.0.roots.environment());
        for (name, value) in env.into_iter().flatten() {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let message =
                    format!("{name:?} is not a name and value for the environment: no NUL, no `=` in the name");
                return Err(Problem::field("body", "env", message));
            }
            process.env(name, value);
        }
        Ok(process)
    }

    fn start(&self, process: &mut Command) -> Result<Group, Problem> {
        match self.0.children.spawn(process) {
            Ok(Some(group)) => Ok(group),
            Ok(None) => Err(Problem::Stopping),
            // The kernel's limit on the size of one argument and of all of them: the caller can do something about it.
            Err(error) if error.kind() == std::io::ErrorKind::ArgumentListTooLong => {
                Err(Problem::Bad("command and environment are too long for the operating system".to_owned()))
            }
            Err(source) => Err(Problem::Io { what: "cannot start the command", source }),
        }
    }
}
