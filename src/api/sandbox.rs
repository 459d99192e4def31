//! Sandbox: a member of a pool, or a request for one.

use super::{
    AppRef, AppStatus, ClaimFiles, HibernationStatus, OperatingMode, SandboxCost, SnapshotRef, Span, Template,
    TimelineEntry, Timings, Usd,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A member of a pool (slot and template, made by the operator), or a request for one (claim, made by anybody).
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "sandbar.dev",
    version = "v1alpha1",
    kind = "Sandbox",
    plural = "sandboxes",
    shortname = "sbx",
    category = "sandbar",
    namespaced,
    status = "SandboxStatus",
    selectable = ".spec.poolRef.name",
    selectable = ".spec.claim.id",
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.poolRef.name"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Claim", type_ = "string", json_path = ".spec.claim.id"),
    printcolumn(name = "Holder", type_ = "string", json_path = ".spec.claim.holder"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Queue", type_ = "integer", priority = 1, json_path = ".status.queue.position"),
    printcolumn(name = "URL", type_ = "string", priority = 1, json_path = ".status.url"),
    printcolumn(name = "Instance", type_ = "string", priority = 1, json_path = ".status.instance.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct SandboxSpec {
    /// The pool it belongs to, or that is asked. Cannot be changed.
    pub pool_ref: PoolRef,
    /// Members: number of the slot. Only the operator sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 999))]
    pub slot: Option<i32>,
    /// Members: what the instance needs for its whole life. Only the operator sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Who has it, or wants one. Written once, never replaced (S6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Members with a claim: whether it runs. Absent = Running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operating_mode: Option<OperatingMode>,
}

/// Name of a pool in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolRef {
    /// Name of the pool.
    #[schemars(length(min = 1, max = 40))]
    pub name: String,
}

/// One run: who holds a sandbox, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Id of the run; release, extend and exec take it.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub id: String,
    /// Who holds it, for people.
    #[schemars(length(min = 1, max = 128))]
    pub holder: String,
    /// How long it lives, counted from claimedAt; it may grow up to the pool's claims.maxTTL, never
    /// shrink. In a request it may be absent: the pool's claims.defaultTTL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Span>,
    /// Requests, and members claimed for one: files that the run begins with, instead of what its folders hold. A
    /// snapshot of the namespace in the operator's store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRef>,
    /// The app that is launched in the sandbox, one of the pool's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppRef>,
    /// Members: the request that this claim was made for.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_: Option<ClaimFor>,
    /// Requests: how long the object stays after its end; absent = until somebody deletes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_ended: Option<Span>,
}

/// A request, by name and UID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimFor {
    /// Name of the request.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// UID of the request.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// Where a Sandbox is in its life. Whether it is claimed is read from
/// `spec.claim`, never from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// A member without an instance yet, or a request in the queue.
    Pending,
    /// The provider is making the instance.
    Creating,
    /// The instance runs, its agent does not answer yet.
    Booting,
    /// Ready and unclaimed.
    Warm,
    /// Held by a claim.
    Claimed,
    /// Held by a claim; its files are being kept, then its instance goes.
    Hibernating,
    /// Held by a claim, without an instance; its files are in the snapshot store.
    Hibernated,
    /// Held by a claim; its app is on its way.
    Launching,
    /// Held by a claim; its app answers.
    Running,
    /// On its way out.
    Terminating,
    /// No instance, and none will come.
    Failed,
    /// A request whose sandbox is gone, or that never got one.
    Ended,
}

impl Phase {
    /// Phases in which the API server lets a claim be added to a member.
    pub const CLAIMABLE: [Self; 4] = [Self::Pending, Self::Creating, Self::Booting, Self::Warm];
}

/// Whether the claimer got a sandbox that was warm already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StartKind {
    /// It was warm.
    Warm,
    /// It was on its way, or made for the claim.
    Cold,
}

/// What the operator last saw and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxStatus {
    /// Generation of the spec that the rest speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it is in its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Members: the instance, from before its creation until it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceStatus>,
    /// Members: what its instances cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<SandboxCost>,
    /// Members: what became of the snapshot that the claim begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_files: Option<ClaimFiles>,
    /// Members: the app that the claim launches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<AppStatus>,
    /// How long the steps to a running app took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
    /// What happened on the way to a running app; the newest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub timeline: Vec<TimelineEntry>,
    /// Requests: so many entries of the member's timeline are in this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline_of_member: Option<i32>,
    /// Members: the newest hibernation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hibernation: Option<HibernationStatus>,
    /// Requests: the member that is being claimed, or is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<ObjectUid>,
    /// Requests: the place in the queue while it waits for a sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePlace>,
    /// When the claim was first seen, on the API server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Time>,
    /// When the claim ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Why it is as it is, as one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Where the sandbox answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub url: Option<String>,
    /// Whether the claimer got one that was warm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_kind: Option<StartKind>,
    /// InstanceReady, AgentReady, Claimed, Ready, ProviderReachable, ResolvedRefs, FilesRestored, FilesLost,
    /// Hibernated, AppReady, Ended; while they are true Reconciling, Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A place in a queue. Written at most every 15 s, since everybody's moves at once; who needs it
/// sooner counts the requests that were made before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueuePlace {
    /// 1 = the next one.
    pub position: i32,
    /// When that was so.
    pub time: Time,
}

/// One attempt to have an instance: written before the create call (S2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Which provider: digitalOcean.
    #[schemars(length(max = 64))]
    pub provider: String,
    /// The account that it is in: another account's 404 proves nothing.
    #[schemars(length(max = 128))]
    pub account: String,
    /// The installation that made it.
    #[schemars(length(max = 64))]
    pub installation: String,
    /// Its name at the provider, a function of installation, UID and attempt.
    #[schemars(length(max = 64))]
    pub name: String,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// When the attempt was written.
    pub requested_at: Time,
    /// The provider's id, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub id: Option<String>,
    /// The deployment that runs; another one means that the files are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub deployment_id: Option<String>,
    /// When the provider made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Since when it waits for the files of a snapshot, its agent answering: the deadline of a create counts until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_began_at: Option<Time>,
    /// When it was their turn: a few transfers run at once, and two hours count from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_turn_at: Option<Time>,
    /// When its agent first answered, with the files that it begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Time>,
    /// Why this attempt is over; its instance is being removed, or is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<AttemptFailure>,
}

/// Why an attempt is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFailure {
    /// One word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// What the provider said.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When.
    pub time: Time,
    /// True if only another spec can help.
    #[serde(default)]
    pub terminal: bool,
    /// True once the provider proved that the instance is gone.
    #[serde(default)]
    pub gone: bool,
}

/// An object of the same namespace, by name and UID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectUid {
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its UID.
    #[schemars(length(max = 64))]
    pub uid: String,
}

impl SandboxStatus {
    /// The instance is known to exist: it costs from its creation on, or from the request for it
    /// where the provider does not say when that was.
    pub fn instance_costs(&mut self, usd_per_hour: Option<Usd>) {
        let Some(instance) = self.instance.as_ref().filter(|instance| instance.id.is_some()) else { return };
        if instance.failure.as_ref().is_some_and(|failure| failure.gone) {
            return;
        }
        let since = instance.created_at.as_ref().unwrap_or(&instance.requested_at).0;
        let cost = self.cost.get_or_insert_default();
        cost.begin(since);
        cost.usd_per_hour = cost.usd_per_hour.or(usd_per_hour);
    }
}

impl Sandbox {
    /// Whether its instance has no address and is entered through the provider's console.
    pub fn is_worker(&self) -> bool {
        self.spec.template.as_ref().is_some_and(|template| template.provider.is_worker())
    }

    /// Whether this is a member of a pool (else it is a request).
    pub fn is_member(&self) -> bool {
        self.spec.slot.is_some()
    }

    /// The claim on a member; a request's claim is a wish, not a hold.
    pub fn held_by(&self) -> Option<&Claim> {
        self.spec.claim.as_ref().filter(|_| self.is_member())
    }

    /// The stored phase; `Pending` where none is stored yet.
    pub fn phase(&self) -> Phase {
        self.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending)
    }

    /// The instance as last written.
    pub fn instance(&self) -> Option<&InstanceStatus> {
        self.status.as_ref()?.instance.as_ref()
    }

    /// Whether somebody asked for its deletion.
    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}
