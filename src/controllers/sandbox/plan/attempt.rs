//! From no instance to one that the provider knows, attempt by attempt.

use super::{Draft, Effect, files, hibernation, inputs, meter, running};
use crate::api::conditions::{Reason, Type};
use crate::api::{AttemptFailure, CreatePolicy, InstanceStatus, Phase, short_hash};
use crate::controllers::sandbox::existence::{Existence, judge};
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::transfers::RESTORE_LIMIT;
use crate::providers::{Inputs, Marks, instance_name};
use std::time::Duration;

/// Decides about a member that lives.
pub(super) fn plan(draft: &mut Draft<'_>) {
    if draft.status.phase == Some(Phase::Failed) {
        // The pool records the failure and deletes the member; a claimed one ends itself.
        return;
    }
    if let Some(pause) = draft.facts.evidence.not_before {
        draft.again(pause);
        return;
    }
    if !draft.open_account() {
        if draft.status.phase.is_none() {
            draft.phase(Phase::Pending, Reason::ProviderUnavailable);
        }
        let ran = |instance: &InstanceStatus| instance.ready_at.is_some() && instance.failure.is_none();
        if draft.status.instance.as_ref().is_some_and(ran) {
            // A claim needs no provider, and shows.
            running::ready_as_before(draft);
        }
        return;
    }
    match draft.status.instance.clone() {
        None => match files::of_template(draft).filter(|_| !draft.facts.has_store) {
            // An instance that cannot get its files would cost money for nothing.
            Some(snapshot) => give_up(draft, Reason::NoSnapshotStore, files::no_store(&snapshot)),
            None => begin(draft, 1),
        },
        Some(instance) if instance.failure.is_some() => after_failure(draft, &instance),
        Some(instance) if instance.ready_at.is_none() && hibernation::back_to_sleep(draft) => {}
        Some(instance) => follow(draft, &instance),
    }
}

pub(super) fn policy(draft: &Draft<'_>) -> CreatePolicy {
    draft.facts.sandbox.spec.template.as_ref().map(|template| template.create.clone()).unwrap_or_default()
}

/// Writes the attempt as intent, then creates: the write must win first (S2).
pub(super) fn begin(draft: &mut Draft<'_>, attempt: i32) {
    let ProviderFact::Open { account } = &draft.facts.provider else { return };
    let Some(inputs) = inputs::take(draft) else { return };
    let name = instance_name(&draft.facts.installation, draft.uid(), attempt);
    draft.status.instance = Some(InstanceStatus {
        provider: "digitalOcean".to_owned(),
        account: account.0.clone(),
        installation: draft.facts.installation.clone(),
        name,
        attempt,
        requested_at: draft.time(),
        id: None,
        deployment_id: None,
        created_at: None,
        restore_began_at: None,
        restore_turn_at: None,
        ready_at: None,
        failure: None,
    });
    meter::ask(draft);
    draft.phase(Phase::Creating, Reason::Creating);
    draft.needs_token = true;
    create(draft, inputs, true);
}

fn create(draft: &mut Draft<'_>, inputs: Inputs, fresh: bool) {
    let (Some(instance), Some(template)) = (&draft.status.instance, &draft.facts.sandbox.spec.template) else { return };
    let metadata = &draft.facts.sandbox.metadata;
    let template_text = serde_json::to_string(template).unwrap_or_default();
    let marks = Marks {
        installation: instance.installation.clone(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        attempt: instance.attempt,
        pool_uid: template.pool_uid.clone(),
        spec_hash: short_hash(&[&template_text], 16),
    };
    draft.effects.push(Effect::Create { name: instance.name.clone(), marks, inputs, fresh });
    draft.again_soon();
}

/// An attempt is under way: find its instance, or ask for it again.
fn follow(draft: &mut Draft<'_>, instance: &InstanceStatus) {
    match judge(&draft.facts.evidence, draft.uid(), instance) {
        Existence::Present(seen) => return running::plan(draft, &seen),
        Existence::Absent if instance.id.is_some() => return lost(draft, instance),
        Existence::Foreign => {
            let message = format!("an instance that is not ours has the name {}", instance.name);
            return fail(draft, Reason::NameCollision, message, Proof::Gone);
        }
        Existence::Absent | Existence::Unknown => {}
    }
    if past_deadline(draft, instance) {
        return;
    }
    draft.again_soon();
    // A repeated POST of the same attempt is a probe, not a create: the name answers for it. It
    // waits for a listing newer than the last one, which is cheaper.
    if instance.id.is_none()
        && draft.facts.evidence.listing_is_newer
        && !draft.facts.evidence.name_taken
        && let Some(inputs) = inputs::take(draft)
    {
        create(draft, inputs, false);
    }
}

/// Whether the attempt's time is over; if so, ends it. The deadline is for the instance; what the agent's first answer
/// leaves to do takes as long as the files are many.
pub(super) fn past_deadline(draft: &mut Draft<'_>, instance: &InstanceStatus) -> bool {
    if instance.ready_at.is_some() {
        return false;
    }
    let deadline = policy(draft).deadline;
    let (until, message) = match &instance.restore_began_at {
        // Every transfer before it has an end.
        Some(_) if instance.restore_turn_at.is_none() && files::are_queued(draft) => return false,
        None => {
            let message = format!("not ready {deadline} after attempt {}", instance.attempt);
            (instance.requested_at.0.checked_add(deadline.signed()), message)
        }
        Some(began) => {
            let message = format!("its files did not come within {} s", RESTORE_LIMIT.as_secs());
            (instance.restore_turn_at.as_ref().unwrap_or(began).0.checked_add(RESTORE_LIMIT), message)
        }
    };
    let Ok(until) = until else { return false };
    if draft.facts.now < until {
        draft.again_at(until);
        return false;
    }
    // A view from before the deadline cannot tell what was reached by then (S3).
    let seen_at = draft.facts.evidence.listing_age.and_then(|age| draft.facts.now.checked_sub(age).ok());
    if seen_at.is_none_or(|seen_at| seen_at < until) {
        draft.again_soon();
        return false;
    }
    fail(draft, Reason::DeadlineExceeded, message, Proof::None);
    true
}

/// The provider says that an instance which was there is no more.
fn lost(draft: &mut Draft<'_>, instance: &InstanceStatus) {
    let message = format!("the provider no longer knows {}", instance.name);
    if instance.ready_at.is_none() {
        return fail(draft, Reason::InstanceLost, message, Proof::Gone);
    }
    fail(draft, Reason::InstanceLost, message.clone(), Proof::Gone);
    // What ran is never re-created: its files are lost with it.
    give_up(draft, Reason::InstanceLost, message);
}

/// Whether the instance of a failed attempt is known to be gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Gone,
    None,
}

/// Ends an attempt; what is left of it is removed before the next one.
pub(super) fn fail(draft: &mut Draft<'_>, reason: Reason, message: String, proof: Proof) {
    let time = draft.time();
    if let Some(instance) = &mut draft.status.instance {
        let gone = proof == Proof::Gone;
        instance.failure = Some(AttemptFailure {
            reason: reason.as_str().to_owned(),
            message: message.clone(),
            time,
            terminal: false,
            gone,
        });
    }
    if proof == Proof::Gone {
        meter::end(draft);
    }
    if draft.facts.transfer.is_some() {
        draft.effects.push(Effect::EndTransfer);
    }
    draft.status.url = None;
    draft.phase(Phase::Creating, reason);
    draft.want(Type::InstanceReady, false, reason, message.clone());
    draft.event(true, reason, message);
    draft.again(Duration::from_millis(50));
}

fn after_failure(draft: &mut Draft<'_>, instance: &InstanceStatus) {
    let Some(failure) = &instance.failure else { return };
    if !failure.gone && !super::teardown::remove(draft, instance) {
        return;
    }
    meter::end(draft);
    if let Some(failure) = draft.status.instance.as_mut().and_then(|instance| instance.failure.as_mut()) {
        failure.gone = true;
    }
    if hibernation::sleeps(draft, failure) {
        return hibernation::asleep(draft, instance);
    }
    let (policy, tries) = (policy(draft), hibernation::tries(draft, instance.attempt));
    let reason = Reason::of(&failure.reason);
    // Where the account is full another attempt only asks the same again: the pool waits for longer.
    let futile = failure.terminal || reason == Reason::AccountLimit || files::is_hopeless(reason);
    let (over, waking) = (futile || tries >= policy.max_attempts, hibernation::keeps_the_files(draft));
    if over && !waking {
        return give_up(draft, reason, failure.message.clone());
    }
    let pause = policy.backoff.after(i64::from(tries));
    let Ok(until) = failure.time.0.checked_add(pause.signed()) else { return };
    if draft.facts.now < until {
        if over {
            hibernation::rest(draft, reason, &failure.message);
        }
        draft.again_at(until);
    } else if waking {
        hibernation::wake(draft, instance.attempt + 1);
    } else {
        begin(draft, instance.attempt + 1);
    }
}

/// The member has no instance and will get none (S13).
pub(super) fn give_up(draft: &mut Draft<'_>, reason: Reason, message: String) {
    draft.phase(Phase::Failed, reason);
    draft.status.url = None;
    if draft.status.ended_at.is_none() {
        draft.status.ended_at = Some(draft.time());
    }
    draft.want(Type::Ready, false, reason, message.clone());
    draft.want(Type::InstanceReady, false, reason, message.clone());
    draft.event(true, reason, message);
    draft.again(Duration::from_secs(1));
}
