//! What the steps of a launch do in the sandbox. Each finds what was done before, by this process or another.

use super::super::transfers::{Depot, Purpose, Target};
use super::steps::Failure;
use super::{Agents, LeaseHandle, Order};
use crate::agent::client::{AgentClient, AgentError};
use crate::agent::wire::{BackgroundRequest, ExecRequest, ProcessStatus};
use crate::api::conditions::Reason;
use crate::api::{AppSource, GitSource};
use crate::artifacts::FROM_THE_ROOT;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The longest that a clone may take, in seconds.
const CLONE: u64 = 600;
/// Tries to get a snapshot before git is asked instead.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that the API server may take to give the agent's token.
const TOKEN: Duration = Duration::from_secs(15);
/// Of what a program wrote, so much from the end is told.
const LINES: usize = 20;
const TOLD: usize = 600;
/// Exit code of the scripts for what has words of its own.
const SAID: i32 = 78;

/// Two that come at once, one of them late, do a step one after the other, and the second finds it done.
const ONCE: &str = r#"root="$PWD"
mark="$root/tmp/.sandbar_app-$RUN-$STEP"
exec 9> "$mark.lock"
if command -v flock > /dev/null; then flock 9; fi
if [ -e "$mark" ]; then exit 0; fi
umask 022
"#;

const CLONE_SCRIPT: &str = r#"command -v git > /dev/null || { echo "the image has no git" >&2; exit 78; }
new="$root/workspace/.$NAME.new"
rm -rf "$new"
git clone --quiet --depth 1 ${REF:+--branch "$REF"} -- "$URL" "$new" 9>&-
if [ ! -d "$new/$FOLDER" ]; then echo "there is no folder $FOLDER in the repository" >&2; exit 78; fi
rm -rf "$root/workspace/$NAME"
mv "$new${FOLDER:+/$FOLDER}" "$root/workspace/$NAME"
rm -rf "$new"
: > "$mark"
"#;

const INSTALL_SCRIPT: &str = r#"cd "$root/workspace/$NAME" 2> /dev/null || cd "$root/workspace"
sh -c "$COMMAND" 9>&-
: > "$mark"
"#;

/// The lock is the app's for as long as it runs: a start that comes late, from a process that was paused, ends at once.
const ALONE: &str = r#"if command -v flock > /dev/null; then exec 9> "$APP_LOCK"; flock -n 9 || exit 77; fi; "#;

/// Where an app's files came from.
pub(super) struct Came {
    pub(super) source: AppSource,
    /// Why not from where they were to come from.
    pub(super) fallback: Option<String>,
}

/// One app, and the ways to its sandbox.
pub(super) struct Launch {
    pub(super) depot: Option<Arc<dyn Depot>>,
    pub(super) agents: Agents,
    pub(super) lease: LeaseHandle,
    pub(super) target: Target,
    pub(super) order: Order,
    /// Made once: an instance keeps its address and its token for life.
    pub(super) agent: OnceCell<AgentClient>,
}

impl Launch {
    async fn agent(&self) -> Result<&AgentClient, Failure> {
        let Target { namespace, uid, url, .. } = &self.target;
        let find = async || {
            let found = self.agents.of(namespace, uid, url).await;
            found.map_err(|error| Failure::passing(error.to_string()))
        };
        let found = tokio::time::timeout(TOKEN, self.agent.get_or_try_init(find)).await;
        found.unwrap_or_else(|_| Err(Failure::passing("the API server does not give the agent's token")))
    }

    /// What the command of every start of this launch begins with.
    fn mark(&self) -> String {
        format!(": sandbar app {}-{}; ", self.order.run, self.order.attempt)
    }

    /// A process that was paused over its lease must not touch what its successor launched.
    fn leads(&self) -> Result<(), Failure> {
        if self.lease.is_leader() { Ok(()) } else { Err(Failure::passing("another process decides now")) }
    }

    /// Puts the app's files where it runs.
    pub(super) async fn files(&self) -> Result<Came, Failure> {
        match (self.order.source, &self.order.app.git) {
            (AppSource::Image, _) => Ok(Came { source: AppSource::Image, fallback: None }),
            (AppSource::Git, Some(git)) => self.clone_git(git, None).await,
            (AppSource::Git, None) => Err(Failure::lasting(Reason::SourceFailed, "the app has no git repository")),
            (AppSource::Snapshot, git) => match (self.restore_snapshot().await, git) {
                (Ok(()), _) => Ok(Came { source: AppSource::Snapshot, fallback: None }),
                (Err(failure), Some(git)) => self.clone_git(git, Some(failure.message)).await,
                (Err(failure), None) => Err(failure),
            },
        }
    }

    async fn restore_snapshot(&self) -> Result<(), Failure> {
        let (Some(depot), Some(snapshot)) = (&self.depot, &self.order.app.snapshot) else {
            let message = "the operator has no snapshot store; start it with --snapshot-url";
            return Err(Failure::lasting(Reason::NoSnapshotStore, message));
        };
        let mut tries = 1;
        loop {
            let may_unpack = || self.lease.is_leader();
            match depot.restore(&self.target, &snapshot.name, Purpose::App, &may_unpack).await {
                Ok(_) => return Ok(()),
                Err(error) if error.passing && tries < TRIES => tries += 1,
                Err(error) => {
                    return Err(Failure { reason: error.reason, message: error.message, passing: error.passing });
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn clone_git(&self, git: &GitSource, fallback: Option<String>) -> Result<Came, Failure> {
        let request = self
            .script("files", CLONE_SCRIPT)
            .timeout(CLONE)
            .env("URL", &git.url)
            .env("REF", git.ref_.as_deref().unwrap_or_default())
            .env("FOLDER", git.path.as_deref().unwrap_or_default())
            // Nobody is there to be asked for a password.
            .env("GIT_TERMINAL_PROMPT", "0");
        self.run(&request, Reason::SourceFailed, &format!("git clone {}", git.url)).await?;
        Ok(Came { source: AppSource::Git, fallback })
    }

    /// Installs the app.
    pub(super) async fn install(&self) -> Result<(), Failure> {
        let command = self.order.app.install.as_deref().unwrap_or("true");
        let limit = self.order.app.deadline.duration().as_secs().max(1);
        let request = self.script("install", INSTALL_SCRIPT).timeout(limit).env("COMMAND", command);
        self.run(&request, Reason::InstallFailed, &format!("install: {command}")).await
    }

    /// Starts the app, unless it was started before; gives its process.
    pub(super) async fn start(&self) -> Result<i32, Failure> {
        let (agent, app) = (self.agent().await?, &self.order.app);
        let begin = self.mark();
        let processes = agent.processes().await.map_err(|error| unanswered(Reason::AppExited, &error))?;
        let there = processes
            .iter()
            .find(|process| process.status == ProcessStatus::Running && process.command.starts_with(&begin));
        if let Some(process) = there {
            return Ok(process.pid);
        }
        self.leads()?;
        let command = format!("{begin}{ALONE}cd {} 2> /dev/null; exec sh -c \"$APP_COMMAND\"", app.name);
        let lock = format!("../tmp/.sandbar_app-{}-{}-run.lock", self.order.run, self.order.attempt);
        let env = BTreeMap::from([
            ("APP_COMMAND".to_owned(), app.run.clone()),
            ("APP_LOCK".to_owned(), lock),
            ("PORT".to_owned(), app.port.to_string()),
        ]);
        let request = BackgroundRequest { env: Some(env), ..BackgroundRequest::new(command) };
        let started = agent.exec_background(&request).await.map_err(|error| unanswered(Reason::AppExited, &error))?;
        Ok(started.pid)
    }

    /// Whether the app answers on its health path; else what happened instead.
    pub(super) async fn answers(&self) -> Result<(), String> {
        let app = &self.order.app;
        let asked = async {
            let agent = self.agent().await.map_err(|failure| failure.message)?;
            agent.app_status(app.port, &app.health_path).await.map_err(|error| error.to_string())
        };
        match asked.await? {
            status if status < 400 => Ok(()),
            status => Err(format!("{} on port {} answers {status}", app.health_path, app.port)),
        }
    }

    /// How the app's process ended, and the last lines that it wrote; none as long as it runs, or nobody can tell.
    pub(super) async fn last_words(&self, pid: i32) -> Option<String> {
        let agent = self.agent().await.ok()?;
        let process = match agent.process(pid).await {
            Ok(process) if process.status == ProcessStatus::Running => return None,
            Ok(process) => process,
            Err(AgentError::NotFound { .. }) => return Some("its process is gone".to_owned()),
            Err(_) => return None,
        };
        // Another process may have started it a moment before.
        let (others, begin) = (agent.processes().await.ok()?, self.mark());
        if others.iter().any(|other| other.status == ProcessStatus::Running && other.command.starts_with(&begin)) {
            return None;
        }
        let code = process.exit_code.map_or(String::new(), |code| format!(" with exit code {code}"));
        let log = agent.process_logs(pid, Some(LINES)).await.unwrap_or_default();
        Some(format!("it has ended{code}{}", said(&log)))
    }

    fn script(&self, step: &str, script: &str) -> ExecRequest {
        ExecRequest::new(format!("{FROM_THE_ROOT}{ONCE}{script}"))
            .env("RUN", format!("{}-{}", self.order.run, self.order.attempt))
            .env("STEP", step)
            .env("NAME", &self.order.app.name)
    }

    async fn run(&self, request: &ExecRequest, reason: Reason, what: &str) -> Result<(), Failure> {
        let agent = self.agent().await?;
        self.leads()?;
        let ended = match agent.exec_whole(request).await {
            Ok(ended) => ended,
            Err(AgentError::Timeout { .. }) => {
                return Err(Failure::lasting(reason, format!("{what}: not done within {} s", request.timeout)));
            }
            Err(error) => return Err(unanswered(reason, &error)),
        };
        match ended.code {
            0 => Ok(()),
            SAID if reason == Reason::SourceFailed => {
                Err(Failure::lasting(reason, format!("{what}{}", said(&ended.stderr))))
            }
            code => {
                let text = [ended.stdout.trim(), &ended.stderr].join("\n");
                Err(Failure::lasting(reason, format!("{what}: exit code {code}{}", said(&text))))
            }
        }
    }
}

fn unanswered(reason: Reason, error: &AgentError) -> Failure {
    match error {
        AgentError::Invalid { detail } => Failure::lasting(reason, detail.clone()),
        other => Failure::passing(other.to_string()),
    }
}

/// The end of what a program wrote, without what is not for a terminal to act on.
fn said(text: &str) -> String {
    let clean: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let clean = clean.trim();
    if clean.is_empty() {
        return String::new();
    }
    let mut start = clean.len().saturating_sub(TOLD);
    while !clean.is_char_boundary(start) {
        start += 1;
    }
    format!(": {}", clean[start..].trim())
}
