//! The end of a pool: unclaimed members go, claimed ones live to their expiry,
//! and the finalizer is lifted when the provider shows nothing of it any more.

use super::{Draft, Effect, has_finalizer};
use crate::api::END_CLAIMS_ANNOTATION;
use crate::api::conditions::{Reason, Type};
use crate::controllers::sandbox::facts::ProviderFact;
use std::time::Duration;

/// Kubernetes puts this finalizer on an object that is deleted in the foreground.
const FOREGROUND: &str = "foregroundDeletion";

const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn plan(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    if !has_finalizer(facts) {
        return;
    }
    draft.status.desired_warm = 0;
    draft.want(Type::Available, false, Reason::PoolTerminating, "the pool is being deleted");
    let end_claims = ends_claims(draft);
    for member in facts.members.iter().filter(|member| end_claims || !member.claimed) {
        draft.remove(member, Reason::PoolTerminating);
    }
    draft.again(LOOK_AGAIN);
    let left = facts.members.len() + facts.hidden;
    if left > 0 {
        return wait_for_members(draft);
    }
    // Without an account nothing was ever asked for.
    let untouched = draft.status.account.is_none();
    if untouched || (account_open(draft) && facts.proved_empty) {
        draft.effects.push(Effect::ReleaseSecret);
        draft.effects.push(Effect::LiftFinalizer);
        return;
    }
    let message = match &facts.provider {
        ProviderFact::Shut { message, .. } => {
            format!("waiting for proof that nothing is left at the provider: {message}")
        }
        ProviderFact::Open { account } => match draft.status.account.as_ref().filter(|known| **known != account.0) {
            Some(known) => {
                format!("the credentials open account {account}; put a token of {known} back into the Secret")
            }
            None => "waiting for a listing that shows nothing of this pool".to_owned(),
        },
    };
    draft.want(Type::Terminating, true, Reason::ProvingEmpty, message);
}

/// Whether claimed members end too: asked for by annotation, or by a foreground deletion, which
/// is kept in the status because its finalizer may go.
fn ends_claims(draft: &mut Draft<'_>) -> bool {
    let metadata = &draft.facts.pool.metadata;
    let asked = metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(END_CLAIMS_ANNOTATION))
        .is_some_and(|value| value == "true");
    if metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FOREGROUND) {
        draft.status.ends_claims = Some(true);
    }
    asked || draft.status.ends_claims == Some(true)
}

fn wait_for_members(draft: &mut Draft<'_>) {
    let claimed = draft.facts.members.iter().filter(|member| member.claimed && !member.deleting);
    let until = claimed.clone().filter_map(|member| member.expires_at).max();
    match (claimed.count(), until) {
        (0, _) => draft.want(Type::Terminating, true, Reason::Deleting, "members are being removed"),
        (count, Some(until)) => draft.want(
            Type::Terminating,
            true,
            Reason::ClaimsRemain,
            format!("{count} claimed until {until}; annotate with {END_CLAIMS_ANNOTATION}=true to end them now"),
        ),
        (count, None) => draft.want(Type::Terminating, true, Reason::ClaimsRemain, format!("{count} claimed")),
    }
}

/// Another account's empty listing proves nothing.
fn account_open(draft: &Draft<'_>) -> bool {
    matches!(&draft.facts.provider, ProviderFact::Open { account } if Some(&account.0) == draft.status.account.as_ref())
}
