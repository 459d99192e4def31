//! Pseudo-terminals: one end for a program, the other for whoever plays the person in front of it.

use nix::fcntl::OFlag;
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{Pid, setsid, tcgetpgrp};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use tokio::io::unix::AsyncFd;

nix::ioctl_write_int_bad!(set_controlling_terminal, nix::libc::TIOCSCTTY);
nix::ioctl_write_ptr_bad!(set_size, nix::libc::TIOCSWINSZ, Winsize);
nix::ioctl_read_bad!(get_size, nix::libc::TIOCGWINSZ, Winsize);

/// The person's end. Dropping it hangs the terminal up.
#[derive(Debug)]
pub struct Master(AsyncFd<File>);

impl Master {
    /// Both ends. No other process that is started meanwhile inherits one: the terminal would never be hung up.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn open() -> io::Result<(Self, File)> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let mut open = OpenOptions::new();
        let slave = open.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(ptsname_r(&master)?)?;
        let master = File::from(OwnedFd::from(master));
        // SAFETY: the descriptor is the file's own, which stays open as long as it is registered.
        Ok((Self(unsafe { AsyncFd::register(master) }?), slave))
    }

    /// What the terminal shows next; 0 bytes when no program holds it open any more. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
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
            let mut ready = self.0.writable().await?;
            if let Ok(written) = ready.try_io(|master| master.get_ref().write(bytes)) {
                bytes = &bytes[written?..];
            }
        }
        Ok(())
    }

    /// Makes it so many characters wide and high; what runs in its foreground gets SIGWINCH.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the descriptor is open and the size lives until the call returns.
        let _ = unsafe { set_size(self.0.as_raw_fd(), &size) };
    }

    /// Neither shows what is typed nor changes what programs write.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn make_plain(&self) -> io::Result<()> {
        let mut settings = tcgetattr(self.0.get_ref())?;
        settings.local_flags.remove(LocalFlags::ECHO);
        settings.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
        settings.output_flags.remove(OutputFlags::OPOST);
        Ok(tcsetattr(self.0.get_ref(), SetArg::TCSANOW, &settings)?)
    }

    /// The process group that a Ctrl-C would reach; none when nobody has the terminal.
    pub fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(self.0.get_ref()).ok().filter(|group| group.as_raw() > 1)
    }
}

/// Columns and rows of a terminal; none when it is no terminal or does not know.
pub fn size_of(terminal: impl AsFd) -> Option<(u16, u16)> {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed and the size lives until the call returns.
    unsafe { get_size(terminal.as_fd().as_raw_fd(), &mut size) }.ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// For a new process, before its program: makes it the leader of a session whose terminal is its standard output.
///
/// # Errors
/// Whatever the operating system says.
///
/// # Safety
/// Only between fork and exec: it changes what signals do in the whole process. All it calls is async-signal-safe.
pub unsafe fn lead() -> io::Result<()> {
    // Who was started in the background or under nohup ignores them, and so would everything below.
    for kind in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM] {
        // SAFETY: no handler is installed, only the default restored.
        unsafe { signal(kind, SigHandler::SigDfl) }?;
    }
    setsid()?;
    // SAFETY: standard output is open, and the call takes a plain number.
    unsafe { set_controlling_terminal(1, 0) }?;
    Ok(())
}

/// The living processes of a session, from `/proc`.
pub fn members(session: Pid) -> Vec<Pid> {
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
