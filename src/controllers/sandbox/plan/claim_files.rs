//! Files that a claim begins with: put once into its sandbox, after those of the pool, as soon as its agent answers.
//! Until they are there the sandbox is held, and not ready.

use super::{Draft, Effect, attempt, files};
use crate::api::conditions::{Reason, Type};
use crate::api::{ClaimFiles, InstanceStatus, Phase};
use crate::controllers::transfers::{MoveError, Order, Progress, Purpose, Way};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Decides about the files of a claim whose instance is ready.
pub(super) fn plan(draft: &mut Draft<'_>) {
    let ready = |instance: &&InstanceStatus| instance.ready_at.is_some() && instance.failure.is_none();
    let Some(snapshot) = draft.facts.sandbox.awaited_snapshot() else { return };
    let Some(instance) = draft.status.instance.as_ref().filter(ready) else { return };
    if draft.status.phase == Some(Phase::Failed) {
        return;
    }
    let order = Order { way: Way::Restore(Purpose::Claim), snapshot: snapshot.to_owned(), attempt: instance.attempt };
    if !draft.facts.has_store {
        let message = format!("spec.claim.snapshot.name: {}", files::no_store(snapshot));
        return wait(draft, Reason::NoSnapshotStore, message);
    }
    // A transfer that ends in this pass brought other files, or these into a container that was replaced.
    let ends = draft.effects.contains(&Effect::EndTransfer);
    match draft.transfer(&order).filter(|_| !ends) {
        Some(Progress::Done { bytes }) => restored(draft, snapshot, bytes),
        Some(Progress::Failed { reason, message }) => failed(draft, snapshot, reason, &message),
        Some(Progress::Queued) => go_on(draft, snapshot, None),
        Some(Progress::Moving { trouble }) => go_on(draft, snapshot, trouble.as_ref()),
        None => {
            match retry_at(draft) {
                Some(at) if draft.facts.now < at => draft.again_at(at),
                _ if is_well(draft) && !ends => draft.effects.push(Effect::Transfer { order }),
                _ => {}
            }
            go_on(draft, snapshot, None);
        }
    }
}

fn is_well(draft: &Draft<'_>) -> bool {
    draft.facts.probe.is_some_and(|probe| probe.healthy)
}

fn retry_at(draft: &Draft<'_>) -> Option<jiff::Timestamp> {
    let tried = draft.status.claim_files.as_ref()?;
    let pause = attempt::policy(draft).backoff.after(i64::from(tried.failures));
    tried.failed_at.as_ref()?.0.checked_add(pause.signed()).ok()
}

/// They are coming. What the last try failed of stands until one does better.
fn go_on(draft: &mut Draft<'_>, snapshot: &str, trouble: Option<&MoveError>) {
    let told = |condition: &&Condition| condition.type_ == Type::FilesRestored.as_str();
    let failed = draft.status.claim_files.as_ref().is_some_and(|files| files.failures > 0);
    match draft.status.conditions.iter().find(told).filter(|_| failed && trouble.is_none()) {
        Some(told) => wait(draft, Reason::of(&told.reason), told.message.clone()),
        None => wait(draft, Reason::Restoring, files::on_the_way(snapshot, trouble)),
    }
}

/// The sandbox is held, and nobody is to use it yet.
fn wait(draft: &mut Draft<'_>, reason: Reason, message: String) {
    draft.want(Type::FilesRestored, false, reason, message.clone());
    // That the agent is silent was said already, and is the nearer reason.
    let silent = draft.wanted.iter().any(|wanted| wanted.kind == Type::Ready && wanted.status == Some(false));
    if !silent {
        draft.phase(Phase::Claimed, reason);
        draft.want(Type::Ready, false, reason, message);
    }
}

fn restored(draft: &mut Draft<'_>, snapshot: &str, bytes: u64) {
    draft.status.claim_files = Some(ClaimFiles { restored_at: Some(draft.time()), ..ClaimFiles::of(snapshot) });
    draft.effects.push(Effect::EndTransfer);
    let message = format!("from snapshot {snapshot}, {bytes} bytes");
    draft.want(Type::FilesRestored, true, Reason::Restored, message.clone());
    draft.event(false, Reason::Restored, format!("the claim begins with files {message}"));
    if is_well(draft) {
        draft.phase(Phase::Claimed, Reason::Claimed);
        draft.want(Type::Ready, true, Reason::Healthy, "the sandbox can be used");
    }
}

/// The claim stays, and so does its wish: whoever makes the snapshot, or mends it, need not claim again.
fn failed(draft: &mut Draft<'_>, snapshot: &str, reason: Reason, why: &str) {
    let time = draft.time();
    let files = draft.status.claim_files.get_or_insert_with(|| ClaimFiles::of(snapshot));
    files.failures = files.failures.saturating_add(1);
    files.failed_at = Some(time);
    let first = files.failures == 1;
    let out = match reason {
        Reason::SnapshotMissing | Reason::SnapshotDamaged => {
            format!(
                "make it with sandbar snapshot create RUN --name {snapshot}, or release the claim and name another one"
            )
        }
        _ => "see that the disk has room and the image has tar, or release the claim".to_owned(),
    };
    let message = format!(
        "spec.claim.snapshot.name: {snapshot} cannot be put into the sandbox: {why}; {out}; it is tried again by itself"
    );
    draft.effects.push(Effect::EndTransfer);
    if let Some(at) = retry_at(draft) {
        draft.again_at(at);
    }
    if first {
        draft.event(true, reason, message.clone());
    }
    wait(draft, reason, message);
}
