//! Conditions: their types, their reasons, and the one way to set one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[doc = $means:literal])+ $variant:ident),+ $(,)? }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $means])+ $variant),+ }

        impl $name {
            /// Every word of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// What it means, in a sentence; for the reference.
            pub const fn means(self) -> &'static str {
                match self { $(Self::$variant => concat!($($means),+)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Condition types.
    Type {
        /// Pool: the warm level is reached.
        Available,
        /// Pool: members are being made or removed to reach the level.
        Progressing,
        /// Pool: nothing is wanted now (OnFirstClaim without demand).
        Idle,
        /// Pool: something needs a person.
        Degraded,
        /// Pool: sandboxes that are wanted are not made for what they would cost.
        BudgetExceeded,
        /// Pool, member: the provider answers and accepts the credentials.
        ProviderReachable,
        /// Pool, member: the Secrets, the region and the size that its spec names are there.
        ResolvedRefs,
        /// Pool: on its way out.
        Terminating,
        /// Member: the provider says that the instance runs.
        InstanceReady,
        /// Member: the agent answers.
        AgentReady,
        /// Member: somebody holds it. Request: it holds a member.
        Claimed,
        /// Member: warm or claimed, and answering. Request: its sandbox can be used.
        Ready,
        /// Member: the provider replaced the container under a claim, or it woke without its files. False once a later
        /// waking brought back what it had when it went to sleep.
        FilesLost,
        /// Member: the files of a snapshot are in it, the claim's where it names one.
        FilesRestored,
        /// Member, request: its files are in the snapshot store and no instance runs.
        Hibernated,
        /// Member, request: the app that the claim launches answers.
        AppReady,
        /// Request: it is over; stands where Ready stood.
        Ended,
        /// For tools (see [`super::settled`]): it is on its way to what its spec wants. There only while it is true.
        Reconciling,
        /// For tools: it gets no nearer to what its spec wants before a person helps. There only while it is true.
        Stalled,
    }
}

words! {
    /// Reasons: of conditions, of `status.reason`, and of Events.
    Reason {
        /// As it should be.
        AsExpected,
        /// Fewer warm sandboxes than wanted.
        BelowTarget,
        /// The cap is reached.
        AtCapacity,
        /// One more would cost more per hour than `budget.hourlyUsd`.
        HourlyBudget,
        /// One more could cost more in this month than `budget.monthlyUsd`.
        MonthlyBudget,
        /// The provider does not say what the size costs, and there is a budget.
        PriceUnknown,
        /// Waiting for the provider.
        Creating,
        /// The instance runs, the agent does not answer yet.
        Booting,
        /// Answering.
        Healthy,
        /// Three probes in a row failed.
        ProbeFailed,
        /// The agent did not come back for two minutes.
        AgentUnreachable,
        /// The provider no longer knows the instance.
        InstanceLost,
        /// The provider gave up on the first deployment.
        DeploymentFailed,
        /// Not ready by the deadline of the attempt.
        DeadlineExceeded,
        /// The provider refuses the spec.
        InvalidSpec,
        /// A Secret that the spec names is missing, or lacks what is asked of it.
        SecretMissing,
        /// A Secret that the spec names cannot be read now.
        SecretUnreadable,
        /// The provider has no such instance size.
        SizeUnknown,
        /// The instance size is about to be withdrawn.
        SizeDeprecated,
        /// The provider makes nothing in this region.
        RegionUnavailable,
        /// The account's owner bounds what all pools have together.
        AccountCap,
        /// The provider's account takes no more instances.
        AccountLimit,
        /// The agent's token is gone; nobody could talk to the sandbox.
        TokenLost,
        /// The credentials Secret or its key is missing.
        CredentialsMissing,
        /// The Secret does not allow this namespace.
        CredentialsNotAllowed,
        /// The provider refuses the credentials.
        CredentialsRejected,
        /// The credentials open another account than the instance is in.
        WrongAccount,
        /// The provider does not answer.
        ProviderUnavailable,
        /// The provider asked to slow down.
        RateLimited,
        /// The name at the provider is taken by something that is not ours.
        NameCollision,
        /// A claim was written.
        Claimed,
        /// Nobody holds it.
        Unclaimed,
        /// Its time is over.
        Expired,
        /// Its holder gave it back.
        Released,
        /// In the queue.
        Queued,
        /// `waitTimeout` passed in the queue.
        WaitTimeout,
        /// `onEmpty: Fail` and nothing was warm.
        NoneWarm,
        /// The pool does not exist.
        PoolNotFound,
        /// The pool is being deleted.
        PoolTerminating,
        /// The claim asks for more than the pool allows.
        TtlTooLong,
        /// Too many failures in a row; waiting before the next try.
        BackingOff,
        /// Waiting for claims to end.
        ClaimsRemain,
        /// Waiting for proof that nothing is left at the provider.
        ProvingEmpty,
        /// No demand.
        NoDemand,
        /// Above what is wanted.
        Surplus,
        /// Older than `maxAge`.
        MaxAge,
        /// Of an older template than the pool's.
        Outdated,
        /// Warm sandboxes of an older template are being replaced.
        Updating,
        /// A slot's name is used by another object.
        SlotBlocked,
        /// The provider replaced the container.
        Redeployed,
        /// The files are being kept, or the instance is going after that.
        Hibernating,
        /// No instance runs; the files are in the snapshot store.
        Hibernated,
        /// A new instance is made for a hibernated sandbox.
        Waking,
        /// The files could not be kept; the sandbox goes on running.
        SnapshotFailed,
        /// There is no such snapshot, or it was never finished.
        SnapshotMissing,
        /// A snapshot does not fit its digest.
        SnapshotDamaged,
        /// Files could not be moved between sandbox and store.
        TransferFailed,
        /// The operator has no snapshot store.
        NoSnapshotStore,
        /// Getting the files of a snapshot.
        Restoring,
        /// The files of a snapshot are there.
        Restored,
        /// An app is on its way.
        Launching,
        /// The pool has no app of this name, or it has no such source.
        UnknownApp,
        /// The files of an app cannot be had.
        SourceFailed,
        /// An app could not be installed.
        InstallFailed,
        /// The process of an app has ended.
        AppExited,
        /// An app runs, and does not answer.
        AppSilent,
        /// The instance is being removed.
        Deleting,
        /// An object does not fit its schema.
        Undecodable,
        /// An instance was forgotten without proof of its end, or files were given up, by somebody's word.
        Abandoned,
        /// The local clock is far from the API server's.
        ClockSkew,
    }
}

impl Reason {
    /// The reason that a stored word stands for; one that an older or newer version wrote is a failed deployment.
    pub fn of(word: &str) -> Self {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word).unwrap_or(Self::DeploymentFailed)
    }
}

/// A condition as wanted: status, reason, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub kind: Type,
    /// True, False, or not known.
    pub status: Option<bool>,
    /// Why, in one word.
    pub reason: Reason,
    /// Why, in a sentence with the way out.
    pub message: String,
}

impl Wanted {
    /// A condition that is true or false.
    pub fn new(kind: Type, status: bool, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status: Some(status), reason, message: message.into() }
    }

    /// A condition that cannot be told.
    pub fn unknown(kind: Type, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status: None, reason, message: message.into() }
    }
}

/// The status word of the API.
fn word(status: Option<bool>) -> &'static str {
    match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

/// Gives `old` with `wanted` in it. The transition time moves only when the
/// status does, so that an unchanged state writes nothing (S10).
pub fn merge(old: &[Condition], wanted: &[Wanted], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let mut merged: Vec<Condition> = old.to_vec();
    for want in wanted {
        let condition = Condition {
            type_: want.kind.as_str().to_owned(),
            status: word(want.status).to_owned(),
            reason: want.reason.as_str().to_owned(),
            message: truncate(&want.message, 1024),
            observed_generation: generation,
            last_transition_time: Time(whole_second(now)),
        };
        match merged.iter_mut().find(|have| have.type_ == condition.type_) {
            Some(have) => {
                let since = if have.status == condition.status {
                    have.last_transition_time.clone()
                } else {
                    condition.last_transition_time.clone()
                };
                *have = Condition { last_transition_time: since, ..condition };
            }
            None => merged.push(condition),
        }
    }
    merged
}

/// Whether the condition of this type is true.
pub fn is_true(conditions: &[Condition], kind: Type) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind.as_str() && condition.status == "True")
}

/// The API server stores whole seconds: a finer time would compare unequal
/// after every read.
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// At most `limit` bytes of the text, cut at a character.
pub fn truncate(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let first = merge(&[], &[Wanted::new(Type::Ready, false, Reason::Creating, "a")], Some(1), at(10));
        let same = merge(&first, &[Wanted::new(Type::Ready, false, Reason::Booting, "b")], Some(1), at(20));
        assert_eq!(same[0].last_transition_time.0, at(10));
        assert_eq!((same[0].reason.as_str(), same[0].message.as_str()), ("Booting", "b"));
        let moved = merge(&same, &[Wanted::new(Type::Ready, true, Reason::Healthy, "c")], Some(1), at(30));
        assert_eq!(moved[0].last_transition_time.0, at(30));
    }

    #[test]
    fn an_unchanged_state_compares_equal_s10() {
        let wanted = [Wanted::new(Type::Ready, true, Reason::Healthy, "ok")];
        let first = merge(&[], &wanted, Some(1), at(10));
        assert_eq!(merge(&first, &wanted, Some(1), at(99)), first);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(truncate("aé", 2), "a");
        assert_eq!(truncate("abc", 10), "abc");
    }
}
