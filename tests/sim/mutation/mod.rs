//! Known-bad behaviours, flipped at the seams between an operator and the world: on the way out, or on the way in. A
//! simulation that lets one of them pass would prove nothing.

mod api;
mod caught;
mod cloud;

pub use api::{answered, pretended, request, shown};
pub use cloud::{from_cloud, to_cloud};

use std::collections::{BTreeMap, BTreeSet};

/// One known-bad behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A claim is written on whatever stands there, in any version.
    ClaimWithoutVersion,
    /// A member is deleted in any version.
    DeleteWithoutVersion,
    /// The create is sent without the attempt being stored.
    AttemptNotWritten,
    /// The Lease is taken in any version.
    LeaseWithoutVersion,
    /// After AlreadyExists the next slot is used, though the name is our own member's.
    NextSlotAfterOurOwn,
    /// The sweep asks a cache which Sandboxes exist.
    SweepFromCache,
    /// Whether a member is claimed is read from its phase.
    ClaimUnseen,
    /// An extension is not seen.
    ExtensionUnseen,
    /// A status is written though it says nothing new.
    NoisyStatus,
    /// The cap is not looked at.
    CapUnseen,
    /// After an unclear answer the create is repeated under another name.
    NewNameAfterUnclear,
    /// The marks are not in the create.
    NoMarks,
    /// A read that failed is taken for "gone": create on Unknown.
    FailedReadMeansGone,
    /// A delete that failed is taken for "gone".
    FailedDeleteMeansGone,
    /// A delete that was accepted is taken for "gone": the slot is freed before Absent.
    AcceptedDeleteMeansGone,
    /// Nobody asks whether the name is free: a finalizer is lifted on listings alone.
    ListingAloneProves,
    /// Another account's 404 is believed.
    AnotherAccountsAnswer,
    /// What has a name like ours is ours.
    NamesAlone,
    /// A claim's time is told by the local clock.
    LocalClock,
    /// Writes go on without the Lease.
    NoFence,
    /// After an unclear answer a claimer takes another member without asking.
    UnclearClaimForgotten,
    /// Files are said to be kept, and are not.
    SaveOnlySaid,
    /// Files are said to be back, and are not.
    RestoreOnlySaid,
    /// A request is bound to whatever member has the name.
    BoundToWithoutUid,
}

/// What a mutation must know of what went by.
#[derive(Default)]
pub struct Memory {
    /// Members whose name was in use.
    collided: BTreeSet<String>,
    /// Creates sent, by UID and attempt.
    sent: BTreeSet<(String, String)>,
    /// The first TTL of each claim.
    ttls: BTreeMap<String, String>,
    /// The first account that was told.
    account: Option<String>,
}
