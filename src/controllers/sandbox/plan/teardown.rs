//! The end of an instance: asked for again and again until it is proved gone.
//!
//! Needs only status, name, template and credentials, never a valid pool.

use super::{Draft, Effect, meter};
use crate::api::conditions::{Reason, Type, whole_second};
use crate::api::{ABANDON_ANNOTATION, HibernationStatus, InstanceStatus, Phase};
use crate::controllers::sandbox::existence::{Existence, judge};
use crate::controllers::sandbox::facts::Evidence;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::time::Duration;

/// A delete that showed no effect is repeated after this.
const REPEAT_DELETE: Duration = Duration::from_secs(20);

/// Decides about a member that somebody deleted.
pub(super) fn plan(draft: &mut Draft<'_>) {
    if !super::has_finalizer(&draft.facts.sandbox) {
        return;
    }
    let Some(instance) = draft.status.instance.clone() else {
        // The attempt is always written before a create: without one nothing was ever asked for.
        return let_go(draft);
    };
    if draft.facts.transfer.is_some() {
        draft.effects.push(Effect::EndTransfer);
    }
    let ended = draft.status.cost.as_ref().is_some_and(|cost| cost.ended_at.is_some());
    if ended || instance.failure.as_ref().is_some_and(|failure| failure.gone) {
        return let_go(draft);
    }
    if abandoned(draft, &instance) {
        return;
    }
    if draft.status.phase != Some(Phase::Terminating) {
        draft.status.phase = Some(Phase::Terminating);
        draft.want(Type::Ready, false, Reason::Deleting, "the instance is being removed");
    }
    if draft.open_account() && remove(draft, &instance) {
        let_go(draft);
    }
}

/// Nothing is left at the provider. What the member cost is its pool's before it goes (S14).
fn let_go(draft: &mut Draft<'_>) {
    if !meter::hand_over(draft) {
        draft.status.phase = Some(Phase::Terminating);
        return;
    }
    for snapshot in draft.status.hibernation.iter().flat_map(HibernationStatus::left_over) {
        draft.effects.push(Effect::DiscardSnapshot { snapshot });
    }
    draft.effects.push(Effect::DeleteToken);
    draft.effects.push(Effect::LiftFinalizer);
    // The object is gone with its finalizer: its status is not worth a write.
    draft.status = draft.facts.sandbox.status.clone().unwrap_or_default();
    draft.wanted.clear();
}

/// A person's word that the instance may be forgotten, by its name so that it cannot be a slip.
fn abandoned(draft: &mut Draft<'_>, instance: &InstanceStatus) -> bool {
    let annotations = draft.facts.sandbox.metadata.annotations.as_ref();
    let word = annotations.and_then(|annotations| annotations.get(ABANDON_ANNOTATION));
    if word != Some(&instance.name) {
        return false;
    }
    let id = instance.id.as_deref().unwrap_or("unknown");
    draft.event(
        true,
        Reason::Abandoned,
        format!(
            "instance {} (id {id}) in account {} was given up without proof of its end",
            instance.name, instance.account
        ),
    );
    let_go(draft);
    true
}

/// Takes the next step to the end of an instance; true if it is proved gone (S4).
pub(super) fn remove(draft: &mut Draft<'_>, instance: &InstanceStatus) -> bool {
    if let Some(pause) = draft.facts.evidence.not_before {
        draft.again(pause);
        return false;
    }
    let evidence = &draft.facts.evidence;
    match judge(evidence, draft.uid(), instance) {
        Existence::Absent | Existence::Foreign => return true,
        Existence::Present(seen) => {
            if let Some(stored) = &mut draft.status.instance {
                stored.id = Some(seen.id.clone());
                let made = seen.created_at.map(|time| Time(whole_second(time)));
                stored.created_at = stored.created_at.take().or(made);
            }
            meter::begin(draft);
            ask(draft, evidence, seen.id);
        }
        Existence::Unknown => {
            if let Some(id) = instance.id.clone() {
                ask(draft, evidence, id);
            }
        }
    }
    draft.again_soon();
    false
}

/// Asks for the deletion unless that was done lately; a listing without it calls for the proof.
fn ask(draft: &mut Draft<'_>, evidence: &Evidence, id: String) {
    let unlisted = evidence.listing_is_newer && evidence.listed.is_none();
    let due = evidence.delete_asked_ago.is_none_or(|ago| ago >= REPEAT_DELETE);
    if due || unlisted {
        draft.effects.push(Effect::Delete { id });
    }
}
