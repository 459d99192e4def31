//! The simulated cloud as a child process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tokio::time::Instant;

use super::nursery::Child;
use super::ports;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// How the cloud behaves.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// Opens the account that exists from the start.
    pub token: String,
    /// How many times faster than real time the cloud works; `None` = as the
    /// simulator has it.
    pub speed: Option<f64>,
    /// Answer for the agents in-process instead of starting one per app.
    pub virtual_apps: bool,
    /// Seed of timings and faults; `None` = as the simulator has it.
    pub seed: Option<u64>,
}

/// Why the cloud is not there.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// It could not be started.
    #[error("cannot start the simulated cloud")]
    Spawn(#[from] std::io::Error),
    /// It ended instead of getting ready.
    #[error("the simulated cloud ended before it was ready ({status}); the last lines of {log}:\n{tail}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
    /// It does not answer.
    #[error("the simulated cloud was not ready within {} s; the last lines of {log}:\n{tail}", READY_WITHIN.as_secs())]
    Late {
        /// Its log.
        log: PathBuf,
        /// What it said last.
        tail: String,
    },
}

/// A running simulated cloud. Dropping it ends it.
#[derive(Debug)]
pub struct Cloud {
    child: Child,
    url: String,
}

impl Cloud {
    /// Starts `program cloudsim` on a free port with one account, and waits
    /// until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer.
    pub async fn start(program: &Path, options: &CloudOptions, logs: &Path) -> Result<Self, CloudError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let port = ports::free()?;
            let mut command = Command::new(program);
            command.args(arguments(options, port));
            let child = Child::spawn("cloudsim", command, &logs.join("cloudsim.log")).await?;
            match wait_until_answers(&child, port).await {
                Ok(()) => {
                    let url = format!("http://127.0.0.1:{port}");
                    return Ok(Self { child, url });
                }
                Err(CloudError::Ended { .. }) if tries < 5 && ports::taken(port) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The base address of the cloud's API, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Asks it to end, so that it ends its apps, and waits until it is gone.
    pub async fn stop(self) {
        self.child.stop(Duration::from_secs(5)).await;
    }
}

/// A token in the form of the real ones. Good for one simulated account.
pub fn new_token() -> String {
    format!("dop_v1_{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

fn arguments(options: &CloudOptions, port: u16) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["cloudsim".into(), "--listen".into(), format!("127.0.0.1:{port}").into()];
    arguments.extend(["--token".into(), options.token.clone().into()]);
    if options.virtual_apps {
        arguments.push("--virtual".into());
    }
    if let Some(speed) = options.speed {
        arguments.extend(["--speed".into(), speed.to_string().into()]);
    }
    if let Some(seed) = options.seed {
        arguments.extend(["--seed".into(), seed.to_string().into()]);
    }
    arguments
}

async fn wait_until_answers(child: &Child, port: u16) -> Result<(), CloudError> {
    let until = Instant::now() + READY_WITHIN;
    while Instant::now() < until {
        if let Some(status) = child.status() {
            return Err(CloudError::Ended { status, log: child.log().to_owned(), tail: child.tail(15) });
        }
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(CloudError::Late { log: child.log().to_owned(), tail: child.tail(15) })
}
