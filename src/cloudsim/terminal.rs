//! A shell in a terminal of its own, as the console of an app with a process has it.

use nix::fcntl::OFlag;
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::{Pid, setsid};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long what runs in the terminal may take to end once it is hung up; busy machines are slow to clean up.
const HANG_UP: Duration = Duration::from_secs(10);

nix::ioctl_write_int_bad!(set_controlling_terminal, nix::libc::TIOCSCTTY);
nix::ioctl_write_ptr_bad!(set_size, nix::libc::TIOCSWINSZ, Winsize);

/// An open terminal. Dropping it ends everything in its session.
#[derive(Debug)]
pub struct Terminal {
    /// None once it is hung up.
    master: Option<AsyncFd<File>>,
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
        let (master, slave) = pair()?;
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
        // SAFETY: signal, setsid and ioctl are async-signal-safe and touch nothing but the new process.
        unsafe {
            command.pre_exec(|| {
                // Who was started in the background ignores them, and so would everything below.
                signal(Signal::SIGINT, SigHandler::SigDfl)?;
                signal(Signal::SIGQUIT, SigHandler::SigDfl)?;
                setsid()?;
                set_controlling_terminal(0, 0)?;
                Ok(())
            });
        }
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: the descriptor is the file's own, which stays open as long as it is registered.
        let master = unsafe { AsyncFd::register(master) }?;
        Ok(Self { master: Some(master), child, session: Session(Pid::from_raw(id)) })
    }

    fn master(&self) -> io::Result<&AsyncFd<File>> {
        self.master.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// What it shows next; 0 bytes when nobody holds it open any more. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master()?.readable().await?;
            match ready.try_io(|master| master.get_ref().read(buffer)) {
                // How Linux says that the other end is closed.
                Ok(Err(error)) if error.raw_os_error() == Some(nix::libc::EIO) => return Ok(0),
                Ok(result) => return result,
                Err(_would_block) => {}
            }
        }
    }

    /// Types this.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.master()?.writable().await?;
            if let Ok(written) = ready.try_io(|master| master.get_ref().write(bytes)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }

    /// Makes it so many characters wide and high.
    pub fn resize(&self, width: u16, height: u16) {
        let size = Winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        if let Ok(master) = self.master() {
            // SAFETY: the descriptor is open and the size lives until the call returns.
            let _ = unsafe { set_size(master.as_raw_fd(), &size) };
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

/// Both ends of a terminal. No other process that is started meanwhile may inherit one: it would never be hung up.
fn pair() -> io::Result<(File, File)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave =
        OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(ptsname_r(&master)?)?;
    Ok((File::from(OwnedFd::from(master)), slave))
}

/// The processes of a session, from `/proc`.
fn members(session: Pid) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let of = |id: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name, in brackets, may hold anything; after it come state, parent, group, session.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        Some(state != "Z" && fields.nth(2)?.parse() == Ok(session.as_raw()))
    };
    ids.filter(|id| of(id) == Some(true)).map(Pid::from_raw).collect()
}
