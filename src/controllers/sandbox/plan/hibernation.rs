//! Hibernation of a claimed member: its files go into a snapshot, then its instance goes, and it comes back as a new
//! attempt. The object and its claim stay all the while.

use super::running::PROBE_FAILURES;
use super::{Draft, Effect, attempt, files};
use crate::api::ABANDON_FILES_ANNOTATION;
use crate::api::conditions::{Reason, Type};
use crate::api::{AttemptFailure, HibernationStatus, InstanceStatus, OperatingMode, Phase};
use crate::artifacts::hibernated_name;
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::transfers::{MoveError, Order, Progress, Way};
use std::time::Duration;

/// Whether the holder wants it hibernated.
pub(super) fn is_asked(draft: &Draft<'_>) -> bool {
    let spec = &draft.facts.sandbox.spec;
    draft.facts.sandbox.held_by().is_some() && spec.operating_mode == Some(OperatingMode::Hibernated)
}

/// Whether the files are in the store and nowhere else.
pub(super) fn keeps_the_files(draft: &Draft<'_>) -> bool {
    draft.status.hibernation.as_ref().is_some_and(HibernationStatus::keeps_the_files)
}

/// Decides about a member whose instance is ready.
pub(super) fn plan(draft: &mut Draft<'_>) {
    let ready = |instance: &&InstanceStatus| instance.ready_at.is_some() && instance.failure.is_none();
    let Some(instance) = draft.status.instance.as_ref().filter(ready) else { return };
    // Files are not taken out for a delete that nobody could ask for.
    let open = matches!(&draft.facts.provider, ProviderFact::Open { account } if account.0 == instance.account);
    if draft.status.phase == Some(Phase::Failed) || !open {
        return;
    }
    let attempt = instance.attempt;
    if !is_asked(draft) {
        return stay(draft);
    }
    if draft.facts.sandbox.awaited_snapshot().is_some() {
        let message = "it is hibernated once it has the files that its claim begins with";
        return draft.want(Type::Hibernated, false, Reason::Restoring, message);
    }
    if !draft.facts.has_store {
        let message =
            "the operator has no snapshot store, so the sandbox goes on running; start it with --snapshot-url";
        return cannot(draft, Reason::NoSnapshotStore, message);
    }
    if draft.status.url.is_none() {
        return cannot(draft, Reason::TransferFailed, "the sandbox has no address, so its files cannot be taken out");
    }
    if draft.status.hibernation.as_ref().is_none_or(HibernationStatus::is_over) {
        if !is_well(draft) {
            return unwell(draft);
        }
        begin(draft);
    }
    keep(draft, attempt);
}

/// Nobody can take files out through an agent that is silent; one that was not asked yet may answer soon.
fn unwell(draft: &mut Draft<'_>) {
    if draft.facts.probe.is_some_and(|probe| probe.failures >= PROBE_FAILURES) {
        cannot(draft, Reason::ProbeFailed, "the agent does not answer, so the files cannot be taken out yet");
    }
}

fn is_well(draft: &Draft<'_>) -> bool {
    draft.facts.probe.is_some_and(|probe| probe.healthy)
}

/// Writes that files are going to be kept.
fn begin(draft: &mut Draft<'_>) {
    // What could not be put back stays for its holder.
    let before = draft.status.hibernation.take().filter(|before| before.lost_at.is_none());
    let replaces = before.map(|before| before.snapshot);
    draft.event(false, Reason::Hibernating, "its files are being kept");
    draft.status.hibernation = Some(HibernationStatus::begun(replaces, draft.time()));
}

/// Writes where the files of the next try go, and moves them. Every try has a name of its own: what a process that was
/// paused, or has died, still brings about never takes the place of what its successor kept.
fn next_try(draft: &mut Draft<'_>, mut hibernation: HibernationStatus, attempt: i32) {
    let generation = draft.facts.sandbox.metadata.generation.unwrap_or_default();
    let before = std::mem::take(&mut hibernation.snapshot);
    hibernation.tries = hibernation.tries.saturating_add(1);
    hibernation.snapshot = hibernated_name(&draft.facts.installation, draft.uid(), generation, hibernation.tries);
    let order = Order { way: Way::Save, snapshot: hibernation.snapshot.clone(), attempt };
    draft.status.hibernation = Some(hibernation);
    hibernating(draft);
    draft.effects.push(Effect::Transfer { order });
    if !before.is_empty() {
        draft.effects.push(Effect::DiscardSnapshot { snapshot: before });
    }
}

/// Keeps the files; the instance stays as it is until they are whole in the store.
fn keep(draft: &mut Draft<'_>, attempt: i32) {
    let Some(hibernation) = draft.status.hibernation.clone() else { return };
    let order = Order { way: Way::Save, snapshot: hibernation.snapshot.clone(), attempt };
    match draft.transfer(&order) {
        Some(Progress::Done { bytes }) => saved(draft, hibernation, bytes),
        Some(Progress::Failed { message, .. }) => failed(draft, hibernation, &message),
        Some(Progress::Queued | Progress::Moving { .. }) => hibernating(draft),
        None => match retry_at(draft, &hibernation) {
            Some(at) if draft.facts.now < at => draft.again_at(at),
            _ if is_well(draft) => next_try(draft, hibernation, attempt),
            // A new process has not heard of the agent yet.
            _ if draft.facts.sandbox.phase() == Phase::Hibernating => hibernating(draft),
            _ => {}
        },
    }
}

fn retry_at(draft: &Draft<'_>, hibernation: &HibernationStatus) -> Option<jiff::Timestamp> {
    let failed = hibernation.failed_at.as_ref()?;
    let pause = attempt::policy(draft).backoff.after(i64::from(hibernation.failures));
    failed.0.checked_add(pause.signed()).ok()
}

fn hibernating(draft: &mut Draft<'_>) {
    draft.phase(Phase::Hibernating, Reason::Hibernating);
    draft.want(Type::Hibernated, false, Reason::Hibernating, "its files are being kept");
    draft.want(Type::Ready, false, Reason::Hibernating, "it is being hibernated");
}

/// The files are whole in the store: from here on there is no way back but waking.
fn saved(draft: &mut Draft<'_>, mut hibernation: HibernationStatus, bytes: u64) {
    let message = format!("its files are in snapshot {} ({bytes} bytes)", hibernation.snapshot);
    if let Some(snapshot) = hibernation.replaces.take() {
        draft.effects.push(Effect::DiscardSnapshot { snapshot });
    }
    hibernation.saved_at = Some(draft.time());
    hibernation.size_bytes = i64::try_from(bytes).ok();
    (hibernation.failures, hibernation.failed_at) = (0, None);
    draft.status.hibernation = Some(hibernation);
    draft.effects.push(Effect::EndTransfer);
    draft.event(false, Reason::Hibernating, message.clone());
    hibernating(draft);
    put_down(draft, message);
}

/// Ends the attempt; what is left of it is removed as that of any other.
fn put_down(draft: &mut Draft<'_>, message: String) {
    let time = draft.time();
    if let Some(instance) = &mut draft.status.instance {
        let reason = Reason::Hibernated.as_str().to_owned();
        instance.failure =
            Some(AttemptFailure { reason, message: message.clone(), time, terminal: false, gone: false });
    }
    draft.status.url = None;
    draft.want(Type::InstanceReady, false, Reason::Hibernated, message.clone());
    draft.want(Type::AgentReady, false, Reason::Hibernated, message);
    draft.again(Duration::from_millis(50));
}

/// The instance stays, and so do its files in it.
fn failed(draft: &mut Draft<'_>, mut hibernation: HibernationStatus, message: &str) {
    hibernation.failures = hibernation.failures.saturating_add(1);
    hibernation.failed_at = Some(draft.time());
    draft.effects.push(Effect::EndTransfer);
    if let Some(at) = retry_at(draft, &hibernation) {
        draft.again_at(at);
    }
    draft.status.hibernation = Some(hibernation);
    cannot(draft, Reason::SnapshotFailed, &format!("it goes on running and is tried again: {message}"));
}

/// It goes on running, and the condition says why.
fn cannot(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    let said = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.type_ == Type::Hibernated.as_str()
            && condition.reason == reason.as_str()
            && condition.message == crate::api::conditions::truncate(message, 1024)
    };
    if !draft.status.conditions.iter().any(said) {
        draft.event(true, reason, message);
    }
    draft.want(Type::Hibernated, false, reason, message);
}

/// It is to run and does; a hibernation that was begun is given up.
fn stay(draft: &mut Draft<'_>) {
    let begun = draft.status.hibernation.as_ref().is_some_and(|hibernation| !hibernation.is_over());
    if let Some(hibernation) = draft.status.hibernation.take_if(|_| begun) {
        draft.effects.push(Effect::EndTransfer);
        for snapshot in hibernation.left_over() {
            draft.effects.push(Effect::DiscardSnapshot { snapshot });
        }
        draft.event(false, Reason::Claimed, "it is not hibernated after all");
    }
    let told = |condition: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.type_ == Type::Hibernated.as_str() && condition.reason != Reason::AsExpected.as_str()
    };
    // Waking has its own word in this very pass.
    let woken = draft.wanted.iter().any(|wanted| wanted.kind == Type::Hibernated);
    if !woken && draft.status.conditions.iter().any(|condition| told(&condition)) {
        draft.want(Type::Hibernated, false, Reason::AsExpected, "it runs");
    }
}

/// Whether the attempt that ended is one that was put to sleep, or one of a waking that is not wanted any more.
pub(super) fn sleeps(draft: &Draft<'_>, over: &AttemptFailure) -> bool {
    over.reason == Reason::Hibernated.as_str() || (is_asked(draft) && keeps_the_files(draft))
}

/// Nothing exists at the provider and the files are in the store: stays so, or wakes.
pub(super) fn asleep(draft: &mut Draft<'_>, instance: &InstanceStatus) {
    let (time, asked) = (draft.time(), is_asked(draft));
    let Some(mut hibernation) = draft.status.hibernation.clone() else { return };
    if hibernation.hibernated_at.is_none() {
        hibernation.hibernated_at = Some(time.clone());
        draft.event(false, Reason::Hibernated, format!("hibernated; its files are in {}", hibernation.snapshot));
    }
    let message = "no instance runs; set spec.operatingMode to Running to wake it";
    sleep_on(draft, Reason::Hibernated, message);
    if asked {
        (hibernation.wake_requested_at, hibernation.wake_attempt) = (None, None);
        draft.status.hibernation = Some(hibernation);
        if draft.facts.transfer.is_some() {
            draft.effects.push(Effect::EndTransfer);
        }
        return;
    }
    // What a create call needs may be missing for a while: waking begins once.
    if hibernation.wake_requested_at.is_none() {
        hibernation.wake_requested_at = Some(time);
        draft.event(false, Reason::Waking, "waking");
    }
    hibernation.wake_attempt = Some(instance.attempt + 1);
    draft.status.hibernation = Some(hibernation);
    wake(draft, instance.attempt + 1);
}

/// Makes the next instance, once its files are found in the store: one without them would cost money for nothing, and
/// what is missing may only be elsewhere.
pub(super) fn wake(draft: &mut Draft<'_>, attempt: i32) {
    let Some(snapshot) = draft.status.hibernation.as_ref().map(|kept| kept.snapshot.clone()) else { return };
    if are_given_up(draft) {
        return make(draft, attempt, "a new instance is made, without its files");
    }
    if !draft.facts.has_store {
        return rest(draft, Reason::NoSnapshotStore, &files::no_store(&snapshot));
    }
    let over = draft.status.instance.as_ref().and_then(|instance| instance.failure.clone());
    let damage = over.filter(|over| over.reason == Reason::SnapshotDamaged.as_str());
    let way = if damage.is_some() { Way::Check } else { Way::Find };
    let order = Order { way, snapshot: snapshot.clone(), attempt };
    match (draft.transfer(&order), damage) {
        (Some(Progress::Done { .. }), _) => make(draft, attempt, "a new instance is made and gets its files"),
        (Some(Progress::Moving { trouble: Some(trouble) }), _) if trouble.passing => {
            look(draft, format!("snapshot {snapshot} is looked for again: {trouble}"));
        }
        (
            Some(
                Progress::Moving { trouble: Some(MoveError { reason, message, .. }) }
                | Progress::Failed { reason, message },
            ),
            _,
        ) => {
            rest(draft, reason, &message);
        }
        (progress, damage) => {
            if progress.is_none() {
                draft.effects.push(Effect::Transfer { order });
            }
            match damage {
                // Nothing else is known before all of it was read again.
                Some(damage) => rest(draft, Reason::SnapshotDamaged, &damage.message),
                None => look(draft, format!("snapshot {snapshot} is looked for, then a new instance is made")),
            }
        }
    }
}

/// Nothing runs yet.
fn look(draft: &mut Draft<'_>, message: String) {
    // What is known to be wrong stands until a look says otherwise: a new process has only not looked yet.
    let stored = draft.facts.sandbox.status.iter().flat_map(|status| &status.conditions);
    let wrong = [Reason::SnapshotMissing, Reason::SnapshotDamaged];
    let told = stored.into_iter().find(|told| {
        told.type_ == Type::Hibernated.as_str() && wrong.iter().any(|reason| told.reason == reason.as_str())
    });
    if let Some((reason, message)) = told.map(|told| (Reason::of(&told.reason), told.message.clone())) {
        return sleep_on(draft, reason, message);
    }
    sleep_on(draft, Reason::Waking, message);
}

fn sleep_on(draft: &mut Draft<'_>, reason: Reason, message: impl Into<String>) {
    let message = message.into();
    draft.phase(Phase::Hibernated, reason);
    draft.want(Type::Hibernated, true, reason, message.clone());
    draft.want(Type::Ready, false, reason, message);
}

fn make(draft: &mut Draft<'_>, attempt: i32, message: &str) {
    draft.want(Type::Hibernated, false, Reason::Waking, message);
    draft.want(Type::Ready, false, Reason::Waking, message);
    attempt::begin(draft, attempt);
}

/// Whether its holder has said, by the snapshot's name so that it cannot be a slip, that it wakes without its files.
pub(super) fn are_given_up(draft: &Draft<'_>) -> bool {
    let annotations = draft.facts.sandbox.metadata.annotations.as_ref();
    let word = annotations.and_then(|annotations| annotations.get(ABANDON_FILES_ANNOTATION));
    let kept = draft.status.hibernation.as_ref().filter(|kept| kept.keeps_the_files());
    word.zip(kept).is_some_and(|(word, kept)| *word == kept.snapshot)
}

/// Waking has failed for now. Neither the claim nor the files are given up for it: it sleeps on and is tried again.
pub(super) fn rest(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    let snapshot = draft.status.hibernation.as_ref().map(|kept| kept.snapshot.clone()).unwrap_or_default();
    let message = match reason {
        Reason::SnapshotMissing | Reason::SnapshotDamaged => format!(
            "it sleeps on and wakes once its files are found: {message}; put the snapshot back or let the operator's \
             --snapshot-url be the store that has it; annotation {ABANDON_FILES_ANNOTATION}={snapshot} wakes it \
             without its files"
        ),
        _ => format!("it sleeps on with its files in the store, and waking is tried again: {message}"),
    };
    let stored = draft.facts.sandbox.status.iter().flat_map(|status| &status.conditions);
    let told = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.type_ == Type::Hibernated.as_str() && condition.reason == reason.as_str()
    };
    if !stored.into_iter().any(told) {
        draft.event(true, reason, message.clone());
    }
    sleep_on(draft, reason, message);
}

/// Ends an attempt of waking that is not wanted any more; true if there was one. Its files are in the store still.
pub(super) fn back_to_sleep(draft: &mut Draft<'_>) -> bool {
    if !is_asked(draft) || !keeps_the_files(draft) {
        return false;
    }
    draft.effects.push(Effect::EndTransfer);
    draft.phase(Phase::Hibernating, Reason::Hibernating);
    put_down(draft, "not to be woken after all".to_owned());
    true
}

/// How many attempts there were since the member was made, or since it is being woken.
pub(super) fn tries(draft: &Draft<'_>, attempt: i32) -> i32 {
    let first = draft.status.hibernation.as_ref().and_then(|hibernation| hibernation.wake_attempt).unwrap_or(1);
    attempt.saturating_sub(first).saturating_add(1)
}
