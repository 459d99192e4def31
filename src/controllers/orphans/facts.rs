//! Everything that one sweep's plan may look at, as plain data.

use crate::api::orphans::Orphan;
use crate::providers::{Account, Instance, Marks};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// What to do about orphans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OrphanMode {
    /// List them and delete none, not even approved ones.
    Report,
    /// List them and delete them, as far as the brakes allow.
    #[default]
    Delete,
}

/// What was observed in one sweep.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The installation that this process is.
    pub installation: String,
    /// Only this namespace is watched; absent = all.
    pub watched: Option<String>,
    /// What is allowed.
    pub policy: Policy,
    /// Now, on the API server's clock.
    pub now: Timestamp,
    /// How long this process has run: for instances whose age nobody tells.
    pub uptime: Duration,
    /// Accounts that were listed completely, before the Sandboxes were.
    pub accounts: BTreeMap<Account, Vec<Instance>>,
    /// Accounts that can be reached, but were not listed this time.
    pub unlisted: BTreeSet<Account>,
    /// Every Sandbox there is, readable or not.
    pub sandboxes: Sandboxes,
    /// What earlier sweeps of this process saw.
    pub memory: Memory,
    /// The list as it stands in the API server.
    pub shown: Shown,
}

/// What sweeps may do.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether they delete at all.
    pub mode: OrphanMode,
    /// An instance younger than this is no orphan yet.
    pub grace: Duration,
    /// Most unapproved orphans that one sweep deletes.
    pub per_sweep: usize,
}

/// The Sandboxes, live from the API server.
#[derive(Clone, Debug, Default)]
pub struct Sandboxes {
    /// UIDs of all of them.
    pub uids: HashSet<String>,
    /// The attempt that each is at, where its status can be read and is of this installation. It never falls, so it may
    /// be old.
    pub attempts: HashMap<String, i32>,
}

/// One instance, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its account.
    pub account: Account,
    /// The provider's id.
    pub id: String,
}

/// What earlier sweeps of this process saw. A restart begins to count again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The orphans that the last complete listing of their account showed.
    pub seen: BTreeMap<Key, Seen>,
    /// So many sweeps in a row found no Sandbox at all.
    pub empty_sweeps: u32,
}

/// What is remembered of one orphan.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its marks: another owner is another orphan.
    pub marks: Marks,
    /// The process's age when it was first seen.
    pub since: Duration,
    /// Sweeps in a row that saw it as an orphan.
    pub sweeps: u32,
    /// How often its deletion was asked for.
    pub asked: u32,
}

/// The list as people see it, and their word about it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// What is listed.
    pub orphans: Vec<Orphan>,
    /// The digest of the list that somebody approved.
    pub approval: Option<String>,
}
