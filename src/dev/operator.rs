//! The operator as a child process, under the identity that is shipped.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::install;
use super::nursery::Child;
use super::server::{Server, ServerError, ServerOptions};

/// How an operator is started.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// As any server.
    pub server: ServerOptions,
    /// Base address of the cloud's API.
    pub cloud_url: String,
}

impl OperatorOptions {
    /// The same with these further arguments instead.
    pub fn with(mut self, arguments: Vec<String>) -> Self {
        self.server.arguments = arguments;
        self
    }

    fn arguments(&self, ports: &[u16]) -> Vec<String> {
        let [metrics, consoles] = [ports[0], ports[1]].map(|port| format!("127.0.0.1:{port}"));
        let consoles_url = format!("http://{consoles}");
        let arguments = [
            ["--namespace", install::NAMESPACE],
            ["--digitalocean-url", &self.cloud_url],
            ["--metrics-listen", &metrics],
            ["--console-listen", &consoles],
            ["--console-url", &consoles_url],
        ];
        ["controller"].into_iter().chain(arguments.into_iter().flatten()).map(str::to_owned).collect()
    }
}

/// A running operator. Dropping it kills it.
#[derive(Debug)]
pub struct Operator(Server);

impl Operator {
    /// Starts `program controller` without waiting for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn(options: &OperatorOptions) -> Result<Self, ServerError> {
        Server::spawn("operator", &options.server, 2, |ports| options.arguments(ports)).await.map(Self)
    }

    /// Starts `program controller` and waits until `/readyz` says so, on
    /// other ports if somebody took the first ones.
    ///
    /// # Errors
    /// When it cannot be started or does not get ready.
    pub async fn start(options: &OperatorOptions) -> Result<Self, ServerError> {
        Server::start("operator", &options.server, 2, |ports| options.arguments(ports)).await.map(Self)
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it ends first or does not get ready in time.
    pub async fn wait_until_ready(&self) -> Result<(), ServerError> {
        self.0.wait_until_ready().await
    }

    /// The process.
    pub fn child(&self) -> &Child {
        self.0.child()
    }

    /// Where `/metrics`, `/healthz` and `/readyz` are, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.0.base_url()
    }

    /// The address of its metrics.
    pub fn metrics_url(&self) -> String {
        format!("{}/metrics", self.base_url())
    }

    /// Asks it to end (SIGTERM) and waits until it is gone.
    pub async fn stop(self) -> ExitStatus {
        self.0.stop().await
    }

    /// Ends it in the middle of whatever it does (SIGKILL).
    pub async fn kill(self) -> ExitStatus {
        self.0.kill().await
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
        let server = ServerOptions {
            program,
            kubeconfig: "/k".into(),
            arguments: vec!["--watch-namespace".to_owned(), "n".to_owned()],
            environment: vec![("EXTRA".to_owned(), "more".to_owned())],
            log: log(dir.path()),
        };
        let options = OperatorOptions { server, cloud_url: "http://cloud".to_owned() };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ServerError::Ended { status, tail, .. } = Operator::start(&options).await.unwrap_err() else {
            panic!("it did not end");
        };
        assert_eq!(status.code(), Some(3));
        let (begin, end) = ("/k more controller --namespace sandbar-system", "--watch-namespace n");
        assert!(tail.starts_with(begin) && tail.ends_with(end), "{tail}");
        assert!(tail.contains("--digitalocean-url http://cloud --metrics-listen 127.0.0.1:"), "{tail}");
    }
}
