//! Reads everything that a plan for one Sandbox needs.

mod member;
mod request;
mod worker;

pub(crate) use request::queue;

use super::facts::Observed;
use crate::api::Sandbox;
use crate::controllers::context::Context;
use crate::providers::accounts::Connection;
use std::sync::Arc;

/// Something that a plan needs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The API server did not answer a read.
    #[error("reading {what}")]
    Api {
        /// What was to be read.
        what: &'static str,
        /// Why not.
        #[source]
        source: kube::Error,
    },
}

/// Observes one Sandbox, and gives the way to its provider where it is open.
///
/// # Errors
/// If the API server does not answer. A provider that does not is a fact, no error.
pub async fn observe(
    context: &Context,
    sandbox: &Arc<Sandbox>,
) -> Result<(Observed, Option<Connection>), ObserveError> {
    if sandbox.is_member() {
        let (facts, connection) = member::observe(context, sandbox).await?;
        Ok((Observed::Member(Box::new(facts)), connection))
    } else {
        Ok((Observed::Request(Box::new(request::observe(context, sandbox).await?)), None))
    }
}
