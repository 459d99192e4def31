//! One session: a shell in a terminal, and the way to give it a command.

use super::screen::{Screen, Stage};
use super::typed::Words;
use crate::agent::server::children::{GRACE, Group};
use crate::agent::server::problem::Problem;
use crate::agent::server::{Agent, clock};
use crate::agent::wire::{ProcessStatus, SessionInfo, SessionOutput, SessionRequest};
use crate::pty::Master;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What programs are told about a terminal that nobody looks at: columns and rows.
const SIZE: (u16, u16) = (80, 24);
/// How long a terminal whose programs have ended may take to show the rest.
const REST: Duration = Duration::from_secs(1);
/// How long a shell may take to begin with what is typed, on a busy machine, before it counts as stopped.
const ATTENTION: Duration = Duration::from_secs(4);
/// How often an interrupted command is killed before the shell is given up: a script may go on with its next line, and
/// a busy machine is slow to start it.
const KILLS: usize = 20;
/// How long each of them may take.
const KILL: Duration = Duration::from_millis(200);

/// Whether the shell lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Running,
    /// Everything in the terminal has ended; the shell's exit code where it has one.
    Over(Option<i32>),
}

/// A shell that takes one command after the other.
#[derive(Debug)]
pub struct Session {
    request: SessionRequest,
    created_at: f64,
    shell: Pid,
    /// Gone when the terminal is.
    terminal: Weak<Master>,
    screen: Arc<Screen>,
    lines: Arc<Mutex<ChildStdin>>,
    hang_up: CancellationToken,
    life: watch::Receiver<Life>,
}

/// The right to give the session a command.
#[derive(Debug)]
pub struct Turn {
    session: Arc<Session>,
    lines: OwnedMutexGuard<ChildStdin>,
    /// Whether all of the command is typed.
    typed: bool,
    /// Whether the line that says the end once more is typed.
    closed: bool,
}

/// How waiting for a command ended.
enum End {
    /// By itself.
    Exit(i32),
    /// With the shell.
    Shell,
    /// It has not.
    Patience,
}

impl Session {
    /// Starts a shell.
    pub fn start(agent: &Agent, request: SessionRequest) -> Result<Self, Problem> {
        let no_terminal = |source| Problem::Io { what: "cannot make a terminal", source };
        let (terminal, programs) = Master::open().map_err(no_terminal)?;
        terminal.make_plain().map_err(no_terminal)?;
        terminal.resize(SIZE.0, SIZE.1);
        let mut group = agent.launcher().session(&request, programs)?;
        let (Some(shell), Some(lines)) = (group.id(), group.stdin.take()) else {
            return Err(Problem::Io { what: "cannot start the shell", source: io::ErrorKind::NotFound.into() });
        };
        let (terminal, screen, hang_up) = (Arc::new(terminal), Arc::<Screen>::default(), CancellationToken::new());
        let (over, life) = watch::channel(Life::Running);
        let weak = Arc::downgrade(&terminal);
        tokio::spawn(live(group, terminal, Arc::clone(&screen), hang_up.clone(), over));
        let (created_at, lines) = (clock::now(), Arc::new(Mutex::new(lines)));
        Ok(Self { request, created_at, shell, terminal: weak, screen, lines, hang_up, life })
    }

    /// The shell's process id.
    pub fn pid(&self) -> i32 {
        self.shell.as_raw()
    }

    /// Whether the shell lives.
    pub fn status(&self) -> ProcessStatus {
        if *self.life.borrow() == Life::Running { ProcessStatus::Running } else { ProcessStatus::Stopped }
    }

    /// As it is told.
    pub fn info(&self, agent: &Agent) -> SessionInfo {
        let status = self.status();
        let running = status == ProcessStatus::Running;
        let here = || std::fs::read_link(format!("/proc/{}/cwd", self.shell)).ok();
        let cwd = running.then(here).flatten().map(|host| agent.roots.sandbox(&host).to_string_lossy().into_owned());
        SessionInfo {
            session_id: self.request.session_id.clone(),
            pid: self.pid(),
            cwd: cwd.unwrap_or_else(|| self.request.cwd.clone()),
            env: self.request.env.clone().unwrap_or_default(),
            status,
            created_at: self.created_at,
        }
    }

    /// The right to the next command. One at a time: a command in a queue would wait unseen behind a stranger's
    /// time-out, and who has sent it may be gone by then.
    pub fn turn(self: Arc<Self>) -> Result<Turn, Problem> {
        let id = &self.request.session_id;
        if self.status() == ProcessStatus::Stopped {
            let what = format!("the shell of session {id:?} has ended: DELETE /api/sessions/{id}, then make it again");
            return Err(Problem::Bad(what));
        }
        let lines = Arc::clone(&self.lines).try_lock_owned().map_err(|_| {
            Problem::Busy(format!("session {id:?} runs another command: wait for its end, or use another session"))
        })?;
        Ok(Turn { session: self, lines, typed: false, closed: false })
    }

    /// Ends the shell and everything in its terminal; returns when they are gone.
    pub async fn close(&self) {
        self.hang_up.cancel();
        let _ = self.life.clone().wait_for(|life| *life != Life::Running).await;
    }
}

impl Turn {
    /// Runs a command; when its time is over, or when `gone` is cancelled, it is ended and the session goes on.
    pub async fn run(mut self, command: String, limit: Duration, gone: CancellationToken) -> SessionOutput {
        let session = Arc::clone(&self.session);
        let words = Words::new();
        let mut stage = session.screen.expect(&words);
        let deadline = tokio::time::Instant::now() + limit;
        let end = tokio::select! {
            biased;
            end = self.follow(&words, &command, &mut stage) => end,
            () = sleep_until(deadline) => End::Patience,
            () = gone.cancelled() => End::Patience,
        };
        let (exit_code, timed_out) = match end {
            End::Exit(code) => (Some(code), false),
            End::Shell => (self.shells_code(), false),
            End::Patience => {
                if !self.interrupt(&words, &mut stage).await {
                    session.close().await;
                }
                (None, true)
            }
        };
        let (output, status) = (session.screen.take(), session.status());
        SessionOutput { output, exit_code, timed_out, status }
    }

    /// Types the command and waits for its end.
    async fn follow(&mut self, words: &Words, command: &str, stage: &mut watch::Receiver<Stage>) -> End {
        let mut life = self.session.life.clone();
        let through = async {
            self.lines.write_all(words.command(command).as_bytes()).await.ok()?;
            self.typed = true;
            stage.wait_for(|stage| *stage != Stage::Waiting).await.ok()?;
            self.lines.write_all(words.after().as_bytes()).await.ok()?;
            self.closed = true;
            ended(stage).await
        };
        // The shell's end counts when nothing else does: its last words may be those that are waited for.
        let over = life.wait_for(|life| *life != Life::Running);
        tokio::select! {
            biased;
            Some(code) = through => End::Exit(code),
            _ = over => match *stage.borrow() {
                Stage::Ended(code) => End::Exit(code),
                Stage::Waiting | Stage::Begun => End::Shell,
            },
        }
    }

    fn shells_code(&self) -> Option<i32> {
        match *self.session.life.borrow() {
            Life::Over(code) => code,
            Life::Running => None,
        }
    }

    /// Ctrl-C; then SIGKILL for whatever has the terminal. False when the shell itself does not listen.
    async fn interrupt(&mut self, words: &Words, stage: &mut watch::Receiver<Stage>) -> bool {
        // Half a line cannot be taken back, and a shell that takes up nothing was stopped itself.
        let begun = stage.wait_for(|stage| *stage != Stage::Waiting);
        if !self.typed || timeout(ATTENTION, begun).await.is_err() {
            return false;
        }
        self.signal(false);
        if !self.closed && self.lines.write_all(words.after().as_bytes()).await.is_err() {
            return false;
        }
        let mut over = timeout(GRACE, ended(stage)).await.is_ok();
        for _ in 0..KILLS {
            if over {
                break;
            }
            self.signal(true);
            over = timeout(KILL, ended(stage)).await.is_ok();
        }
        // A program that was killed may have left the terminal in its own way.
        over && self.session.terminal.upgrade().is_some_and(|terminal| terminal.make_plain().is_ok())
    }

    fn signal(&self, kill: bool) {
        let foreground = self.session.terminal.upgrade().and_then(|terminal| terminal.foreground());
        if let Some(group) = foreground {
            let shell = group == self.session.shell;
            let _ = killpg(group, if kill && !shell { Signal::SIGKILL } else { Signal::SIGINT });
        }
    }
}

async fn ended(stage: &mut watch::Receiver<Stage>) -> Option<i32> {
    match *stage.wait_for(|stage| matches!(stage, Stage::Ended(_))).await.ok()? {
        Stage::Ended(code) => Some(code),
        Stage::Waiting | Stage::Begun => None,
    }
}

/// The shell's life: until it ends or is hung up. What it leaves in its terminal ends with it.
async fn live(
    mut group: Group,
    terminal: Arc<Master>,
    screen: Arc<Screen>,
    hang_up: CancellationToken,
    over: watch::Sender<Life>,
) {
    let mut reader = tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = terminal.read(&mut buffer).await {
            screen.show(&buffer[..read]);
        }
    });
    let code = tokio::select! {
        status = group.wait() => status.ok().and_then(|status| status.code()),
        () = hang_up.cancelled() => None,
    };
    group.end().await;
    // Who has left the terminal for a session of its own may still hold it open, and has lost it now.
    if timeout(REST, &mut reader).await.is_err() {
        reader.abort();
    }
    over.send_replace(Life::Over(code));
}
