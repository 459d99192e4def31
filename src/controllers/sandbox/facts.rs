//! Everything that a plan for one Sandbox may look at, as plain data.

use crate::api::conditions::Reason;
use crate::api::{App, OnEmpty, Phase, Sandbox, Span, Usd};
use crate::controllers::inputs::Unresolved;
use crate::controllers::launches;
use crate::controllers::transfers::{Order, Progress};
use crate::providers::{Account, Inputs, Instance};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// What was observed of one Sandbox.
#[derive(Clone, Debug)]
pub enum Observed {
    /// A member of a pool.
    Member(Box<MemberFacts>),
    /// A request for a member.
    Request(Box<RequestFacts>),
}

/// What was observed of a member.
#[derive(Clone, Debug)]
pub struct MemberFacts {
    /// The object.
    pub sandbox: Arc<Sandbox>,
    /// Now, on the API server's clock.
    pub now: Timestamp,
    /// The installation that this process is.
    pub installation: String,
    /// Whether the provider can be asked.
    pub provider: ProviderFact,
    /// What is known of the instance.
    pub evidence: Evidence,
    /// What a create call would carry out of Secrets.
    pub inputs: InputsFact,
    /// What the agent answered lately; none before the first answer.
    pub probe: Option<ProbeFact>,
    /// Whether the operator has a snapshot store.
    pub has_store: bool,
    /// The transfer of its files that this process has started, and how far it is.
    pub transfer: Option<(Order, Progress)>,
    /// What the pool says of the app that the claim launches.
    pub app: AppFact,
    /// The launch that this process has started, and how far it is.
    pub launch: Option<(launches::Order, launches::Progress)>,
    /// Members without an address of their own: where the operator opens their console for people.
    pub console: Option<String>,
    /// The request that the claim was made for.
    pub request: RequestFact,
    /// Price of the instance; none if nobody knows it, or it stands in the status already.
    pub usd_per_hour: Option<Usd>,
    /// Whether the pool took over what the member cost.
    pub books: BooksFact,
    /// How often the provider is listed while something is in flight.
    pub listing_period: Duration,
    /// An unclaimed member whose agent is away for so long is replaced.
    pub replace_unreachable: Duration,
}

/// Whether the provider can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderFact {
    /// The credentials open this account.
    Open {
        /// The account.
        account: Account,
    },
    /// They do not, or nobody answers.
    Shut {
        /// Why.
        reason: Reason,
        /// What is wrong and what would help.
        message: String,
    },
}

/// What the pool says of the app that a claim launches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppFact {
    /// The claim launches none, or the launch has begun: nobody was asked.
    None,
    /// This is it.
    Known(Box<App>),
    /// It has none of this name.
    Unknown {
        /// The names of those that it has.
        names: Vec<String>,
    },
    /// Nobody can tell.
    NoPool,
}

/// What a create call would carry out of Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputsFact {
    /// No instance is about to be created: no Secret was read.
    Unread,
    /// All of it.
    Ready(Inputs),
    /// Not all of it can be had.
    Unresolved(Unresolved),
}

/// What speaks for and against the existence of one attempt's instance.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The instance with our name in the newest listing.
    pub listed: Option<Instance>,
    /// That listing began after the last create or delete that this process sent for it.
    pub listing_is_newer: bool,
    /// Two complete listings, both begun after the last create ended plus the visibility grace, do not show it.
    pub unlisted_twice: bool,
    /// What a GET by id answered in this pass.
    pub got: Option<GetFact>,
    /// A DELETE or GET by id answered "gone" to this process.
    pub proved_gone: bool,
    /// The last create answered that the name is taken, and nobody said since that it is free.
    pub name_taken: bool,
    /// What the provider said in this pass about the name being free.
    pub name_free: Option<bool>,
    /// The create's own answer, until the status shows it.
    pub created: Option<Instance>,
    /// How old the newest listing is; none before the first one.
    pub listing_age: Option<Duration>,
    /// How long ago this process last asked for its deletion.
    pub delete_asked_ago: Option<Duration>,
    /// No provider call for this object before so long.
    pub not_before: Option<Duration>,
}

/// What a GET by id answered.
#[derive(Clone, Debug)]
pub enum GetFact {
    /// It exists.
    Present(Box<Instance>),
    /// It does not.
    Gone,
    /// Nobody can tell.
    Unknown,
}

/// What the agent answered lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeFact {
    /// The newest answer was good.
    pub healthy: bool,
    /// Bad answers in a row.
    pub failures: u32,
    /// Since when they are bad.
    pub failing_for: Duration,
}

/// The request that a member's claim was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFact {
    /// The claim was made by its holder directly.
    None,
    /// It exists.
    Exists,
    /// The API server said that it does not.
    Gone,
    /// Nobody can tell.
    Unknown,
}

/// Whether the pool took over what a member cost, once that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BooksFact {
    /// Not yet.
    Open,
    /// It stands in the pool's status.
    Taken,
    /// The API server said that there is no such pool.
    NoPool,
    /// The pool cannot be read, and may never be.
    Unreadable,
}

/// What was observed of a request.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The object.
    pub sandbox: Arc<Sandbox>,
    /// Now, on the API server's clock.
    pub now: Timestamp,
    /// The pool that is asked.
    pub pool: PoolFact,
    /// The member in `boundTo`.
    pub bound: BoundFact,
    /// Members that nobody has, the best first: warm ones (oldest first), then those nearest to warm.
    pub candidates: Vec<Candidate>,
    /// Requests before this one in the pool's queue.
    pub ahead: usize,
}

/// The pool that a request asks.
#[derive(Clone, Debug)]
pub enum PoolFact {
    /// It is there.
    Present {
        /// What happens when nothing is warm.
        on_empty: OnEmpty,
        /// TTL of a claim that does not say.
        default_ttl: Span,
        /// The longest TTL.
        max_ttl: Span,
        /// How long a request waits.
        wait_timeout: Span,
        /// It is being deleted.
        terminating: bool,
        /// It has as many members as it may.
        full: bool,
        /// Its members have no address, and no way in for a snapshot.
        worker: bool,
        /// The names of its apps.
        apps: Vec<String>,
    },
    /// The API server said that there is none.
    Missing,
}

/// A member that a request could claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The version that was seen.
    pub resource_version: String,
    /// Where it is.
    pub phase: Phase,
    /// The longest claim that it takes: its template's, which may be older than the pool's.
    pub max_ttl: Span,
    /// It has no address, and no way in for a snapshot.
    pub worker: bool,
}

/// The member that a request is bound to.
#[derive(Clone, Debug)]
pub enum BoundFact {
    /// Not bound.
    None,
    /// It is this object.
    Present {
        /// The member.
        member: Arc<Sandbox>,
        /// Read from the API server in this pass, not from a cache.
        live: bool,
    },
    /// The API server said that it is gone, or that another object has its name.
    Gone,
    /// Nobody can tell.
    Unknown,
}

/// A member as one that could be claimed.
pub(crate) fn candidate(sandbox: &Sandbox) -> Candidate {
    Candidate {
        name: sandbox.metadata.name.clone().unwrap_or_default(),
        uid: sandbox.metadata.uid.clone().unwrap_or_default(),
        resource_version: sandbox.metadata.resource_version.clone().unwrap_or_default(),
        phase: sandbox.phase(),
        max_ttl: sandbox.spec.template.as_ref().map(|template| template.claims.max_ttl).unwrap_or_default(),
        worker: sandbox.is_worker(),
    }
}
