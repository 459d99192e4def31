//! A shell in a terminal of its own, as the console of an app with a process has it.

use crate::pty::{self, Master, members};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long what runs in the terminal may take to end once it is hung up; busy machines are slow to clean up.
const HANG_UP: Duration = Duration::from_secs(10);

/// An open terminal. Dropping it ends everything in its session.
#[derive(Debug)]
pub struct Terminal {
    /// None once it is hung up.
    master: Option<Master>,
    child: Child,
    session: Session,
}

/// The processes of a terminal, killed when this is dropped.
#[derive(Debug)]
struct Session(Pid);

impl Drop for Session {
    fn drop(&mut self) {
        for process in members(self.0) {
            let _ = kill(process, Signal::SIGKILL);
        }
    }
}

impl Terminal {
    /// Starts `sh` in it, in this folder with this environment.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn open(folder: &Path, environment: &BTreeMap<String, String>) -> io::Result<Self> {
        let (master, slave) = Master::open()?;
        let mut command = Command::new("sh");
        command
            .arg("-i")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm")
            .envs(environment)
            .current_dir(folder)
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave)
            .kill_on_drop(true);
        // SAFETY: it runs between fork and exec only.
        unsafe { command.pre_exec(|| pty::lead()) };
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { master: Some(master), child, session: Session(Pid::from_raw(id)) })
    }

    fn master(&self) -> io::Result<&Master> {
        self.master.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// What it shows next; 0 bytes when nobody holds it open any more. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.master()?.read(buffer).await
    }

    /// Types this.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.master()?.write(bytes).await
    }

    /// Makes it so many characters wide and high.
    pub fn resize(&self, width: u16, height: u16) {
        if let Ok(master) = self.master() {
            master.resize(width, height);
        }
    }

    /// Hangs up, gives what runs in it a moment, and ends the rest.
    pub async fn end(mut self) {
        self.master = None;
        let gone = async {
            let _ = self.child.wait().await;
            while !members(self.session.0).is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout(HANG_UP, gone).await;
    }
}
