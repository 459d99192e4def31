//! The gateway as a child process, under the identity that is shipped, open to callers without a token.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::nursery::Child;
use super::server::{Server, ServerError, ServerOptions};

/// The namespace that a local world's gateway serves.
pub const SERVES: &str = "default";

/// A running gateway. Dropping it kills it.
#[derive(Debug)]
pub struct Gateway(Server);

impl Gateway {
    /// Starts `program gateway --demo` and waits until it has read what there is.
    ///
    /// # Errors
    /// When it cannot be started or does not get ready.
    pub async fn start(options: &ServerOptions) -> Result<Self, ServerError> {
        let server = Server::start("gateway", options, 1, |ports| {
            let listen = format!("127.0.0.1:{}", ports[0]);
            ["gateway", "--demo", "--namespace", SERVES, "--listen", &listen].map(str::to_owned).into()
        });
        server.await.map(Self)
    }

    /// The process.
    pub fn child(&self) -> &Child {
        self.0.child()
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        self.0.base_url()
    }

    /// Asks it to end and waits until it is gone.
    pub async fn stop(self) -> ExitStatus {
        self.0.stop().await
    }
}

/// The log of a gateway in `logs`.
pub fn log(logs: &Path) -> PathBuf {
    logs.join("gateway.log")
}
