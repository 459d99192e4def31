//! Apps as real processes: one agent in a folder of its own per app.

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

/// How long a process may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long a process may take to end when asked; its agent needs 2 s at most.
const END_LIMIT: Duration = Duration::from_secs(4);

/// What an agent prints before its address.
const ANNOUNCEMENT: &str = "listening on ";

type Output = Lines<BufReader<ChildStdout>>;

/// Why an app's process does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot start {program} in {folder}")]
    Start {
        program: PathBuf,
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the process did not say where it listens; it wrote: {0}")]
    Silent(String),
}

/// One process, from its start until it has ended.
#[derive(Debug, Clone)]
struct Process {
    group: Pid,
    ended: CancellationToken,
}

impl Process {
    /// Signals the whole group, unless its leader is known to have ended.
    fn signal(&self, signal: Signal) {
        if !self.ended.is_cancelled() {
            // An error means that it ended a moment ago.
            let _ = killpg(self.group, signal);
        }
    }
}

/// The processes of all apps.
#[derive(Debug)]
pub struct Processes {
    program: PathBuf,
    /// One folder per app lies here.
    folder: PathBuf,
    running: Mutex<HashMap<String, Process>>,
    /// Cancelled when all are ended: consoles go with them.
    pub ending: CancellationToken,
    /// A process that starts late, while all are ended, is ended too.
    stopped: AtomicBool,
    /// Keeps the folder when there is no other place for it.
    _scratch: Option<TempDir>,
}

impl Processes {
    /// Apps run `program`, below `folder` or below a folder of their own.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(program: Option<PathBuf>, folder: Option<&Path>) -> io::Result<Self> {
        let program = program.map_or_else(std::env::current_exe, Ok)?;
        let (folder, scratch) = match folder {
            Some(folder) => (folder.join("apps"), None),
            None => {
                let scratch = tempfile::Builder::new().prefix("sandbar-cloudsim-").tempdir()?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        std::fs::create_dir_all(&folder)?;
        let folder = folder.canonicalize()?;
        Ok(Self {
            program,
            folder,
            running: Mutex::default(),
            ending: CancellationToken::new(),
            stopped: AtomicBool::new(false),
            _scratch: scratch,
        })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Process>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes an app's files.
    pub fn wipe(&self, app: &str) {
        let _ = std::fs::remove_dir_all(self.folder.join(app));
    }

    /// Starts an app's process, at its earlier address if that is still free,
    /// and gives its address.
    ///
    /// # Errors
    /// When it does not start, or does not say where it listens.
    pub async fn start(
        self: &Arc<Self>,
        app: &str,
        environment: &BTreeMap<String, String>,
        earlier: Option<&str>,
    ) -> Result<String, ProcessError> {
        let place = earlier.and_then(|url| url.strip_prefix("http://"));
        if let Some(place) = place
            && let Ok(url) = self.start_at(app, environment, place).await
        {
            return Ok(url);
        }
        self.start_at(app, environment, "127.0.0.1:0").await
    }

    async fn start_at(
        self: &Arc<Self>,
        app: &str,
        environment: &BTreeMap<String, String>,
        place: &str,
    ) -> Result<String, ProcessError> {
        let root = self.folder.join(app);
        let failed = |source| ProcessError::Start { program: self.program.clone(), folder: root.clone(), source };
        std::fs::create_dir_all(&root).map_err(failed)?;
        let log_path = self.folder.join(format!("{app}.log"));
        let log = std::fs::File::create(&log_path).map_err(failed)?;
        let mut child = Command::new(&self.program)
            .args(["agent", "--listen", place, "--root"])
            .arg(&root)
            .args(["--exit-with-parent", "--shared-ports"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &root)
            .envs(environment)
            .current_dir(&root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let announced = tokio::time::timeout(START_LIMIT, announced(&mut child)).await.ok().flatten();
        let Some((url, output)) = announced else {
            let _ = child.kill().await;
            let words = std::fs::read_to_string(&log_path).unwrap_or_default();
            return Err(ProcessError::Silent(words.lines().next().unwrap_or("nothing").to_owned()));
        };
        self.watch(app, child, output);
        Ok(url)
    }

    /// Knows the process until it has ended.
    fn watch(self: &Arc<Self>, app: &str, mut child: Child, mut output: Output) {
        let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
        let process = Process { group: Pid::from_raw(id), ended: CancellationToken::new() };
        self.running().insert(app.to_owned(), process.clone());
        if self.stopped.load(Ordering::SeqCst) {
            process.signal(Signal::SIGKILL);
        }
        let (all, app) = (Arc::downgrade(self), app.to_owned());
        tokio::spawn(async move {
            // Read on, or a process that says more would fail at it.
            let read = tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
            let _ = child.wait().await;
            read.abort();
            process.ended.cancel();
            if let Some(all) = all.upgrade() {
                let mut running = all.running();
                if running.get(&app).is_some_and(|current| current.group == process.group) {
                    running.remove(&app);
                }
            }
        });
    }

    /// The app's folder; commands find in it what they find in the folders of a container.
    pub fn root(&self, app: &str) -> PathBuf {
        self.folder.join(app)
    }

    /// Whether the app's process runs.
    pub fn runs(&self, app: &str) -> bool {
        self.running().contains_key(app)
    }

    /// Sends a signal to everything the app started directly.
    pub fn signal(&self, app: &str, signal: Signal) {
        if let Some(process) = self.running().get(app) {
            process.signal(signal);
        }
    }

    /// Stops an app's process where it is, and waits until every thread of it stands.
    pub async fn freeze(&self, app: &str) {
        let Some(process) = self.running().get(app).cloned() else { return };
        process.signal(Signal::SIGSTOP);
        // Without WEXITED this takes no exit status away from who waits for it.
        let stands = || waitid(Id::Pid(process.group), WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG);
        while !process.ended.is_cancelled() && matches!(stands(), Ok(WaitStatus::StillAlive)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends an app's process and waits until it has.
    pub async fn end(&self, app: &str) {
        let Some(process) = self.running().get(app).cloned() else { return };
        end(&process).await;
    }

    /// Ends all processes and waits until they have.
    pub async fn end_all(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ending.cancel();
        let all: Vec<Process> = self.running().values().cloned().collect();
        futures::future::join_all(all.iter().map(end)).await;
    }

    /// Ends all processes without waiting: for when nothing can be awaited.
    pub fn kill_all(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.ending.cancel();
        for process in self.running().values() {
            process.signal(Signal::SIGKILL);
        }
    }
}

async fn end(process: &Process) {
    // A stopped process takes no other signal before it goes on.
    process.signal(Signal::SIGTERM);
    process.signal(Signal::SIGCONT);
    if tokio::time::timeout(END_LIMIT, process.ended.cancelled()).await.is_err() {
        process.signal(Signal::SIGKILL);
        process.ended.cancelled().await;
    }
}

/// The address from the first line that tells it; none if the process ends first.
async fn announced(child: &mut Child) -> Option<(String, Output)> {
    let mut lines = BufReader::new(child.stdout.take()?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(url) = line.strip_prefix(ANNOUNCEMENT) {
            return Some((url.trim().to_owned(), lines));
        }
    }
    None
}
