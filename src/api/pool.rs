//! SandboxPool: a template, a warm level to hold, and limits.

use super::{
    App, Budget, Demand, EnvVar, Image, PoolCost, ProviderSpec, Rollout, Sizing, SizingStatus, SnapshotRef, Span,
    Template,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeps a number of ready sandboxes at a provider, and hands them out.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sandbar.dev",
    version = "v1alpha1",
    kind = "SandboxPool",
    plural = "sandboxpools",
    shortname = "sbp",
    category = "sandbar",
    namespaced,
    status = "SandboxPoolStatus",
    scale(
        spec_replicas_path = ".spec.warm.target",
        status_replicas_path = ".status.warm",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Target", type_ = "integer", json_path = ".spec.warm.target"),
    printcolumn(name = "Warm", type_ = "integer", json_path = ".status.warm"),
    printcolumn(name = "Creating", type_ = "integer", json_path = ".status.creating"),
    printcolumn(name = "Claimed", type_ = "integer", json_path = ".status.claimed"),
    printcolumn(name = "Max", type_ = "integer", json_path = ".spec.limits.maxSandboxes"),
    printcolumn(name = "Available", type_ = "string", json_path = ".status.conditions[?(@.type=='Available')].status"),
    printcolumn(name = "Why", type_ = "string", json_path = ".status.conditions[?(@.type=='Available')].reason"),
    printcolumn(name = "Desired", type_ = "integer", priority = 1, json_path = ".status.desiredWarm"),
    printcolumn(name = "Hit rate", type_ = "number", priority = 1, json_path = ".status.sizing.hitRate"),
    printcolumn(name = "Mode", type_ = "string", priority = 1, json_path = ".spec.provider.digitalOcean.mode"),
    printcolumn(name = "Updated", type_ = "integer", priority = 1, json_path = ".status.updated"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SandboxPoolSpec {
    /// Where sandboxes are made; the kind of provider and the region cannot be changed.
    pub provider: ProviderSpec,
    /// What they run.
    pub image: Image,
    /// Their environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Ports besides the agent's (8080) that are reachable inside the app.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(range(min = 1, max = 65535)), extend("x-kubernetes-list-type" = "set"))]
    pub ports: Vec<i32>,
    /// Files that every sandbox begins with: a snapshot of the pool's namespace in the operator's store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// The level to hold.
    #[serde(default)]
    pub warm: Warm,
    /// What is never exceeded.
    #[serde(default)]
    pub limits: Limits,
    /// What a request gets when no warm sandbox is there.
    #[serde(default)]
    pub on_empty: OnEmpty,
    /// Deadline, attempts and back-off of one sandbox's creation.
    #[serde(default)]
    pub create: CreatePolicy,
    /// Limits of a claim.
    #[serde(default)]
    pub claims: ClaimPolicy,
    /// How a changed template reaches the warm sandboxes.
    #[serde(default)]
    pub rollout: Rollout,
    /// What can be launched in its sandboxes. Changes concern later launches only, and no sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub apps: Vec<App>,
    /// What it may cost; absent = no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl SandboxPoolSpec {
    /// The copy that a member made now carries for life.
    pub fn template(&self, pool_uid: &str, generation: i64) -> Template {
        Template {
            pool_uid: pool_uid.to_owned(),
            pool_generation: generation,
            provider: self.provider.clone(),
            image: self.image.clone(),
            env: self.env.clone(),
            ports: self.ports.clone(),
            snapshot: self.snapshot.clone(),
            create: self.create.clone(),
            claims: self.claims.clone(),
        }
    }
}

/// The warm level, and how fast it may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Warm {
    /// Ready, unclaimed sandboxes to hold; with sizing HitRate the fewest.
    #[schemars(range(min = 0, max = 1000))]
    pub target: i32,
    /// With sizing HitRate the most; absent = limits.maxSandboxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max: Option<i32>,
    /// Whether the level is `target` or follows demand.
    pub sizing: Sizing,
    /// Whether the level is held from the start or only while there is demand.
    pub activation: Activation,
    /// OnFirstClaim: without a claim for so long the level is zero again.
    pub idle_timeout: Span,
    /// Between two removals of surplus sandboxes.
    pub scale_down_delay: Span,
    /// No removal of surplus sandboxes for so long after a claim.
    pub cooldown_after_claim: Span,
    /// A warm sandbox older than this is replaced; spread over the last quarter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
}

impl Default for Warm {
    fn default() -> Self {
        Self {
            target: 1,
            max: None,
            sizing: Sizing::default(),
            activation: Activation::Always,
            idle_timeout: Span::minutes(2),
            scale_down_delay: Span::seconds(60),
            cooldown_after_claim: Span::seconds(120),
            max_age: None,
        }
    }
}

/// When the warm level is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Activation {
    /// From the start.
    #[default]
    Always,
    /// From the first claim on, until `idleTimeout` passes without one (S11).
    OnFirstClaim,
}

/// What is never exceeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Members of the pool in any state (S5).
    #[schemars(range(min = 1, max = 1000))]
    pub max_sandboxes: i32,
    /// Members being created at once. A sandbox that wakes counts while its instance is made, not while it
    /// sleeps, waits for its snapshot or gets its files back; no waking waits for this limit.
    #[schemars(range(min = 1, max = 100))]
    pub max_concurrent_creates: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_sandboxes: 10, max_concurrent_creates: 2 }
    }
}

/// What a request gets when no warm sandbox is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnEmpty {
    /// Whichever is ready first: one in flight, or one made for it.
    #[default]
    Create,
    /// The next one that becomes warm.
    Wait,
    /// Nothing: it ends at once.
    Fail,
}

/// How one sandbox is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CreatePolicy {
    /// From the create call to a ready agent, per attempt.
    pub deadline: Span,
    /// Attempts before the sandbox counts as failed.
    #[schemars(range(min = 1, max = 10))]
    pub max_attempts: i32,
    /// Between attempts, and after failed sandboxes.
    pub backoff: Backoff,
}

impl Default for CreatePolicy {
    fn default() -> Self {
        Self { deadline: Span::minutes(10), max_attempts: 3, backoff: Backoff::default() }
    }
}

/// Exponential back-off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// After the first failure; doubles with each further one.
    pub initial: Span,
    /// Never longer than this.
    pub max: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Span::seconds(10), max: Span::minutes(10) }
    }
}

impl Backoff {
    /// The pause after the n-th failure in a row (n ≥ 1).
    pub fn after(&self, failures: i64) -> Span {
        let doublings = u32::try_from(failures.max(1) - 1).unwrap_or(u32::MAX).min(31);
        let seconds = self.initial.duration().as_secs().saturating_mul(1 << doublings);
        Span::seconds(u32::try_from(seconds).unwrap_or(u32::MAX)).min(self.max)
    }
}

/// Limits of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimPolicy {
    /// How long a claim lives when it does not say.
    #[serde(rename = "defaultTTL")]
    pub default_ttl: Span,
    /// The longest that a claim may live, extensions included.
    #[serde(rename = "maxTTL")]
    pub max_ttl: Span,
    /// How long a request waits for a sandbox before it ends.
    pub wait_timeout: Span,
}

impl Default for ClaimPolicy {
    fn default() -> Self {
        Self { default_ttl: Span::minutes(30), max_ttl: Span::hours(24), wait_timeout: Span::minutes(5) }
    }
}

/// What the operator last saw and did. Holds only what changes by events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxPoolStatus {
    /// Generation of the spec that the rest speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready and unclaimed.
    pub warm: i32,
    /// Of the warm ones, those of the newest template.
    pub updated: i32,
    /// On their way to warm.
    pub creating: i32,
    /// Claimed.
    pub claimed: i32,
    /// Failed, not yet removed.
    pub failed: i32,
    /// All members, the deleting ones too.
    pub total: i32,
    /// Requests that wait for a sandbox.
    pub queued: i32,
    /// The level that is held now.
    pub desired_warm: i32,
    /// Claims that got a warm sandbox, ever.
    pub claims_warm: i64,
    /// Claims that had to wait for one, ever.
    pub claims_cold: i64,
    /// When the newest claim was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_claim_time: Option<Time>,
    /// Members (first eight characters of the UID) whose claim is in the counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2000), inner(length(max = 8)))]
    pub counted_claims: Vec<String>,
    /// Sizing HitRate: claims, counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// Sizing HitRate: the level that demand asks for, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizing: Option<SizingStatus>,
    /// When a surplus sandbox was last removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scale_down_time: Option<Time>,
    /// Failures in a row, from which back-off and breaker are computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<FailureRecord>,
    /// What it costs; absent until something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<PoolCost>,
    /// Account at the provider that this pool's instances are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub account: Option<String>,
    /// True once the pool was seen deleting in the foreground: claimed members end too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_claims: Option<bool>,
    /// Selects the pool's members.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub selector: Option<String>,
    /// Available, Progressing, Idle, Degraded, BudgetExceeded, ProviderReachable, ResolvedRefs, Terminating; while they
    /// are true Reconciling, Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Members that failed in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureRecord {
    /// Failed members since one last became warm.
    pub consecutive: i64,
    /// When the newest failed.
    pub last_time: Time,
    /// UID of the newest failed member.
    #[schemars(length(max = 64))]
    pub last_uid: String,
    /// Why it failed.
    #[schemars(length(max = 64))]
    pub last_reason: String,
    /// What the provider said.
    #[schemars(length(max = 1024))]
    pub last_message: String,
    /// Generation of the pool that it was made from: an invalid spec is not tried again.
    pub generation: i64,
    /// True if only another spec can help.
    pub terminal: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_limit() {
        let backoff = Backoff { initial: Span::seconds(10), max: Span::minutes(1) };
        let pauses: Vec<_> = [0, 1, 2, 3, 4, 60, i64::MAX].map(|n| backoff.after(n).duration().as_secs()).into();
        assert_eq!(pauses, [10, 10, 20, 40, 60, 60, 60]);
    }
}
