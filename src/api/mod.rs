//! The kinds of `sandbar.dev/v1alpha1`: types, defaults, rules, conditions. No I/O.

mod app;
mod claim_files;
pub mod command;
pub mod conditions;
pub mod cost;
mod crds;
mod digest;
mod env;
#[cfg(test)]
pub(crate) mod fixture;
mod hibernation;
mod lean;
mod mode;
mod money;
pub mod orphans;
mod pool;
mod rollout;
pub mod rules;
mod sandbox;
mod schema;
pub mod settled;
mod sizing;
mod span;
mod template;
mod timeline;

pub use app::{App, AppRef, AppSource, AppStatus, GitSource, LaunchStep, TimelineEntry, Timings};
pub use claim_files::ClaimFiles;
pub use cost::{Budget, PoolCost, SandboxCost};
pub use crds::{crds, manifest};
pub use digest::{hash_share, short_hash};
pub use env::{EnvSource, EnvVar, SecretKeyRef};
pub use hibernation::{HibernationStatus, OperatingMode, SnapshotRef};
pub use lean::{Lean, Parts, Undecodable};
pub use mode::Mode;
pub use money::{Usd, UsdError};
pub use pool::{
    Activation, Backoff, ClaimPolicy, CreatePolicy, FailureRecord, Limits, OnEmpty, SandboxPool, SandboxPoolSpec,
    SandboxPoolStatus, Warm,
};
pub use rollout::{Rollout, RolloutStrategy};
pub use sandbox::{
    AttemptFailure, Claim, ClaimFor, InstanceStatus, ObjectUid, Phase, PoolRef, QueuePlace, Sandbox, SandboxSpec,
    SandboxStatus, StartKind,
};
pub use sizing::{Counts, Demand, Sizing, SizingPolicy, SizingStatus};
pub use span::{Span, SpanError};
pub use template::{CredentialsRef, DigitalOceanProvider, Image, ProviderSpec, RegistryType, Template};
pub use timeline::{TIMELINE, note};

/// API group of every kind.
pub const GROUP: &str = "sandbar.dev";
/// API version of every kind.
pub const VERSION: &str = "v1alpha1";

/// Finalizer of a member: lifted only when its instance is provably gone (S4).
pub const MEMBER_FINALIZER: &str = "sandbar.dev/instance";
/// Finalizer of a pool: lifted when no member and no instance of it is left.
pub const POOL_FINALIZER: &str = "sandbar.dev/pool";
/// Finalizer on a credentials Secret while an instance needs it.
pub const IN_USE_FINALIZER: &str = "sandbar.dev/in-use";

/// Label on members, with the pool's name: what the scale subresource selects.
pub const POOL_LABEL: &str = "sandbar.dev/pool";
/// Annotation on a deleting pool: `"true"` ends claimed members too.
pub const END_CLAIMS_ANNOTATION: &str = "sandbar.dev/end-claims";
/// Annotation on a credentials Secret: namespaces whose pools may use it,
/// separated by commas, or `*`.
pub const ALLOWED_NAMESPACES_ANNOTATION: &str = "sandbar.dev/allowed-namespaces";
/// Annotation on a credentials Secret: most sandboxes in the account that it opens, over all pools.
pub const ACCOUNT_MAX_ANNOTATION: &str = "sandbar.dev/max-sandboxes";
/// Annotation on a credentials Secret: most US dollars per hour in that account, over all pools.
pub const ACCOUNT_HOURLY_ANNOTATION: &str = "sandbar.dev/hourly-usd";
/// Annotation on a member: lifts the finalizer although nobody can prove that
/// the instance is gone. Its value must be the instance's name.
pub const ABANDON_ANNOTATION: &str = "sandbar.dev/abandon-instance";
/// Annotation on a member that sleeps or wakes: it wakes without its files. Its value must be the name
/// of the snapshot in `status.hibernation`.
pub const ABANDON_FILES_ANNOTATION: &str = "sandbar.dev/abandon-files";
/// Annotation on a deleting pool: lifts its finalizer although nobody can prove that nothing of it
/// is left. Its value must be the account in the pool's status.
pub const ABANDON_POOL_ANNOTATION: &str = "sandbar.dev/abandon-instances";
/// Data key of the agent's token in a member's own Secret.
pub const AGENT_TOKEN_KEY: &str = "token";

/// Name of the Secret that holds the agent token of the member with this UID.
pub fn agent_secret_name(uid: &str) -> String {
    format!("sandbar-{uid}")
}
