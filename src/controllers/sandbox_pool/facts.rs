//! Everything that a plan for one pool may look at, as plain data.

use super::share::Claimant;
use crate::api::{Phase, SandboxCost, SandboxPool, StartKind, Usd};
use crate::controllers::inputs::Unresolved;
use crate::controllers::sandbox::facts::ProviderFact;
use crate::providers::accounts::AccountLimits;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What was observed of one pool.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object.
    pub pool: Arc<SandboxPool>,
    /// Now, on the API server's clock.
    pub now: Timestamp,
    /// Its members, in any state.
    pub members: Vec<Member>,
    /// Members that are there but cannot be read, or were made by this process and are not seen yet.
    pub hidden: usize,
    /// How many of them cannot be read.
    pub undecodable: usize,
    /// Slots of such members.
    pub hidden_slots: BTreeSet<i32>,
    /// Slots whose name another object has.
    pub blocked_slots: BTreeSet<i32>,
    /// UIDs of everything in the pool that exists, readable or not.
    pub present: BTreeSet<String>,
    /// Price of one more sandbox; none if nobody knows it, or nothing depends on it.
    pub usd_per_hour: Option<Usd>,
    /// When the requests that wait for a member were made.
    pub queue: Vec<Timestamp>,
    /// Requests that ended lately without a sandbox: demand that was not served.
    pub lost: Vec<Lost>,
    /// Whether the provider can be asked.
    pub provider: ProviderFact,
    /// Whether the Secrets, the size and the region that the spec names are there.
    pub refs: RefsFact,
    /// The account and its pools, where its owner bounds what they have together.
    pub account: Option<AccountFact>,
    /// The in-use finalizer is on the credentials Secret.
    pub secret_held: bool,
    /// A complete listing, begun after the last member went, shows no instance of this pool.
    pub proved_empty: bool,
    /// How long ago this process last wrote the status.
    pub status_written_ago: Option<Duration>,
    /// How far the local clock is from the API server's.
    pub clock_skew: Duration,
}

/// Whether what the spec names is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefsFact {
    /// Nobody can tell now: what was told before stays, and nothing is held back (S3).
    Unknown,
    /// All of it; a sentence about what will go soon.
    Resolved {
        /// What will go, and what would stay.
        leaving: Option<String>,
    },
    /// Not all of it: a member made now would get no instance.
    Unresolved(Unresolved),
}

/// A request that ended without a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its UID.
    pub uid: String,
    /// When it was made.
    pub asked: Timestamp,
}

/// An account that is bounded, and what is in it.
#[derive(Clone, Debug)]
pub struct AccountFact {
    /// The account.
    pub account: String,
    /// Its bounds.
    pub limits: AccountLimits,
    /// What a sandbox without a known price counts as per hour, and the pools that have such ones.
    pub guessed: (Usd, Vec<String>),
    /// Members that belong to none of its pools, and what they cost per hour.
    pub strangers: (usize, Usd),
    /// Its pools, this one included.
    pub pools: Vec<Claimant>,
}

/// One member, as far as its pool is concerned.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The version that was seen.
    pub resource_version: String,
    /// Its slot.
    pub slot: i32,
    /// Where it is.
    pub phase: Phase,
    /// Somebody holds it.
    pub claimed: bool,
    /// A request is about to claim it.
    pub bound: bool,
    /// Somebody deleted it.
    pub deleting: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When its agent first answered.
    pub ready_at: Option<Timestamp>,
    /// When the provider was asked for its instance.
    pub requested_at: Option<Timestamp>,
    /// When its claim was noted.
    pub claimed_at: Option<Timestamp>,
    /// When the request for which it was claimed was made; none for a direct claim.
    pub asked_at: Option<Timestamp>,
    /// When its claim ends.
    pub expires_at: Option<Timestamp>,
    /// Whether the claimer got it warm.
    pub start_kind: Option<StartKind>,
    /// Generation of the pool that it was made from.
    pub generation: i64,
    /// It has no ready instance and waits for what its template names.
    pub lacks_refs: bool,
    /// It is what a member made now would be.
    pub updated: bool,
    /// What it costs.
    pub cost: SandboxCost,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// It is claimed, its instance runs, and the files that it is to have are on their way.
    pub restoring: bool,
}

/// Why a member failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// In one word.
    pub reason: String,
    /// In the provider's.
    pub message: String,
    /// When.
    pub time: Timestamp,
    /// Only another spec can help.
    pub terminal: bool,
}

impl Member {
    /// On its way to warm, or back there.
    pub fn is_creating(&self) -> bool {
        if self.deleting || self.restoring {
            return false;
        }
        let coming = self.claimed && self.ready_at.is_none();
        matches!(self.phase, Phase::Pending | Phase::Creating | Phase::Booting)
            || (coming && !matches!(self.phase, Phase::Failed | Phase::Hibernated))
    }

    /// Nobody has it or is about to, and it lives.
    pub fn is_free(&self) -> bool {
        !self.claimed && !self.bound && !self.deleting && self.phase != Phase::Failed
    }

    /// Can be handed out now.
    pub fn is_warm(&self) -> bool {
        self.is_free() && self.phase == Phase::Warm
    }
}
