//! Who sees the truth: every effect at the API server and at the cloud, judged by the invariants the moment it happens.
//! Looks at objects and at the cloud's books, never at what an operator believes.

mod cloud;
mod files;
mod known;
mod objects;
mod pools;

pub use files::is_usable;
pub use pools::Limits;

use crate::api::objects::{Key, text};
use crate::net::Caller;
use crate::world::{SYSTEM, World};
use sandbar::api::orphans::DEFAULT_LEASE;
use serde_json::Value;
use std::collections::BTreeSet;

/// What was seen so far.
#[derive(Default)]
pub struct Judge {
    /// What must not be, with the invariant's id first.
    pub violations: Vec<String>,
    /// Apps made, and ends of apps begun.
    pub creates: u64,
    pub deletes: u64,
    /// Apps made by calls that arrived when their sender had lost the Lease (S15's exception).
    pub strays: BTreeSet<String>,
    /// An operator sweeps for orphans right now.
    pub sweeps: bool,
    pub(crate) pools: Limits,
    known: known::Known,
    /// Whom or what operators wrote to, in every write: Events and calls without effect too, the Lease not.
    pub said: Vec<String>,
}

impl Judge {
    pub fn accuse(&mut self, world: &World, invariant: &str, what: String) {
        let line = format!("{invariant}: {what}");
        world.note(&format!("VIOLATION {line}"));
        self.violations.push(line);
    }

    pub fn sweeping(&mut self, now: bool) {
        self.sweeps = now;
    }

    /// Somebody sends a write to the API server.
    pub fn issued(&mut self, world: &World, caller: Caller, what: &str) {
        if !matches!(caller, Caller::Operator { .. }) {
            return;
        }
        self.said.push(what.to_owned());
        if !holds_lease(world, caller) {
            self.accuse(world, "S15", format!("{what} is sent by who does not hold the Lease"));
        }
    }

    /// An object was changed, made or taken out.
    pub fn wrote(&mut self, world: &World, caller: Caller, key: &Key, old: Option<&Value>, new: Option<&Value>) {
        let operator = matches!(caller, Caller::Operator { .. });
        match key.0.as_str() {
            "sandboxes" => self.sandbox(world, operator, old, new),
            "sandboxpools" => self.pool(world, old, new),
            _ => {}
        }
    }
}

/// Whether the API server's Lease names this life.
pub fn holds_lease(world: &World, caller: Caller) -> bool {
    let key = ("leases".to_owned(), SYSTEM.to_owned(), DEFAULT_LEASE.to_owned());
    let objects = world.objects();
    let holder = objects.get(&key).map(|lease| text(lease, &["spec", "holderIdentity"]).to_owned());
    holder == Some(caller.to_string())
}
