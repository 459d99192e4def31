//! The life of the daemon: start, serve, and end with nothing left behind.

use super::auth::Token;
use super::children::Children;
use super::processes::Processes;
use super::roots::Roots;
use super::sessions::Sessions;
use super::shared_ports::SharedPorts;
use super::terminal::MAX_TERMINALS;
use super::{Agent, router};
use axum::serve::ListenerExt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Everything below the agent is gone this long after it was asked to stop, by force if need be.
const STOP: Duration = Duration::from_millis(1500);

/// How long answers may take to leave after that.
const LINGER: Duration = Duration::from_millis(300);

/// What one agent is started with.
#[derive(Debug)]
pub struct Config {
    /// None: only `/health` works.
    pub token: Option<Token>,
    /// Shown in `/health`.
    pub mode: String,
    /// A folder to hold the sandbox's `/workspace`, `/home/sandbox` and `/tmp`, where those are not the machine's own.
    pub root: Option<PathBuf>,
    /// Silence on a stream before a heartbeat comment is sent.
    pub heartbeat: Duration,
    /// Silence of an app before the head of its answer, after which a proxied request is given up.
    pub answer_limit: Duration,
    /// Whether commands must end even when the agent is killed without a chance to clean up.
    pub die_with_agent: bool,
    /// Whether other sandboxes use the same ports: PORT of a program is a free one then, which stands for the one asked
    /// for.
    pub shared_ports: bool,
}

/// An agent that is ready to serve.
#[derive(Debug)]
pub struct Server {
    agent: Agent,
}

impl Server {
    /// Makes the sandbox's folders and takes charge of every process that will be below this one. It also waits for
    /// children that it did not start: the process must have no other use for its children.
    ///
    /// # Errors
    /// When the folders cannot be made, or the operating system refuses what the agent needs.
    pub fn new(config: Config) -> io::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        let agent = Agent {
            token: config.token,
            mode: config.mode,
            heartbeat: config.heartbeat,
            answer_limit: config.answer_limit,
            port: 0,
            roots: Roots::new(config.root.as_deref())?,
            children: Children::new(config.die_with_agent),
            processes: Processes::default(),
            sessions: Sessions::default(),
            terminals: Arc::new(Semaphore::new(MAX_TERMINALS)),
            shared_ports: SharedPorts::new(config.shared_ports),
        };
        Ok(Self { agent })
    }

    /// Serves until `stop` is cancelled, then ends every process below the agent; takes at most 2 s for that.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(mut self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        self.agent.port = listener.local_addr()?.port();
        let children = Arc::clone(&self.agent.children);
        let reaper = tokio::spawn(Arc::clone(&children).reap());
        // Small frames must not wait for each other.
        let listener = listener.tap_io(|connection| _ = connection.set_nodelay(true));
        let graceful =
            axum::serve(listener, router(Arc::new(self.agent))).with_graceful_shutdown(stop.clone().cancelled_owned());
        // A task of its own: while commands are being ended, their answers still reach their clients.
        let mut server = AbortOnDropHandle::new(tokio::spawn(graceful.into_future()));
        tokio::select! {
            biased;
            // First: asked to stop, an idle server may have ended already, and what is below the agent has not.
            () = stop.cancelled() => {}
            ended = &mut server => return ended?,
        }
        children.end_all(STOP).await;
        let _ = tokio::time::timeout(LINGER, server).await;
        reaper.abort();
        Ok(())
    }
}
