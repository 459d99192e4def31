//! What a simulated cloud is started with.

use super::settings::AccountSettings;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How to start a [`super::CloudSim`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Loopback only; port 0 picks a free one.
    pub listen: SocketAddr,
    /// No processes: the simulator answers for the apps.
    pub virtual_apps: bool,
    /// How many times faster than at the real cloud things happen, above 0.
    /// Deployments, deletes, delays and the windows of rate limits run faster;
    /// timestamps and billing stay wall time.
    pub speed: f64,
    /// Decides durations and ids.
    pub seed: u64,
    /// Accounts to begin with, by name.
    pub accounts: BTreeMap<String, AccountSettings>,
    /// Folder that keeps accounts, tokens, apps and their files over restarts;
    /// faults and the call log end with the simulator. What was kept wins over
    /// `accounts`. Absent: everything ends with the simulator.
    pub state: Option<PathBuf>,
    /// The program that runs as `agent` in each app. Absent: this program.
    pub agent_program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            virtual_apps: false,
            speed: 1.0,
            seed: 0,
            accounts: BTreeMap::new(),
            state: None,
            agent_program: None,
        }
    }
}

impl Options {
    /// Virtual apps on a free port, with one account `default` and its token.
    pub fn for_tests(token: impl Into<String>) -> Self {
        let accounts = BTreeMap::from([("default".to_owned(), AccountSettings::with_token(token))]);
        Self { virtual_apps: true, accounts, ..Self::default() }
    }
}
