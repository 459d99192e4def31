//! The labels of every metric, and their values.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use std::fmt::{Error, Write};

macro_rules! label_values {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$inner])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in the exposition.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), Error> {
                encoder.write_str(self.as_str())
            }
        }
    };
}

label_values! {
    /// The state of a pool's member.
    PoolState {
        /// Ready and unclaimed.
        Warm = "warm",
        /// On the way to warm.
        Creating = "creating",
        /// Taken.
        Claimed = "claimed",
        /// Given up, with a reason.
        Failed = "failed",
        /// All of them.
        Total = "total",
    }
}

label_values! {
    /// How a claim ended.
    ClaimOutcome {
        /// A warm member was there.
        Warm = "warm",
        /// A member was made or awaited.
        Cold = "cold",
        /// None came within the wait time-out.
        Timeout = "timeout",
        /// It could not be served.
        Failed = "failed",
    }
}

label_values! {
    /// How one pass of a controller ended.
    ReconcileOutcome {
        /// Nothing is left to do.
        Completed = "completed",
        /// It comes back at a moment of its own.
        Waiting = "waiting",
        /// It did nothing: its view was old, or it does not lead.
        Skipped = "skipped",
        /// Somebody wrote first; normal after a change of leader.
        Conflict = "conflict",
        /// It comes back after its back-off.
        Failed = "failed",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Pool {
    namespace: String,
    pool: String,
}

impl Pool {
    pub(super) fn new(namespace: &str, pool: &str) -> Self {
        Self { namespace: namespace.to_owned(), pool: pool.to_owned() }
    }

    pub(super) fn state(self, state: PoolState) -> PoolStates {
        PoolStates { namespace: self.namespace, pool: self.pool, state }
    }

    pub(super) fn outcome(self, outcome: ClaimOutcome) -> Claim {
        Claim { namespace: self.namespace, pool: self.pool, outcome }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PoolStates {
    namespace: String,
    pool: String,
    state: PoolState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Claim {
    namespace: String,
    pool: String,
    outcome: ClaimOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Provider {
    pub(super) provider: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Operation {
    pub(super) provider: &'static str,
    pub(super) operation: &'static str,
    pub(super) class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Budget {
    pub(super) provider: &'static str,
    pub(super) token: String,
    pub(super) window: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reconcile {
    pub(super) controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reconciled {
    pub(super) controller: &'static str,
    pub(super) outcome: ReconcileOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}
