//! An instance that the provider knows: until its agent answers, and as long as it does.

use super::attempt::{Proof, fail, give_up, past_deadline, policy};
use super::files::Files;
use super::{Draft, Effect, files, meter};
use crate::api::conditions::{Reason, Type};
use crate::api::{InstanceStatus, Phase};
use crate::controllers::sandbox::facts::ProbeFact;
use crate::providers::{Instance, InstancePhase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Bad answers in a row after which a member is not claimable.
pub(super) const PROBE_FAILURES: u32 = 3;

/// Decides about a member whose instance is there.
pub(super) fn plan(draft: &mut Draft<'_>, seen: &Instance) {
    let redeployed = note(draft, seen);
    meter::begin(draft);
    let Some(instance) = draft.status.instance.clone() else { return };
    let was_ready = instance.ready_at.is_some();
    if redeployed && was_ready {
        return after_redeploy(draft);
    }
    if redeployed && draft.facts.transfer.is_some() {
        // What came so far went into the old container, and it would be ready without its files.
        draft.effects.push(Effect::EndTransfer);
        draft.effects.push(Effect::ResetProbe);
        return draft.again_soon();
    }
    if let (InstancePhase::Failed { message }, false) = (&seen.phase, was_ready) {
        return fail(draft, Reason::DeploymentFailed, message.clone(), Proof::None);
    }
    let starting = !was_ready && seen.phase != InstancePhase::Running;
    if starting || (draft.status.url.is_none() && !is_worker(draft)) {
        draft.phase(if draft.status.url.is_some() { Phase::Booting } else { Phase::Creating }, Reason::Creating);
        draft.again_soon();
        past_deadline(draft, &instance);
        return;
    }
    match draft.facts.probe {
        Some(probe) if probe.healthy => match files::settle(draft) {
            Files::Settled => ready(draft),
            Files::Coming => {
                let instance = draft.status.instance.clone().unwrap_or(instance);
                past_deadline(draft, &instance);
            }
            Files::Hopeless => {}
        },
        Some(probe) if was_ready => unhealthy(draft, probe),
        None if was_ready => ready_as_before(draft),
        Some(probe) if instance.restore_began_at.is_some() => restoring(draft, &instance, probe),
        Some(_) => {
            booting(draft);
            past_deadline(draft, &instance);
        }
        None => {
            // The first answer is on its way; a write for the time between would say nothing new.
            let stored = draft.facts.sandbox.status.as_ref();
            if let Some(stored) = stored.filter(|stored| stored.instance.as_ref().is_some_and(|had| had.id.is_some())) {
                draft.status.url = stored.url.clone();
                draft.status.instance = stored.instance.clone();
                draft.status.cost = stored.cost.clone();
            }
            draft.again_soon();
            past_deadline(draft, &instance);
        }
    }
}

/// Whether the instance has no address, and is ready once its console answers.
fn is_worker(draft: &Draft<'_>) -> bool {
    draft.facts.sandbox.is_worker()
}

/// Takes over what the provider says; true if another deployment runs than before.
fn note(draft: &mut Draft<'_>, seen: &Instance) -> bool {
    if let Some(url) = &seen.url {
        draft.status.url = Some(url.clone());
    } else if is_worker(draft) && seen.phase == InstancePhase::Running {
        draft.status.url.clone_from(&draft.facts.console);
    }
    let Some(instance) = &mut draft.status.instance else { return false };
    if instance.id.is_none() {
        instance.id = Some(seen.id.clone());
    }
    if instance.created_at.is_none() {
        instance.created_at = seen.created_at.map(|time| Time(crate::api::conditions::whole_second(time)));
    }
    let Some(deployment) = &seen.deployment_id else { return false };
    let before = instance.deployment_id.replace(deployment.clone());
    before.is_some_and(|before| before != *deployment)
}

/// The provider replaced the container, and with it the files.
fn after_redeploy(draft: &mut Draft<'_>) {
    let note = "the provider redeployed the instance; its files are those of a new one";
    if draft.facts.sandbox.held_by().is_some() {
        let awaits = draft.facts.sandbox.awaited_snapshot().is_some();
        if awaits && draft.facts.transfer.is_some() {
            // What came so far went into the old container.
            draft.effects.push(Effect::EndTransfer);
        }
        if !awaits || files::of_template(draft).is_some() {
            draft.want(Type::FilesLost, true, Reason::Redeployed, note);
            draft.event(true, Reason::Redeployed, note);
        }
    } else {
        draft.effects.push(Effect::ResetProbe);
        draft.phase(Phase::Booting, Reason::Redeployed);
        draft.want(Type::AgentReady, false, Reason::Redeployed, note);
        draft.want(Type::Ready, false, Reason::Redeployed, note);
        if files::of_template(draft).is_some() {
            // What it began with is gone too: the pool makes another one. A claim that came first wins.
            draft.event(true, Reason::Redeployed, "it has lost the files of its pool's snapshot and is replaced");
            draft.effects.push(Effect::DeleteSelf);
        }
    }
    draft.again_soon();
}

fn ready(draft: &mut Draft<'_>) {
    let time = draft.time();
    let claimed = draft.facts.sandbox.held_by().is_some();
    let newly = draft.status.instance.as_mut().is_some_and(|instance| {
        let newly = instance.ready_at.is_none();
        instance.ready_at.get_or_insert(time);
        newly
    });
    let (phase, reason) = if claimed { (Phase::Claimed, Reason::Claimed) } else { (Phase::Warm, Reason::Healthy) };
    draft.phase(phase, reason);
    draft.want(Type::InstanceReady, true, Reason::AsExpected, "the provider runs the instance");
    draft.want(Type::AgentReady, true, Reason::Healthy, "the agent answers");
    draft.want(Type::Ready, true, Reason::Healthy, "the sandbox can be used");
    if !claimed {
        draft.want(Type::Claimed, false, Reason::Unclaimed, "nobody holds it");
    }
    if newly && !claimed {
        draft.event(false, Reason::Healthy, "warm");
    }
}

/// Nothing new is known, as before a new process has probed: what stands stays, but a claim is noted.
pub(super) fn ready_as_before(draft: &mut Draft<'_>) {
    if draft.facts.sandbox.held_by().is_some() {
        draft.phase(Phase::Claimed, Reason::Claimed);
    }
}

fn booting(draft: &mut Draft<'_>) {
    draft.phase(Phase::Booting, Reason::Booting);
    draft.want(Type::InstanceReady, true, Reason::AsExpected, "the provider runs the instance");
    draft.want(Type::AgentReady, false, Reason::Booting, "the agent does not answer yet");
    draft.again_soon();
}

/// The agent is silent while files come: much work may keep it from answering for a while.
fn restoring(draft: &mut Draft<'_>, instance: &InstanceStatus, probe: ProbeFact) {
    let deadline = policy(draft).deadline;
    if probe.failing_for >= deadline.duration() {
        let message = format!("the agent did not answer for {deadline} while files were put back");
        return fail(draft, Reason::AgentUnreachable, message, Proof::None);
    }
    draft.again_soon();
    past_deadline(draft, instance);
}

/// An agent that answered does not any more.
fn unhealthy(draft: &mut Draft<'_>, probe: ProbeFact) {
    let claimed = draft.facts.sandbox.held_by().is_some();
    if probe.failures < PROBE_FAILURES {
        return ready_as_before(draft);
    }
    let message = "the agent does not answer";
    draft.want(Type::AgentReady, false, Reason::ProbeFailed, message);
    draft.want(Type::Ready, false, Reason::ProbeFailed, message);
    draft.again_soon();
    if claimed {
        draft.phase(Phase::Claimed, Reason::ProbeFailed);
        return;
    }
    draft.phase(Phase::Booting, Reason::ProbeFailed);
    if probe.failing_for >= draft.facts.replace_unreachable {
        give_up(draft, Reason::AgentUnreachable, format!("{message} for {} s", probe.failing_for.as_secs()));
    }
}
