//! The end of a pool: unclaimed members go, claimed ones live to their expiry,
//! and the finalizer is lifted when the provider shows nothing of it any more.

use super::{Draft, Effect, has_finalizer};
use crate::api::conditions::{Reason, Type};
use crate::api::{ABANDON_POOL_ANNOTATION, END_CLAIMS_ANNOTATION};
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
    let Some(account) = draft.status.account.clone() else { return };
    let word = annotation(draft, ABANDON_POOL_ANNOTATION);
    if word == Some(account.as_str()) {
        return abandon(draft, &account);
    }
    let slip =
        word.map(|word| format!("; annotation {ABANDON_POOL_ANNOTATION} says {word:?}, but the account is {account}"));
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
    draft.want(Type::Terminating, true, Reason::ProvingEmpty, message + &slip.unwrap_or_default());
}

/// A person's word that the pool may go without proof, by the account so that it cannot be a slip.
/// Only without members: each of them needs a word of its own.
fn abandon(draft: &mut Draft<'_>, account: &str) {
    let note = format!("the pool was let go without proof that account {account} holds nothing of it");
    draft.event(true, Reason::Abandoned, note);
    draft.effects.push(Effect::ReleaseSecret);
    draft.effects.push(Effect::LiftFinalizer);
}

fn annotation<'a>(draft: &Draft<'a>, name: &str) -> Option<&'a str> {
    draft.facts.pool.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// Whether claimed members end too: asked for by annotation, or by a foreground deletion, which
/// is kept in the status because its finalizer may go.
fn ends_claims(draft: &mut Draft<'_>) -> bool {
    let asked = annotation(draft, END_CLAIMS_ANNOTATION) == Some("true");
    if draft.facts.pool.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FOREGROUND) {
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
