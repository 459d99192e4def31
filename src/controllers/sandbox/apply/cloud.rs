//! Provider calls: each sent once, its answer remembered until the status shows it.

use super::objects;
use crate::api::Sandbox;
use crate::controllers::apply_error::ApplyError;
use crate::controllers::context::Context;
use crate::controllers::sandbox::settle::Outcome;
use crate::providers::accounts::Connection;
use crate::providers::{CreateRequest, ErrorClass, Inputs, Marks, ProviderError};
use crate::telemetry::secret::Secret;
use std::time::Duration;
use tokio::time::Instant;

/// A call is not begun when less of the lease than this is left.
const LEAST_LEASE: Duration = Duration::from_secs(1);

/// After credentials were refused.
const AUTH_PAUSE: Duration = Duration::from_secs(30);

/// A create call as planned.
pub(super) struct Create {
    pub(super) name: String,
    pub(super) marks: Marks,
    /// Values out of Secrets.
    pub(super) inputs: Inputs,
    /// The attempt was written in this very pass.
    pub(super) fresh: bool,
    /// The agent's token, if this pass made sure of it.
    pub(super) token: Option<Secret<String>>,
}

/// Sends one create call (S1, S2): the attempt stands in the status already.
pub(super) async fn create(
    context: &Context,
    sandbox: &Sandbox,
    connection: Option<&Connection>,
    call: Create,
) -> Result<Option<Outcome>, ApplyError> {
    let Create { name, marks, inputs, fresh, token } = call;
    let (Some(connection), Some(template)) = (connection, sandbox.spec.template.clone()) else { return Ok(None) };
    let kept = match token {
        Some(token) => Some(token),
        None => objects::token(context, sandbox, false).await?,
    };
    let Some(agent_token) = kept else { return Ok(Some(Outcome::TokenLost)) };
    // The call must be over before another process could lead.
    let left = context.lease.valid_for().min(context.timing.create_timeout);
    if left < LEAST_LEASE {
        return Err(ApplyError::NotLeading);
    }
    let attempt = marks.attempt;
    let request = CreateRequest { name, marks, template, agent_token, inputs };
    let answer = tokio::time::timeout(left, connection.provider.create(&request)).await.unwrap_or_else(|_| {
        let message = format!("no answer within {left:?}");
        Err(ProviderError { class: ErrorClass::Unknown, operation: "create", message })
    });
    let pause = answer.as_ref().err().and_then(|error| pause(context, connection, error));
    let uid = sandbox.metadata.uid.as_deref().unwrap_or_default();
    context.memory.change(uid, attempt, |entry| {
        entry.create_ended = Some(Instant::now());
        entry.created = answer.as_ref().ok().cloned();
        entry.name_taken = matches!(&answer, Err(error) if error.class == ErrorClass::NameTaken);
        entry.not_before = pause;
    });
    Ok(Some(match answer {
        Ok(instance) => Outcome::Created(Box::new(instance)),
        Err(error) => Outcome::NotCreated { error, fresh },
    }))
}

/// Asks for the deletion of one instance; the answer is kept for the next pass.
pub(super) async fn delete(context: &Context, sandbox: &Sandbox, connection: Option<&Connection>, id: &str) {
    let (Some(connection), Some(instance)) = (connection, sandbox.instance()) else { return };
    let answer = connection.provider.delete(id).await;
    let gone = matches!(&answer, Err(error) if error.class == ErrorClass::Gone);
    let pause = answer.as_ref().err().and_then(|error| pause(context, connection, error));
    let uid = sandbox.metadata.uid.as_deref().unwrap_or_default();
    context.memory.change(uid, instance.attempt, |entry| {
        entry.delete_asked = Some(Instant::now());
        entry.proved_gone |= gone;
        entry.not_before = pause;
    });
    match answer {
        Ok(()) => {}
        Err(_) if gone => {
            let namespace = sandbox.metadata.namespace.as_deref().unwrap_or_default();
            context.poke_sandbox.poke(namespace, sandbox.metadata.name.as_deref().unwrap_or_default());
        }
        Err(error) => tracing::warn!(instance = %instance.name, id, %error, "deletion failed; it will be repeated"),
    }
}

fn pause(context: &Context, connection: &Connection, error: &ProviderError) -> Option<Instant> {
    match error.class {
        ErrorClass::Limited { until } => Some(until),
        ErrorClass::Auth => {
            context.accounts.forget(connection);
            Some(Instant::now() + AUTH_PAUSE)
        }
        ErrorClass::Gone | ErrorClass::NameTaken | ErrorClass::Invalid | ErrorClass::Quota | ErrorClass::Unknown => {
            None
        }
    }
}
