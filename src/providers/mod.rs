//! Where instances live: the contract every provider keeps.
//!
//! 1. A **create** carries name, marks and token in one call; it is sent once,
//!    and no layer below repeats it. The name is the idempotency key: a second
//!    create with a name in use answers [`ErrorClass::NameTaken`].
//! 2. A **listing** is complete or it is an error. It tells when it began.
//! 3. **Gone** is said only by the provider itself, of one id.
//! 4. An error says what it proves: only [`ErrorClass::Unknown`] leaves open
//!    whether the call took effect.
//! 5. No call waits longer than its time-out, and none is made that the rate
//!    budget does not admit ([`ErrorClass::Limited`]).
//! 6. Nothing here retries, decides, or knows Kubernetes objects.

pub mod accounts;
pub mod budget;
mod console;
pub mod digitalocean;
mod error;
mod fence;
mod fit;
mod inputs;
mod instance;
pub mod inventory;
#[cfg(test)]
mod scripted;
mod timing;

pub use accounts::{Accounts, Connection, CredentialsError, Detour, Endpoints};
pub use console::ConsoleAddress;
pub use error::{ErrorClass, ProviderError};
pub use fence::Fence;
pub use fit::Fit;
pub use inputs::Inputs;
pub use instance::{Account, CreateRequest, Instance, InstancePhase, Listing, Marks, instance_name, is_our_name};
pub use inventory::{AccountView, Change, Inventory, Urgency};
pub use timing::Timing;

use crate::api::ProviderSpec;
use async_trait::async_trait;

/// One account at one provider, seen through one token.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The account that the token opens.
    async fn account(&self) -> Result<Account, ProviderError>;

    /// Every instance of the account, ours or not.
    async fn list(&self) -> Result<Listing, ProviderError>;

    /// One instance; [`ErrorClass::Gone`] proves that it does not exist.
    async fn get(&self, id: &str) -> Result<Instance, ProviderError>;

    /// Makes an instance. Bounded by the create time-out.
    async fn create(&self, request: &CreateRequest) -> Result<Instance, ProviderError>;

    /// Asks for its end; [`ErrorClass::Gone`] proves that it is over.
    async fn delete(&self, id: &str) -> Result<(), ProviderError>;

    /// Whether the name is free in the account, deleted instances that still hold it included.
    async fn name_available(&self, name: &str) -> Result<bool, ProviderError>;

    /// Where a terminal of this instance can be opened, once and soon.
    async fn console(&self, id: &str) -> Result<ConsoleAddress, ProviderError>;

    /// Price of one instance of this size, in USD per second.
    async fn usd_per_second(&self, size: &str) -> Result<f64, ProviderError>;

    /// Whether the provider has what the spec asks for. An error says nothing about the spec.
    async fn fit(&self, spec: &ProviderSpec) -> Result<Fit, ProviderError>;
}
