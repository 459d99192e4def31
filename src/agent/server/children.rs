//! The processes below the agent: started as groups, ended as groups, and never left as zombies. What runs in a
//! terminal makes many groups; it is ended as one session.
//!
//! The agent is a child subreaper, so whatever a command leaves behind becomes the agent's own child. That keeps the
//! promise of a clean end (everything below it is killed) and makes it the one who must wait for orphans.

use super::proc;
use crate::pty;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};

/// How long a group may take to end after SIGTERM before SIGKILL.
pub const GRACE: Duration = Duration::from_millis(700);

const POLL: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
struct Table {
    /// Started here and not waited for yet. Anything else that exits below the agent is an orphan.
    live: BTreeSet<i32>,
    /// Those of them that lead a terminal.
    terminals: BTreeSet<i32>,
    stopping: bool,
}

/// What belongs to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Its process group.
    Group,
    /// Every process of its terminal, whatever group a shell has put it into.
    Terminal,
}

impl Reach {
    fn signal(self, leader: Pid, kind: Signal) {
        match self {
            Self::Group => _ = killpg(leader, kind),
            Self::Terminal => pty::members(leader).into_iter().for_each(|process| _ = kill(process, kind)),
        }
    }

    /// Asks for an end.
    fn ask(self, leader: Pid) {
        match self {
            Self::Group => self.signal(leader, Signal::SIGTERM),
            Self::Terminal => {
                // Shells in a terminal ignore SIGTERM, and what is stopped takes no signal.
                self.signal(leader, Signal::SIGHUP);
                self.signal(leader, Signal::SIGCONT);
            }
        }
    }

    fn exists(self, leader: Pid) -> bool {
        match self {
            Self::Group => exists(leader),
            Self::Terminal => !pty::members(leader).is_empty(),
        }
    }
}

/// Starts process groups and cleans up behind them.
#[derive(Debug, Default)]
pub struct Children {
    table: Mutex<Table>,
    die_with_agent: bool,
}

impl Children {
    /// With `die_with_agent`, the shells get SIGKILL even when the agent itself is killed with SIGKILL.
    pub fn new(die_with_agent: bool) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), die_with_agent })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a command as leader of a new process group; none when the agent is stopping.
    ///
    /// # Errors
    /// Whatever the operating system says, such as a working directory that does not exist.
    pub fn spawn(self: &Arc<Self>, command: &mut Command) -> io::Result<Option<Group>> {
        command.process_group(0);
        self.start(command, Reach::Group)
    }

    /// Starts a command as leader of the terminal that its standard output is; none when the agent is stopping.
    ///
    /// # Errors
    /// As [`Self::spawn`].
    pub fn spawn_in_terminal(self: &Arc<Self>, command: &mut Command) -> io::Result<Option<Group>> {
        // SAFETY: it runs between fork and exec only.
        unsafe { command.pre_exec(|| pty::lead()) };
        self.start(command, Reach::Terminal)
    }

    fn start(self: &Arc<Self>, command: &mut Command, reach: Reach) -> io::Result<Option<Group>> {
        if self.die_with_agent {
            // SAFETY: prctl is async-signal-safe and touches nothing but the new process.
            unsafe { command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)) };
        }
        // Held across spawn and insert, so that the reaper never sees a child that is not in the table yet.
        let mut table = self.table();
        if table.stopping {
            return Ok(None);
        }
        let mut child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        table.live.insert(id);
        if reach == Reach::Terminal {
            table.terminals.insert(id);
        }
        drop(table);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Process { id: Pid::from_raw(id), reach, child, children: Arc::clone(self) };
        Ok(Some(Group { stdin, stdout, stderr, process: Some(process) }))
    }

    /// Waits for orphans, for ever. Children in the table are left to whoever started them.
    ///
    /// # Errors
    /// When SIGCHLD cannot be listened to.
    pub async fn reap(self: Arc<Self>) -> io::Result<()> {
        let mut exits = signal(SignalKind::child())?;
        loop {
            while self.reap_once() {
                sleep(POLL).await;
            }
            if exits.recv().await.is_none() {
                return Ok(());
            }
        }
    }

    /// Reaps what it can; true when a child of ours stands in front and the rest must wait until it is gone.
    fn reap_once(&self) -> bool {
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let table = self.table();
        while let Some(pid) = waitid(Id::All, peek).ok().and_then(|status| status.pid()) {
            if table.live.contains(&pid.as_raw()) {
                return true;
            }
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
        false
    }

    /// Refuses new commands, ends every process below the agent, and returns when none is left or `limit` has passed.
    pub async fn end_all(&self, limit: Duration) {
        let terminals = {
            let mut table = self.table();
            table.stopping = true;
            table.terminals.clone()
        };
        let begin = Instant::now();
        for pid in proc::descendants() {
            let _ = kill(pid, Signal::SIGTERM);
        }
        for leader in terminals {
            Reach::Terminal.ask(Pid::from_raw(leader));
        }
        loop {
            let left = proc::descendants();
            if left.is_empty() || begin.elapsed() > limit {
                return;
            }
            if begin.elapsed() > limit.min(GRACE) {
                for pid in left {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
            sleep(POLL).await;
        }
    }
}

#[derive(Debug)]
struct Process {
    id: Pid,
    reach: Reach,
    child: Child,
    children: Arc<Children>,
}

impl Process {
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        let mut table = self.children.table();
        table.live.remove(&self.id.as_raw());
        table.terminals.remove(&self.id.as_raw());
        status
    }

    async fn end(mut self) {
        let (id, reach) = (self.id, self.reach);
        reach.ask(id);
        let gone = async {
            let _ = self.wait().await;
            while reach.exists(id) {
                sleep(POLL).await;
            }
        };
        if timeout(GRACE, gone).await.is_err() {
            reach.signal(id, Signal::SIGKILL);
            let _ = self.wait().await;
        }
    }
}

/// Whether a process group has members. Its id cannot be given to another one while it has.
pub fn exists(group: Pid) -> bool {
    killpg(group, None) != Err(Errno::ESRCH)
}

/// A running command and everything in its process group, or in its terminal.
///
/// Dropping it ends the group in the background: whoever asked for it has gone.
#[derive(Debug)]
pub struct Group {
    /// The pipe to the command's standard input, where one was asked for.
    pub stdin: Option<ChildStdin>,
    /// The pipe from the command's standard output, where one was asked for.
    pub stdout: Option<ChildStdout>,
    /// The pipe from the command's standard error, where one was asked for.
    pub stderr: Option<ChildStderr>,
    process: Option<Process>,
}

impl Group {
    /// The id of the leader and of the group.
    pub fn id(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| process.id)
    }

    /// Waits for the leader. Cancel-safe.
    ///
    /// # Errors
    /// When the operating system cannot say how it ended.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.process {
            Some(process) => process.wait().await,
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Ends the group: SIGTERM, or SIGHUP in a terminal, and SIGKILL for what is left after [`GRACE`].
    pub async fn end(mut self) {
        if let Some(process) = self.process.take() {
            process.end().await;
        }
    }

    /// Lets what the leader has left in the background live on, as a shell would.
    pub fn release(mut self) {
        self.process = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Without a runtime the agent itself is ending, and has ended everything below it.
        if let (Some(process), Ok(runtime)) = (self.process.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(process.end());
        }
    }
}
