//! How a sandbox is entered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a sandbox is entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Over HTTP, at an address of its own that everybody can reach and the agent's token opens.
    #[default]
    Service,
    /// Through the provider's console, by way of the operator: there is no address. Commands and files only.
    Worker,
}

impl Mode {
    /// What is not written: pools and templates from before there was a choice read and look the same.
    pub(super) fn is_service(&self) -> bool {
        *self == Self::Service
    }
}
