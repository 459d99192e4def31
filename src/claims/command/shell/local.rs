//! The person's own terminal: raw while it is lent to a sandbox, and certainly given back.

use nix::sys::signal::Signal;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io::{self, Read};
use std::sync::{Mutex, Once, PoisonError};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;

/// As the terminal was. Not in [`Raw`] alone: a panic may end the process without dropping anything.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// While this lives the terminal on standard input passes every key on as it is.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Makes the terminal raw.
    ///
    /// # Errors
    /// When standard input is none.
    pub fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                told(panic);
            }));
        });
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let entered = Self(());
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(entered)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // A panic in between would wait for ever.
    let before = BEFORE.try_lock().ok().and_then(|mut before| before.take());
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &before);
    }
}

/// What comes on standard input.
#[derive(Debug)]
pub struct Keys(mpsc::Receiver<Vec<u8>>);

impl Keys {
    /// Reads on a thread of its own, which nobody waits for: the end of the program must not wait for a key.
    pub fn read() -> Self {
        let (sender, receiver) = mpsc::channel(16);
        std::thread::spawn(move || {
            let mut buffer = [0; 8 * 1024];
            while let Ok(read @ 1..) = io::stdin().lock().read(&mut buffer) {
                if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    /// The next bytes; none at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }
}

/// Signals that ask the program to end, so that it ends with its terminal given back.
#[derive(Debug)]
pub struct Ending([(Signal, unix::Signal); 4]);

impl Ending {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the operating system does not let it.
    pub fn listen() -> io::Result<Self> {
        let listen = |number: Signal| Ok::<_, io::Error>((number, signal(SignalKind::from_raw(number as i32))?));
        Ok(Self([listen(Signal::SIGTERM)?, listen(Signal::SIGHUP)?, listen(Signal::SIGINT)?, listen(Signal::SIGQUIT)?]))
    }

    /// The number of the one that has come.
    pub async fn received(&mut self) -> i32 {
        let [one, two, three, four] = &mut self.0;
        let number = tokio::select! {
            _ = one.1.recv() => one.0,
            _ = two.1.recv() => two.0,
            _ = three.1.recv() => three.0,
            _ = four.1.recv() => four.0,
        };
        number as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pty::Master;
    use nix::sys::termios::LocalFlags;
    use std::process::Command;

    #[test]
    #[ignore = "panics: a_panic_gives_the_terminal_back runs it in a terminal of its own"]
    fn panics_while_raw() {
        // Nothing is dropped, as in a build where a panic aborts.
        std::mem::forget(Raw::enter().expect("a terminal"));
        let raw = !tcgetattr(io::stdin()).expect("settings").local_flags.contains(LocalFlags::ICANON);
        panic!("while raw: {raw}");
    }

    #[tokio::test]
    async fn a_panic_gives_the_terminal_back() {
        let (_master, terminal) = Master::open().expect("a terminal");
        let name = format!("{}::panics_while_raw", module_path!().split_once("::").expect("a crate").1);
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--ignored", "--exact", &name]).stdin(terminal.try_clone().expect("its other end"));
        let output = command.output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("while raw: true"), "{told}");
        let flags = tcgetattr(&terminal).expect("settings").local_flags;
        assert!(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{flags:?}");
    }
}
