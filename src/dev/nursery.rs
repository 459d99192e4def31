//! Child processes that cannot outlive this one.
//!
//! Every child is told by the kernel to die when the *thread* that forked it
//! ends (Linux `PR_SET_PDEATHSIG`). So all of them are forked by one thread,
//! the nursery, which lives as long as the process: a `SIGKILL` of this
//! process, or a panic in any other thread, leaves no child behind. On other
//! systems only the orderly ways (drop, [`Child::stop`]) end them.

use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

/// A child process in a process group of its own, with its output in a log
/// file. Dropping it kills the whole group and waits until it is gone.
#[derive(Debug)]
pub struct Child {
    name: String,
    pid: Pid,
    log: PathBuf,
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<ExitStatus>>,
}

#[derive(Debug)]
struct Shared {
    process: Mutex<Process>,
    gone: Condvar,
}

#[derive(Debug)]
struct Process {
    handle: std::process::Child,
    status: Option<ExitStatus>,
}

impl Shared {
    // A poisoned lock still guards a valid process handle.
    fn lock(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    /// Starts `command` with its standard output and error appended to `log`
    /// and nothing on its standard input.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub async fn spawn(name: &str, mut command: Command, log: &Path) -> io::Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        die_with_parent(&mut command);
        let handle = fork_in_nursery(command).await?;
        let pid = Pid::from_raw(i32::try_from(handle.id()).map_err(io::Error::other)?);
        let shared = Arc::new(Shared { process: Mutex::new(Process { handle, status: None }), gone: Condvar::new() });
        let (publish, exit) = watch::channel(None);
        let waiter = Arc::clone(&shared);
        std::thread::Builder::new().name(format!("wait {name}")).spawn(move || reap(pid, &waiter, &publish))?;
        Ok(Self { name: name.to_owned(), pid, log: log.to_owned(), shared, exit })
    }

    /// The name given at the start, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, also the id of its process group.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Where its standard output and error go.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.shared.lock().status
    }

    /// Waits until the process has ended and says how.
    pub async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await.map(|status| *status) {
            Ok(Some(status)) => status,
            // The waiter publishes before it goes, so this is a process whose
            // status could not be read: treat it as killed.
            _ => ExitStatus::from_raw(Signal::SIGKILL as i32),
        }
    }

    /// Sends `signal` to the process and everything in its group. Does
    /// nothing when it has ended: its id may belong to somebody else by then.
    pub fn signal(&self, signal: Signal) {
        let process = self.shared.lock();
        if process.status.is_none() {
            let _ = killpg(self.pid, signal);
        }
    }

    /// Asks the process to end (SIGTERM), kills it after `grace`, and waits
    /// until it is gone.
    pub async fn stop(&self, grace: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        if let Ok(status) = tokio::time::timeout(grace, self.wait()).await {
            return status;
        }
        self.signal(Signal::SIGKILL);
        self.wait().await
    }

    /// Kills the process (SIGKILL) and waits until it is gone.
    pub async fn kill(&self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.wait().await
    }

    /// The last `lines` lines it has written.
    pub fn tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let mut process = self.shared.lock();
        while process.status.is_none() {
            process = self.shared.gone.wait(process).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The last `lines` lines of a file, or why it cannot be read.
pub fn tail(file: &Path, lines: usize) -> String {
    match std::fs::read(file) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({} cannot be read: {error})", file.display()),
    }
}

/// Waits for the end without reaping, so that the id stays taken until the
/// status is stored: nobody can signal a stranger.
fn reap(pid: Pid, shared: &Shared, publish: &watch::Sender<Option<ExitStatus>>) {
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let mut process = shared.lock();
    // Grandchildren that are still in the group go with it.
    let _ = killpg(pid, Signal::SIGKILL);
    let status = process.handle.wait().unwrap_or_else(|_| ExitStatus::from_raw(Signal::SIGKILL as i32));
    process.status = Some(status);
    shared.gone.notify_all();
    publish.send_replace(Some(status));
}

type Birth = (Command, tokio::sync::oneshot::Sender<io::Result<std::process::Child>>);

async fn fork_in_nursery(command: Command) -> io::Result<std::process::Child> {
    static NURSERY: OnceLock<Sender<Birth>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (send, births) = channel::<Birth>();
        std::thread::spawn(move || {
            for (mut command, reply) in births {
                if let Err(Ok(mut unwanted)) = reply.send(command.spawn()) {
                    let _ = unwanted.kill();
                    let _ = unwanted.wait();
                }
            }
        });
        send
    });
    let (reply, born) = tokio::sync::oneshot::channel();
    let closed = || io::Error::other("the thread that starts processes has ended");
    nursery.send((command, reply)).map_err(|_| closed())?;
    born.await.map_err(|_| closed())?
}

/// Makes the process end with the thread that starts it, however that ends (on Linux).
#[cfg(target_os = "linux")]
pub fn die_with_parent(command: &mut Command) {
    let parent = Pid::this();
    let set = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above took effect.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: only two system calls between fork and exec, nothing allocates.
    unsafe { command.pre_exec(set) };
}

/// Makes the process end with the thread that starts it, where the system can do that.
#[cfg(not(target_os = "linux"))]
pub fn die_with_parent(_command: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn alive(pid: i32) -> bool {
        nix::sys::signal::kill(Pid::from_raw(pid), None).is_ok()
    }

    #[tokio::test]
    async fn a_dropped_child_is_gone_when_drop_returns() {
        let dir = tempfile::tempdir().unwrap();
        let child = Child::spawn("sleeper", shell("exec sleep 600"), &dir.path().join("log")).await.unwrap();
        let pid = child.pid();
        assert!(alive(pid));
        drop(child);
        assert!(!alive(pid));
    }

    #[tokio::test]
    async fn stop_kills_what_ignores_the_polite_signal() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let child = Child::spawn("stubborn", shell("trap '' TERM; echo up; while :; do sleep 1; done"), &log).await;
        let child = child.unwrap();
        while !child.tail(1).contains("up") {
            tokio::task::yield_now().await;
        }
        let status = child.stop(Duration::from_millis(50)).await;
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
    }

    #[tokio::test]
    async fn the_exit_code_and_the_last_lines_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let child = Child::spawn("brief", shell("echo one; echo two >&2; exit 7"), &dir.path().join("log")).await;
        let child = child.unwrap();
        assert_eq!(child.wait().await.code(), Some(7));
        assert_eq!(child.tail(1), "two");
        assert_eq!(child.tail(9), "one\ntwo");
    }

    #[tokio::test]
    async fn a_child_survives_the_thread_that_asked_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let child = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(Child::spawn("orphan of a thread", shell("read x; exec sleep 600"), &log)).unwrap()
        })
        .join()
        .unwrap();
        // `read` fails at once on the empty input, so the shell is in `sleep`
        // or on its way there: either way it must still be running.
        assert!(tokio::time::timeout(Duration::from_millis(200), child.wait()).await.is_err());
    }
}
