//! Whether a provider has what a spec asks for.

use crate::api::conditions::Reason;

/// Whether a provider has what a spec asks for, by its own lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It has.
    Offered,
    /// It has, and says that something of it will go.
    Leaving {
        /// What, and what would stay.
        message: String,
    },
    /// It has not: a create would fail.
    NotOffered {
        /// In one word.
        reason: Reason,
        /// Field, value, and the nearest that it has.
        message: String,
    },
}
