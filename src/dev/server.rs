//! A program of ours as a child process that serves HTTP and says at `/readyz` when it can be used.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokio::time::Instant;

use super::nursery::Child;
use super::ports;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// More than one needs to finish what it does.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Starts when others take the ports that were free a moment before.
const TRIES: u32 = 5;

/// How it is started.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The `sandbar` program.
    pub program: PathBuf,
    /// Kubeconfig of its identity.
    pub kubeconfig: PathBuf,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(String, String)>,
    /// Its log, appended to.
    pub log: PathBuf,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It could not be started.
    #[error("cannot start the {name}")]
    Spawn {
        /// What was to run.
        name: String,
        /// The cause.
        source: std::io::Error,
    },
    /// It ended instead of getting ready.
    #[error("the {name} ended before it was ready ({status}); the last lines of {log}:\n{tail}")]
    Ended {
        /// What was to run.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
    /// It does not get ready.
    #[error("the {name} was not ready within {} s; /readyz: {last}; the last lines of {log}:\n{tail}", READY_WITHIN.as_secs())]
    Late {
        /// What was to run.
        name: String,
        /// What `/readyz` answered last.
        last: String,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    ports: Vec<u16>,
}

impl Server {
    /// Starts `program` with what `arguments` makes of so many free ports, without waiting for it. `/readyz` is on the
    /// first of them.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn(
        name: &str,
        options: &ServerOptions,
        ports: usize,
        arguments: impl Fn(&[u16]) -> Vec<String>,
    ) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Spawn { name: name.to_owned(), source };
        let ports = (0..ports).map(|_| ports::free()).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mut command = Command::new(&options.program);
        command
            .args(arguments(&ports))
            .args(&options.arguments)
            .env("KUBECONFIG", &options.kubeconfig)
            .envs(options.environment.iter().map(|(name, value)| (name, value)));
        Ok(Self { child: Child::spawn(name, command, &options.log).await.map_err(failed)?, ports })
    }

    /// Starts it and waits until `/readyz` says so, on other ports if somebody took the first ones.
    ///
    /// # Errors
    /// When it cannot be started or does not get ready.
    pub async fn start(
        name: &str,
        options: &ServerOptions,
        ports: usize,
        arguments: impl Fn(&[u16]) -> Vec<String>,
    ) -> Result<Self, ServerError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let server = Self::spawn(name, options, ports, &arguments).await?;
            match server.wait_until_ready().await {
                Ok(()) => return Ok(server),
                Err(ServerError::Ended { .. })
                    if tries < TRIES && server.ports.iter().any(|port| ports::taken(*port)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it ends first or does not get ready in time.
    pub async fn wait_until_ready(&self) -> Result<(), ServerError> {
        let (http, url) = (reqwest::Client::new(), format!("{}/readyz", self.base_url()));
        let until = Instant::now() + READY_WITHIN;
        let (name, log, mut last) = (self.child.name().to_owned(), self.child.log().to_owned(), "no answer".to_owned());
        while Instant::now() < until {
            if let Some(status) = self.child.status() {
                return Err(ServerError::Ended { name, status, log, tail: self.child.tail(15) });
            }
            if let Ok(answer) = http.get(&url).timeout(Duration::from_secs(2)).send().await {
                if answer.status().is_success() {
                    return Ok(());
                }
                last = answer.text().await.unwrap_or_default();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(ServerError::Late { name, last, log, tail: self.child.tail(15) })
    }

    /// The process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Where `/healthz` and `/readyz` are, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Asks it to end (SIGTERM) and waits until it is gone.
    pub async fn stop(self) -> ExitStatus {
        self.child.stop(STOP_WITHIN).await
    }

    /// Ends it in the middle of whatever it does (SIGKILL).
    pub async fn kill(self) -> ExitStatus {
        self.child.kill().await
    }
}
