//! Claims: taking a sandbox, keeping it longer, giving it back.
//!
//! Two ways lead to a sandbox. [`Claims::claim_warm`] takes a warm member in one write and is for whoever can wait
//! for the answer (the command line, a build). [`Claims::request`] makes a request object, which the operator binds
//! to a member; it is for whoever may have to repeat itself, because a name exists only once.
//!
//! Nobody ever shares a member (S6): the one write carries the member's resourceVersion and UID, and after an unclear
//! answer the same member is asked before any other is touched.
//!
//! * [`take`](Claims::claim_warm): one write, and what to do when its answer is lost.
//! * [`request`](Claims::request), [`wait_ready`](Claims::wait_ready): requests and the wait for them.
//! * [`release`](Claims::release), [`end`](Claims::end), [`extend`](Claims::extend), [`find`](Claims::find),
//!   [`until_left`](Claims::until_left): by the run's id.
//! * [`command`]: what a person types.

mod candidates;
pub mod command;
mod end;
mod extend;
#[cfg(test)]
mod fake;
mod fault;
mod find;
mod id;
mod left;
mod release;
mod request;
mod take;
mod wait;

pub use candidates::{claimable, in_order};
pub use extend::{ExtendError, Extended, Extension};
pub use fault::Fault;
pub use find::{FindError, Run};
pub use id::{BadId, check_id, fresh_id};
pub use left::Left;
pub use release::{ObjectRole, ReleaseError, Released, ReleasedObject};
pub use request::{RequestError, RequestWish};
pub use take::{ClaimError, ClaimWish, Claimed, claim_patch};
pub use wait::{Progress, WaitError};

use crate::api::{Lean, Sandbox, SandboxPool};
use kube::{Api, Client};

/// The claims of one namespace. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Claims {
    sandboxes: Api<Sandbox>,
    /// The same, for the one way that must be fast.
    lean: Api<Lean<Sandbox>>,
    pools: Api<SandboxPool>,
    namespace: String,
}

impl Claims {
    /// The claims of this namespace, as seen and written by this client.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            sandboxes: Api::namespaced(client.clone(), namespace),
            lean: Api::namespaced(client.clone(), namespace),
            pools: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}
