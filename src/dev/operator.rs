//! The operator as a child process, under the identity that is shipped.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokio::time::Instant;

use super::nursery::Child;
use super::{install, ports};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// More than the operator needs to finish what it does and let go its Lease.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How an operator is started.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The `sandbar` program.
    pub program: PathBuf,
    /// Kubeconfig of its identity.
    pub kubeconfig: PathBuf,
    /// Base address of the cloud's API.
    pub cloud_url: String,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment.
    pub environment: Vec<(String, String)>,
    /// Its log, appended to.
    pub log: PathBuf,
}

/// Why the operator does not run.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// It could not be started.
    #[error("cannot start the operator")]
    Spawn(#[from] std::io::Error),
    /// It ended instead of getting ready.
    #[error("the operator ended before it was ready ({status}); the last lines of {log}:\n{tail}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
    /// It does not get ready.
    #[error("the operator was not ready within {} s; /readyz: {last}; the last lines of {log}:\n{tail}", READY_WITHIN.as_secs())]
    Late {
        /// What `/readyz` answered last.
        last: String,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
}

/// A running operator. Dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    child: Child,
    port: u16,
    consoles: u16,
}

impl Operator {
    /// Starts `program controller` without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn(options: &OperatorOptions) -> Result<Self, OperatorError> {
        let (port, consoles) = (ports::free()?, ports::free()?);
        let mut command = Command::new(&options.program);
        command
            .arg("controller")
            .args(["--namespace", install::NAMESPACE, "--digitalocean-url", &options.cloud_url])
            .args(["--metrics-listen", &format!("127.0.0.1:{port}")])
            .args(["--console-listen", &format!("127.0.0.1:{consoles}")])
            .args(["--console-url", &format!("http://127.0.0.1:{consoles}")])
            .args(&options.arguments)
            .env("KUBECONFIG", &options.kubeconfig)
            .envs(options.environment.iter().map(|(name, value)| (name, value)));
        Ok(Self { child: Child::spawn("operator", command, &options.log).await?, port, consoles })
    }

    /// Starts `program controller` and waits until `/readyz` says so, on
    /// another port if somebody took the first one.
    ///
    /// # Errors
    /// When it cannot be started or does not get ready.
    pub async fn start(options: &OperatorOptions) -> Result<Self, OperatorError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let operator = Self::spawn(options).await?;
            match operator.wait_until_ready().await {
                Ok(()) => return Ok(operator),
                Err(OperatorError::Ended { .. })
                    if tries < 5 && (ports::taken(operator.port) || ports::taken(operator.consoles)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it ends first or does not get ready in time.
    pub async fn wait_until_ready(&self) -> Result<(), OperatorError> {
        let (http, url) = (reqwest::Client::new(), format!("{}/readyz", self.base_url()));
        let until = Instant::now() + READY_WITHIN;
        let (log, mut last) = (self.child.log().to_owned(), "no answer".to_owned());
        while Instant::now() < until {
            if let Some(status) = self.child.status() {
                return Err(OperatorError::Ended { status, log, tail: self.child.tail(15) });
            }
            if let Ok(answer) = http.get(&url).timeout(Duration::from_secs(2)).send().await {
                if answer.status().is_success() {
                    return Ok(());
                }
                last = answer.text().await.unwrap_or_default();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(OperatorError::Late { last, log, tail: self.child.tail(15) })
    }

    /// The process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Where `/metrics`, `/healthz` and `/readyz` are, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of its metrics.
    pub fn metrics_url(&self) -> String {
        format!("{}/metrics", self.base_url())
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

/// The log of an operator in `logs`.
pub fn log(logs: &Path) -> PathBuf {
    logs.join("operator.log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn an_operator_that_ends_is_reported_with_its_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("sandbar");
        std::fs::write(&program, "#!/bin/sh\necho \"$KUBECONFIG $EXTRA $@\"; exit 3\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = OperatorOptions {
            program,
            kubeconfig: "/k".into(),
            cloud_url: "http://cloud".to_owned(),
            arguments: vec!["--watch-namespace".to_owned(), "n".to_owned()],
            environment: vec![("EXTRA".to_owned(), "more".to_owned())],
            log: log(dir.path()),
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let OperatorError::Ended { status, tail, .. } = Operator::start(&options).await.unwrap_err() else {
            panic!("it did not end");
        };
        assert_eq!(status.code(), Some(3));
        let (begin, end) = ("/k more controller --namespace sandbar-system", "--watch-namespace n");
        assert!(tail.starts_with(begin) && tail.ends_with(end), "{tail}");
        assert!(tail.contains("--digitalocean-url http://cloud --metrics-listen 127.0.0.1:"), "{tail}");
    }
}
