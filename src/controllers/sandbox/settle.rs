//! The status after the effects: computed from what came of them, never from what was hoped.

use crate::api::conditions::{self, Reason, Type, Wanted};
use crate::api::{AttemptFailure, SandboxStatus};
use crate::providers::{ErrorClass, Instance, ProviderError};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What came of an effect, where the status must tell.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The provider made the instance.
    Created(Box<Instance>),
    /// It did not, or nobody knows.
    NotCreated {
        /// Its words.
        error: ProviderError,
        /// It was the first create call of its attempt.
        fresh: bool,
    },
    /// The agent's token is gone, and with it the attempt.
    TokenLost,
}

/// The status once these outcomes are taken in.
pub fn settle(
    mut status: SandboxStatus,
    outcomes: Vec<Outcome>,
    generation: Option<i64>,
    now: Timestamp,
) -> SandboxStatus {
    for outcome in outcomes {
        let wanted = match outcome {
            Outcome::Created(instance) => created(&mut status, *instance),
            Outcome::NotCreated { error, fresh } => not_created(&mut status, &error, fresh, now),
            Outcome::TokenLost => {
                let message = "the Secret with the agent's token is gone; nobody could talk to this instance";
                // An instance may exist: it is removed before the next attempt.
                Some(fail(&mut status, Reason::TokenLost, message, now, false, false))
            }
        };
        let wanted: Vec<Wanted> = wanted.into_iter().collect();
        status.conditions = conditions::merge(&status.conditions, &wanted, generation, now);
    }
    status
}

fn created(status: &mut SandboxStatus, seen: Instance) -> Option<Wanted> {
    let instance = status.instance.as_mut()?;
    instance.id = Some(seen.id);
    instance.deployment_id = seen.deployment_id;
    instance.created_at = seen.created_at.map(|time| Time(conditions::whole_second(time)));
    status.instance_costs(None);
    let told = status.conditions.iter().any(|condition| condition.type_ == Type::ProviderReachable.as_str());
    told.then(|| Wanted::new(Type::ProviderReachable, true, Reason::AsExpected, "the provider answers"))
}

fn not_created(status: &mut SandboxStatus, error: &ProviderError, fresh: bool, now: Timestamp) -> Option<Wanted> {
    let (reason, message) = match error.class {
        ErrorClass::Invalid => {
            // Only the first call of an attempt proves that nothing exists: an earlier one may have.
            return Some(fail(status, Reason::InvalidSpec, &error.message, now, true, fresh));
        }
        ErrorClass::Quota => return Some(fail(status, Reason::AccountLimit, &error.message, now, false, fresh)),
        ErrorClass::Auth => (Reason::CredentialsRejected, error.to_string()),
        ErrorClass::Limited { .. } => (Reason::RateLimited, error.to_string()),
        // Unclear: it is looked for; a write for every such answer would only make noise.
        ErrorClass::Gone | ErrorClass::NameTaken | ErrorClass::Unknown => return None,
    };
    Some(Wanted::new(Type::ProviderReachable, false, reason, message))
}

fn fail(
    status: &mut SandboxStatus,
    reason: Reason,
    message: &str,
    now: Timestamp,
    terminal: bool,
    gone: bool,
) -> Wanted {
    let message = conditions::truncate(message, 1024);
    if let Some(instance) = &mut status.instance {
        instance.failure = Some(AttemptFailure {
            reason: reason.as_str().to_owned(),
            message: message.clone(),
            time: Time(conditions::whole_second(now)),
            terminal,
            gone,
        });
    }
    status.reason = Some(reason.as_str().to_owned());
    Wanted::new(Type::InstanceReady, false, reason, message)
}
