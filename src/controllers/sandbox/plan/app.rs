//! The app that a claim launches: brought up in its sandbox once that is ready with its files, and looked after while
//! it runs. One that has ended is not started again by itself: its holder sees why.

use super::{Draft, Effect};
use crate::api::conditions::{Reason, Type, truncate};
use crate::api::{App, AppRef, AppSource, AppStatus, InstanceStatus, LaunchStep, Phase, Timings, note};
use crate::controllers::launches::{Order, Progress, State};
use crate::controllers::sandbox::facts::AppFact;
use std::time::Duration;

/// The pool is asked for its apps as often.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Decides about the app of a claim.
pub(super) fn plan(draft: &mut Draft<'_>) {
    let Some(wish) = draft.facts.sandbox.held_by().and_then(|claim| claim.app.as_ref()) else { return };
    let ready = |instance: &&InstanceStatus| instance.ready_at.is_some() && instance.failure.is_none();
    let instance = draft.status.instance.clone().filter(|instance| ready(&instance));
    // One that is only asked for may find no store, and then the sandbox goes on running.
    let sleeps = draft.status.hibernation.as_ref().is_some_and(|hibernation| !hibernation.is_over());
    let leaves = draft.status.phase == Some(Phase::Failed) || sleeps;
    let Some(instance) = instance.filter(|_| !leaves) else { return stop(draft, sleeps) };
    let waits = draft.status.claim_files.as_ref().is_none_or(|files| files.restored_at.is_none());
    if waits && draft.facts.sandbox.awaited_snapshot().is_some() {
        return;
    }
    let here = |app: &AppStatus| app.attempt == instance.attempt && app.deployment_id == instance.deployment_id;
    match draft.status.app.clone() {
        Some(app) if here(&app) => follow(draft, wish, app),
        before => begin(draft, wish, before, &instance),
    }
}

/// Nobody is to look after it any more.
fn stop(draft: &mut Draft<'_>, sleeps: bool) {
    if draft.facts.launch.is_some() {
        draft.effects.push(Effect::EndLaunch);
    }
    // Why it failed stays to be read.
    let ran = draft.status.app.as_ref().is_some_and(|status| status.step != LaunchStep::Failed);
    match ran {
        true if sleeps => draft.want(Type::AppReady, false, Reason::Hibernated, "its sandbox does not run"),
        true => draft.want(Type::AppReady, false, Reason::InstanceLost, "its sandbox is gone"),
        false => {}
    }
}

fn begin(draft: &mut Draft<'_>, wish: &AppRef, before: Option<AppStatus>, instance: &InstanceStatus) {
    if !draft.facts.probe.is_some_and(|probe| probe.healthy) {
        return;
    }
    let there = before.as_ref().is_some_and(|before| woke_with_it(draft, before, instance));
    let app = match (before, &draft.facts.app) {
        (Some(before), _) => before.app,
        (None, AppFact::Known(app)) => app.as_ref().clone(),
        (None, AppFact::Unknown { names }) => return unknown(draft, wish, names),
        (None, AppFact::None | AppFact::NoPool) => return draft.again(LOOK_AGAIN),
    };
    let Some(source) = source(draft, wish, &app).map(|source| if there { AppSource::Image } else { source }) else {
        return;
    };
    let status = AppStatus {
        attempt: instance.attempt,
        deployment_id: instance.deployment_id.clone(),
        begun_at: draft.time(),
        step: LaunchStep::Files,
        // Written before anything is done: another process must not put a snapshot over what its holder has made (S8).
        source: there.then_some(AppSource::Image),
        pid: None,
        app,
    };
    let from = match source {
        AppSource::Snapshot => "Deploying {} from snapshot...",
        AppSource::Git => "Deploying {} from git...",
        AppSource::Image => "Starting {}...",
    };
    say(draft, false, &from.replace("{}", &status.app.name));
    let order = order(draft, &status, source);
    draft.status.app = Some(status);
    draft.status.timings = Some(Timings::default());
    draft.effects.push(Effect::Launch { order, pid: None });
    launching(draft, LaunchStep::Files, None);
}

/// Whether the app's files slept with the sandbox and came back with it. A container that was replaced has none.
fn woke_with_it(draft: &Draft<'_>, before: &AppStatus, instance: &InstanceStatus) -> bool {
    let slept = draft.status.hibernation.as_ref();
    let restored = slept.is_some_and(|slept| slept.restored_at.is_some() && slept.lost_at.is_none());
    restored && before.source.is_some() && before.attempt != instance.attempt
}

/// Where its files are taken from first.
fn source(draft: &mut Draft<'_>, wish: &AppRef, app: &App) -> Option<AppSource> {
    let there = |source: AppSource| match source {
        AppSource::Snapshot => app.snapshot.is_some(),
        AppSource::Git => app.git.is_some(),
        AppSource::Image => true,
    };
    let all = [AppSource::Snapshot, AppSource::Git, AppSource::Image];
    match wish.source {
        None => all.into_iter().find(|source| there(*source)),
        Some(source) if there(source) => Some(source),
        Some(source) => {
            let has: Vec<String> = all.into_iter().filter(|own| there(*own)).map(|own| format!("{own:?}")).collect();
            let message = format!(
                "spec.claim.app.source: {source:?} is not where app {} can come from; use {}, or leave source out",
                app.name,
                has.join(" or ")
            );
            refuse(draft, message);
            None
        }
    }
}

fn unknown(draft: &mut Draft<'_>, wish: &AppRef, names: &[String]) {
    let pool = &draft.facts.sandbox.spec.pool_ref.name;
    let message = unknown_app(&wish.name, pool, names);
    refuse(draft, message);
}

/// What to say of an app that the pool does not have.
pub(super) fn unknown_app(name: &str, pool: &str, names: &[String]) -> String {
    let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("spec.claim.app.name: {name} is not an app of pool {pool}, which has {has}; see spec.apps of the pool")
}

fn refuse(draft: &mut Draft<'_>, message: String) {
    let told = draft
        .status
        .conditions
        .iter()
        .any(|told| told.type_ == Type::AppReady.as_str() && told.message == message && told.status == "False");
    if !told {
        say(draft, true, &message);
        draft.event(true, Reason::UnknownApp, message.clone());
    }
    draft.again(LOOK_AGAIN);
    draft.want(Type::AppReady, false, Reason::UnknownApp, message);
}

fn order(draft: &Draft<'_>, status: &AppStatus, source: AppSource) -> Order {
    let run = draft.facts.sandbox.held_by().map(|claim| claim.id.clone()).unwrap_or_default();
    let (attempt, deployment) = (status.attempt, status.deployment_id.clone());
    Order { run, attempt, deployment, app: status.app.clone(), source }
}

/// A launch is under way, or its app runs.
fn follow(draft: &mut Draft<'_>, wish: &AppRef, mut status: AppStatus) {
    if status.step == LaunchStep::Failed {
        return stand(draft, &status);
    }
    let Some(source) = status.source.or_else(|| source(draft, wish, &status.app)) else { return };
    let order = order(draft, &status, source);
    let late = status.step != LaunchStep::Ready && past_deadline(draft, &status);
    let known = draft.facts.launch.as_ref().filter(|(started, _)| same(started, &order));
    let Some(progress) = known.map(|(_, progress)| progress.clone()) else {
        if late {
            return fail(draft, Reason::DeadlineExceeded, &late_message(draft, status.step, None));
        }
        // A new process: it goes on where the last one was.
        draft.effects.push(Effect::Launch { order, pid: status.pid });
        return stand(draft, &status);
    };
    advance(draft, &mut status, &progress);
    match progress.state {
        State::Doing { step, trouble } if status.step != LaunchStep::Ready => {
            draft.status.app = Some(status);
            match late {
                true => fail(draft, Reason::DeadlineExceeded, &late_message(draft, step, trouble.as_deref())),
                false => launching(draft, step, trouble),
            }
        }
        State::Doing { .. } => stand(draft, &status),
        State::Ready => {
            draft.status.app = Some(status);
            answers(draft);
        }
        State::Silent { message } => {
            draft.status.app = Some(status);
            silent(draft, &message);
        }
        State::Failed { reason, message } => {
            draft.status.app = Some(status);
            fail(draft, reason, &message);
        }
    }
}

/// Where the files came from is known only later.
fn same(started: &Order, order: &Order) -> bool {
    *started == Order { source: started.source, ..order.clone() }
}

/// What stands until this process knows better.
fn stand(draft: &mut Draft<'_>, status: &AppStatus) {
    let told = draft.status.conditions.iter().find(|told| told.type_ == Type::AppReady.as_str());
    let reason = told.map_or(Reason::Launching, |told| Reason::of(&told.reason));
    let phase = match status.step {
        LaunchStep::Ready => Phase::Running,
        LaunchStep::Failed => Phase::Claimed,
        _ => Phase::Launching,
    };
    draft.phase(phase, reason);
}

/// Takes over how far it is, and tells of every step that is done since.
fn advance(draft: &mut Draft<'_>, status: &mut AppStatus, progress: &Progress) {
    let step = match &progress.state {
        State::Doing { step, .. } => *step,
        State::Ready | State::Silent { .. } => LaunchStep::Ready,
        State::Failed { .. } => status.step,
    };
    status.pid = status.pid.or(progress.pid);
    let timings = draft.status.timings.get_or_insert_default();
    take(&mut timings.files_ms, progress.timings.files_ms);
    take(&mut timings.install_ms, progress.timings.install_ms);
    take(&mut timings.start_ms, progress.timings.start_ms);
    take(&mut timings.answer_ms, progress.timings.answer_ms);
    let timings = timings.clone();
    if status.source.is_none()
        && let Some(source) = progress.source
    {
        status.source = Some(source);
        if let Some(why) = &progress.fallback {
            let note = format!("its snapshot cannot be had, so it comes from git: {why}");
            say(draft, true, &note);
            draft.event(true, Reason::SnapshotMissing, note);
        }
    }
    while (status.step as u8) < step as u8 {
        passed(draft, status, &timings);
        status.step = next(status.step);
    }
}

fn take(stored: &mut Option<i64>, news: Option<i64>) {
    *stored = stored.or(news);
}

fn next(step: LaunchStep) -> LaunchStep {
    match step {
        LaunchStep::Files => LaunchStep::Install,
        LaunchStep::Install => LaunchStep::Start,
        LaunchStep::Start => LaunchStep::Answer,
        LaunchStep::Answer | LaunchStep::Ready => LaunchStep::Ready,
        LaunchStep::Failed => LaunchStep::Failed,
    }
}

/// Says that a step is done, and what it took.
fn passed(draft: &mut Draft<'_>, status: &AppStatus, timings: &Timings) {
    let app = &status.app;
    match (status.step, status.source) {
        (LaunchStep::Files, Some(AppSource::Snapshot)) => {
            tell_step(draft, "Files restored from snapshot", timings.files_ms)
        }
        (LaunchStep::Files, Some(AppSource::Git)) => tell_step(draft, "Files cloned from git", timings.files_ms),
        (LaunchStep::Install, _) if app.install.is_some() => tell_step(draft, "Installed", timings.install_ms),
        (LaunchStep::Start, _) => {
            tell_step(draft, &format!("Process started for port {}", app.port), timings.start_ms);
        }
        (LaunchStep::Answer, _) => {
            let parts = [timings.files_ms, timings.install_ms, timings.start_ms, timings.answer_ms];
            let total = parts.into_iter().flatten().sum();
            if let Some(timings) = &mut draft.status.timings {
                timings.total_ms = Some(total);
            }
            tell_step(draft, &format!("{} is ready", app.title()), Some(total));
            draft.event(false, Reason::Healthy, format!("app {} answers", app.name));
        }
        (LaunchStep::Files | LaunchStep::Install | LaunchStep::Ready | LaunchStep::Failed, _) => {}
    }
}

fn tell_step(draft: &mut Draft<'_>, what: &str, took: Option<i64>) {
    match took {
        Some(took) => say(draft, false, &format!("{what}: {took}ms")),
        None => say(draft, false, what),
    }
}

fn say(draft: &mut Draft<'_>, warning: bool, message: &str) {
    note(&mut draft.status.timeline, draft.facts.now, warning, message);
}

fn launching(draft: &mut Draft<'_>, step: LaunchStep, trouble: Option<String>) {
    let what = match step {
        LaunchStep::Files => "its files come",
        LaunchStep::Install => "it is being installed",
        LaunchStep::Start => "it is being started",
        LaunchStep::Answer | LaunchStep::Ready | LaunchStep::Failed => "it runs, and does not answer yet",
    };
    // What an app that is not up yet answers changes by the moment, and is told when it is over.
    let trouble = trouble.filter(|_| step != LaunchStep::Answer);
    let message = trouble.map_or(what.to_owned(), |trouble| format!("{what}; tried again: {trouble}"));
    draft.phase(Phase::Launching, Reason::Launching);
    draft.want(Type::AppReady, false, Reason::Launching, truncate(&message, 1024));
}

fn answers(draft: &mut Draft<'_>) {
    draft.phase(Phase::Running, Reason::Healthy);
    draft.want(Type::AppReady, true, Reason::Healthy, "the app answers");
}

fn silent(draft: &mut Draft<'_>, message: &str) {
    draft.phase(Phase::Running, Reason::AppSilent);
    draft.want(Type::AppReady, false, Reason::AppSilent, truncate(message, 1024));
}

/// Whether the time of the launch is over.
fn past_deadline(draft: &mut Draft<'_>, status: &AppStatus) -> bool {
    let Ok(until) = status.begun_at.0.checked_add(status.app.deadline.signed()) else { return false };
    if draft.facts.now < until {
        draft.again_at(until);
        return false;
    }
    true
}

fn late_message(draft: &Draft<'_>, step: LaunchStep, trouble: Option<&str>) -> String {
    let deadline = draft.status.app.as_ref().map(|status| status.app.deadline).unwrap_or_default();
    let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
    format!("not ready within {deadline}; the last step was {step:?}{trouble}")
}

fn fail(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    if let Some(status) = &mut draft.status.app {
        status.step = LaunchStep::Failed;
    }
    let message = truncate(message, 1024);
    draft.effects.push(Effect::EndLaunch);
    say(draft, true, &format!("Launch failed: {message}"));
    draft.event(true, reason, message.clone());
    draft.phase(Phase::Claimed, reason);
    draft.want(Type::AppReady, false, reason, message);
}
