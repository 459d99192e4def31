//! Files that a fresh instance gets from a snapshot before it counts as ready.

use super::attempt::{Proof, fail};
use super::{Draft, Effect, hibernation};
use crate::api::conditions::{Reason, Type};
use crate::api::{ABANDON_FILES_ANNOTATION, Phase};
use crate::controllers::transfers::{MoveError, Order, Progress, Purpose, Way};

/// Where the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// In the instance, or not wanted, or known to be lost.
    Settled,
    /// On their way.
    Coming,
    /// They cannot come, and the attempt has ended.
    Hopeless,
}

/// The snapshot that the present attempt begins with.
fn wanted(draft: &Draft<'_>) -> Option<String> {
    let kept = draft.status.hibernation.as_ref();
    match kept {
        Some(kept) => kept.keeps_the_files().then(|| kept.snapshot.clone()),
        None => of_template(draft),
    }
}

/// The snapshot that every instance of the pool begins with.
pub(super) fn of_template(draft: &Draft<'_>) -> Option<String> {
    let template = draft.facts.sandbox.spec.template.as_ref()?;
    template.snapshot.as_ref().map(|snapshot| snapshot.name.clone())
}

/// Whether it may not be the turn of its files yet: a new process lets them queue anew.
pub(super) fn are_queued(draft: &Draft<'_>) -> bool {
    draft.facts.has_store && matches!(draft.facts.transfer, None | Some((_, Progress::Queued)))
}

/// Whether another attempt could not get the files either.
pub(super) fn is_hopeless(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SnapshotMissing | Reason::SnapshotDamaged | Reason::TransferFailed | Reason::NoSnapshotStore
    )
}

/// Puts the files into an instance whose agent answers for the first time.
pub(super) fn settle(draft: &mut Draft<'_>) -> Files {
    let Some(instance) = draft.status.instance.as_ref().filter(|instance| instance.ready_at.is_none()) else {
        return Files::Settled;
    };
    let attempt = instance.attempt;
    let Some(snapshot) = wanted(draft) else { return Files::Settled };
    if hibernation::are_given_up(draft) {
        if draft.facts.transfer.is_some() {
            draft.effects.push(Effect::EndTransfer);
        }
        given_up(draft, &snapshot);
        return Files::Settled;
    }
    if !draft.facts.has_store {
        return coming(draft, Reason::NoSnapshotStore, no_store(&snapshot));
    }
    let order = Order { way: Way::Restore(Purpose::Instance), snapshot: snapshot.clone(), attempt };
    match draft.transfer(&order) {
        None => {
            draft.effects.push(Effect::Transfer { order });
            let time = draft.time();
            if let Some(instance) = &mut draft.status.instance {
                instance.restore_began_at.get_or_insert(time);
            }
            coming(draft, Reason::Restoring, on_the_way(&snapshot, None))
        }
        Some(Progress::Queued) => coming(draft, Reason::Restoring, on_the_way(&snapshot, None)),
        Some(Progress::Moving { trouble }) => {
            let time = draft.time();
            if let Some(instance) = &mut draft.status.instance {
                instance.restore_turn_at.get_or_insert(time);
            }
            coming(draft, Reason::Restoring, on_the_way(&snapshot, trouble.as_ref()))
        }
        Some(Progress::Done { bytes }) => {
            draft.effects.push(Effect::EndTransfer);
            draft.want(Type::FilesRestored, true, Reason::Restored, format!("from snapshot {snapshot}, {bytes} bytes"));
            woken(draft);
            Files::Settled
        }
        // What went wrong here says nothing about the files: one that was to wake sleeps on.
        Some(Progress::Failed { reason, message }) => {
            draft.want(Type::FilesRestored, false, reason, message.clone());
            fail(draft, reason, message, Proof::None);
            Files::Hopeless
        }
    }
}

/// What to say where a snapshot is wanted and there is no store.
pub(super) fn no_store(snapshot: &str) -> String {
    format!("snapshot {snapshot} is wanted, and the operator has no snapshot store; start it with --snapshot-url")
}

/// What to say while files come.
pub(super) fn on_the_way(snapshot: &str, trouble: Option<&MoveError>) -> String {
    match trouble {
        None => format!("getting the files of snapshot {snapshot}"),
        Some(trouble) => format!("snapshot {snapshot} is tried again: {trouble}"),
    }
}

fn coming(draft: &mut Draft<'_>, reason: Reason, message: String) -> Files {
    draft.phase(Phase::Booting, reason);
    draft.want(Type::InstanceReady, true, Reason::AsExpected, "the provider runs the instance");
    draft.want(Type::AgentReady, true, Reason::Healthy, "the agent answers");
    draft.want(Type::FilesRestored, false, reason, message.clone());
    draft.want(Type::Ready, false, reason, message);
    draft.again_soon();
    Files::Coming
}

fn woken(draft: &mut Draft<'_>) {
    let time = draft.time();
    let Some(kept) = draft.status.hibernation.as_mut().filter(|kept| kept.keeps_the_files()) else { return };
    let took = kept.wake_requested_at.as_ref().map(|since| time.0.duration_since(since.0).as_secs());
    kept.restored_at = Some(time);
    kept.wake_seconds = took;
    let message = format!("awake with its files after {} s", took.unwrap_or_default());
    draft.want(Type::Hibernated, false, Reason::AsExpected, message.clone());
    draft.event(false, Reason::Restored, message);
    if draft.status.conditions.iter().any(|condition| condition.type_ == Type::FilesLost.as_str()) {
        draft.want(Type::FilesLost, false, Reason::Restored, "what it had when it went to sleep is back");
    }
}

/// The member runs again without what it had, by its holder's word; the snapshot, if there is one, stays.
fn given_up(draft: &mut Draft<'_>, snapshot: &str) {
    let time = draft.time();
    if let Some(kept) = draft.status.hibernation.as_mut() {
        kept.lost_at = Some(time);
    }
    let message = format!("awake without its files: annotation {ABANDON_FILES_ANNOTATION} gives up {snapshot}");
    let reason = Reason::Abandoned;
    draft.want(Type::FilesLost, true, reason, message.clone());
    draft.want(Type::FilesRestored, false, reason, message.clone());
    draft.want(Type::Hibernated, false, Reason::AsExpected, "it runs, without its files");
    draft.event(true, reason, message);
}
