//! Does what a sweep's plan says: the list first, so that nothing goes that was not listed; then each delete, after
//! another live look at both sides. Decides nothing.

use super::facts::Key;
use super::list::{self, List, ListError};
use super::observe::{Handles, attempt};
use super::plan::{Plan, Target, ours};
use crate::api::orphans::Orphan;
use crate::controllers::context::Context;
use crate::controllers::sandbox::Guarded;
use crate::failure::chain;
use crate::providers::accounts::Connection;
use crate::providers::digitalocean::PROVIDER;
use crate::providers::{Account, ErrorClass, ProviderError};
use kube::{Api, Resource};
use std::collections::BTreeSet;
use std::time::Duration;

/// A delete is not begun when less of the lease than this is left.
const LEAST_LEASE: Duration = Duration::from_secs(1);

/// A sweep's plan could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The list could not be written; nothing was deleted.
    #[error(transparent)]
    List(#[from] ListError),
    /// The lease does not allow a write any more.
    #[error("no lease")]
    NotLeading,
}

/// Why one orphan is left alone for now.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("its Sandbox cannot be looked at")]
    Api(#[source] kube::Error),
    #[error("there is a Sandbox for it")]
    Wanted,
    #[error("it is not what was listed any more")]
    Changed,
    #[error(transparent)]
    Provider(ProviderError),
}

/// Carries out a plan; gives those whose deletion was asked for.
///
/// # Errors
/// When the list could not be written, or the lease is over. A delete that failed is repeated by the next sweep.
pub async fn apply(context: &Context, handles: &Handles, before: &List, plan: &Plan) -> Result<Vec<Key>, ApplyError> {
    context.metrics.orphans_seen(PROVIDER, count(plan.fresh));
    context.metrics.orphans_deleted(PROVIDER, count(plan.gone.len()));
    for key in &plan.gone {
        tracing::info!(account = %key.account, id = key.id, "the orphan is gone");
    }
    list::write(context, before, &plan.report).await?;
    tell(&before.orphans, &plan.report);
    let (mut asked, mut closed) = (Vec::new(), BTreeSet::<&Account>::new());
    for target in &plan.delete {
        let Some(connection) = handles.get(&target.key.account).filter(|_| !closed.contains(&target.key.account))
        else {
            continue;
        };
        match remove(context, connection, target).await? {
            Ok(()) => asked.push(target.key.clone()),
            Err(kept) => {
                if refuse(context, connection, &kept) {
                    closed.insert(&target.key.account);
                }
                let (account, id, name) = (&target.key.account, &target.key.id, &target.name);
                tracing::warn!(%account, id, name, reason = chain(&kept), "the orphan stays for now");
            }
        }
    }
    Ok(asked)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Says what is new about each orphan: there is no object that an Event could be about.
fn tell(before: &[Orphan], after: &[Orphan]) {
    for orphan in after {
        let known = before.iter().find(|known| known.account == orphan.account && known.id == orphan.id);
        if known.is_none_or(|known| known.state != orphan.state) {
            tracing::warn!(
                account = orphan.account,
                id = orphan.id,
                name = orphan.name,
                sandbox = format!("{}/{}", orphan.sandbox_namespace, orphan.sandbox_name),
                uid = orphan.uid,
                state = orphan.state.as_str(),
                reason = orphan.reason,
                "orphan"
            );
        }
    }
}

/// Whether the account is better left alone until the next sweep.
fn refuse(context: &Context, connection: &Connection, kept: &Kept) -> bool {
    let Kept::Provider(error) = kept else { return false };
    match error.class {
        ErrorClass::Limited { .. } => true,
        ErrorClass::Auth => {
            context.accounts.forget(connection);
            true
        }
        ErrorClass::Gone | ErrorClass::NameTaken | ErrorClass::Invalid | ErrorClass::Quota | ErrorClass::Unknown => {
            false
        }
    }
}

/// Looks once more and asks for the deletion of one orphan.
async fn remove(context: &Context, connection: &Connection, target: &Target) -> Result<Result<(), Kept>, ApplyError> {
    if let Err(kept) = look(context, connection, target).await {
        return Ok(Err(kept));
    }
    let left = context.lease.valid_for().min(context.timing.call_timeout);
    if left < LEAST_LEASE {
        return Err(ApplyError::NotLeading);
    }
    let answer = tokio::time::timeout(left, connection.provider.delete(&target.key.id)).await.unwrap_or_else(|_| {
        let message = format!("no answer within {left:?}");
        Err(ProviderError { class: ErrorClass::Unknown, operation: "delete", message })
    });
    match answer {
        Ok(()) => {
            let (account, id, marks) = (&target.key.account, &target.key.id, &target.marks);
            tracing::warn!(
                %account, id, name = target.name, sandbox = format!("{}/{}", marks.namespace, marks.name),
                uid = marks.uid, attempt = marks.attempt, "deletion of the orphan asked for"
            );
            Ok(Ok(()))
        }
        Err(error) if error.class == ErrorClass::Gone => Ok(Ok(())),
        Err(error) => Ok(Err(Kept::Provider(error))),
    }
}

/// The last look before a delete: still no Sandbox, and still the instance that was listed.
async fn look(context: &Context, connection: &Connection, target: &Target) -> Result<(), Kept> {
    let marks = &target.marks;
    let api: Api<Guarded> = Api::namespaced(context.client.clone(), &marks.namespace);
    let sandbox = api.get_opt(&marks.name).await.map_err(Kept::Api)?;
    if sandbox.is_some_and(|sandbox| wants(&sandbox, target, &context.installation)) {
        return Err(Kept::Wanted);
    }
    let instance = match connection.provider.get(&target.key.id).await {
        Ok(instance) => instance,
        // The delete will say so too, and the next listing.
        Err(error) if error.class == ErrorClass::Gone => return Ok(()),
        Err(error) => return Err(Kept::Provider(error)),
    };
    let same = ours(&context.installation, context.watched.as_deref(), &instance) == Some(marks);
    if same && instance.name == target.name { Ok(()) } else { Err(Kept::Changed) }
}

/// Whether this Sandbox may want the instance: the same UID, and not surely at a later attempt.
fn wants(sandbox: &Guarded, target: &Target, installation: &str) -> bool {
    if sandbox.meta().uid.as_ref() != Some(&target.marks.uid) {
        return false;
    }
    let attempt = sandbox.0.as_ref().ok().and_then(|sandbox| attempt(sandbox, installation));
    attempt.is_none_or(|(_, attempt)| attempt <= target.marks.attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::Marks;
    use serde_json::json;

    fn target() -> Target {
        let marks = Marks {
            installation: "home".to_owned(),
            namespace: "ns".to_owned(),
            name: "python-0".to_owned(),
            uid: "u".to_owned(),
            attempt: 2,
            pool_uid: "p".to_owned(),
            spec_hash: "h".to_owned(),
        };
        Target { key: Key { account: Account("team".to_owned()), id: "1".to_owned() }, name: "sb-x".to_owned(), marks }
    }

    fn sandbox(uid: &str, status: serde_json::Value) -> Guarded {
        let object = json!({"apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox",
            "metadata": {"name": "python-0", "namespace": "ns", "uid": uid},
            "spec": {"poolRef": {"name": "python"}}, "status": status});
        serde_json::from_value(object).expect("guarded")
    }

    fn at(attempt: i32, installation: &str) -> serde_json::Value {
        json!({"instance": {"provider": "digitalOcean", "account": "team", "installation": installation,
            "name": "sb-x", "attempt": attempt, "requestedAt": "2026-01-01T00:00:00Z"}})
    }

    #[test]
    fn a_sandbox_that_came_or_cannot_be_read_keeps_its_instance() {
        for status in [json!({}), at(2, "home"), at(1, "home"), at(3, "abroad"), json!({"instance": 7})] {
            assert!(wants(&sandbox("u", status.clone()), &target(), "home"), "{status}");
        }
        assert!(sandbox("u", json!({"instance": 7})).0.is_err(), "that one cannot be read");
    }

    #[test]
    fn another_sandbox_of_the_name_or_a_later_attempt_does_not() {
        assert!(!wants(&sandbox("other", at(2, "home")), &target(), "home"));
        assert!(!wants(&sandbox("u", at(3, "home")), &target(), "home"));
    }
}
