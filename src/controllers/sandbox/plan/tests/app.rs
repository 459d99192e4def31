//! Rules of the app that a claim launches.

use super::fixture::*;
use super::hibernation::{after, asked, done, reason, run, running, status};
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{
    App, AppRef, AppSource, GitSource, HibernationStatus, LaunchStep, OperatingMode, Phase, SnapshotRef, Span, Timings,
};
use crate::controllers::launches::{Order, Progress, State};
use crate::controllers::sandbox::facts::{AppFact, MemberFacts, ProbeFact};
use crate::controllers::sandbox::plan::{Effect, Plan};
use std::sync::Arc;
use std::time::Duration;

fn snake() -> App {
    App {
        name: "snake".into(),
        title: Some("Snake".into()),
        snapshot: Some(SnapshotRef { name: "snake-python".into() }),
        git: Some(GitSource { url: "https://git.test/games".into(), ref_: None, path: Some("snake".into()) }),
        install: Some("true".into()),
        run: "python3 server.py".into(),
        port: 5000,
        health_path: "/health".into(),
        deadline: Span::minutes(5),
    }
}

fn order(source: AppSource) -> Order {
    Order { run: "run-1".into(), attempt: 1, deployment: Some("d1".into()), app: snake(), source }
}

fn launch(pid: Option<i32>) -> Effect {
    Effect::Launch { order: order(AppSource::Snapshot), pid }
}

/// A member that was warm and is claimed for an app since a moment ago.
fn just_claimed() -> MemberFacts {
    let mut sandbox = warm();
    let mut held = claim(3600);
    held.app = Some(AppRef { name: "snake".into(), source: None });
    sandbox.spec.claim = Some(held);
    let mut facts = running(sandbox, 200);
    facts.app = AppFact::Known(Box::new(snake()));
    facts
}

fn progress(state: State) -> Progress {
    Progress { state, source: Some(AppSource::Snapshot), fallback: None, pid: Some(42), timings: Timings::default() }
}

fn doing(step: LaunchStep) -> State {
    State::Doing { step, trouble: None }
}

/// The next pass, with this news of the launch.
fn news(facts: &MemberFacts, plan: Plan, progress: Progress) -> MemberFacts {
    let mut facts = after(facts, plan);
    facts.app = AppFact::None;
    facts.launch = Some((order(AppSource::Snapshot), progress));
    facts
}

/// One whose app answers.
fn up() -> MemberFacts {
    let facts = just_claimed();
    let facts = news(&facts, run(&facts), progress(State::Ready));
    after(&facts, run(&facts))
}

fn told(plan: &Plan) -> Vec<&str> {
    plan.status.timeline.iter().map(|entry| entry.message.as_str()).collect()
}

#[test]
fn every_step_is_told_once_with_what_it_took() {
    let facts = just_claimed();
    let plan = run(&facts);
    assert_eq!(done(&plan), [&launch(None)]);
    assert_eq!((plan.status.phase, told(&plan)), (Some(Phase::Launching), vec!["Deploying snake from snapshot..."]));
    assert!(is_true(&plan.status.conditions, Type::Ready), "the sandbox can be used");
    let timings = Timings { files_ms: Some(240), install_ms: Some(7), ..Timings::default() };
    let facts =
        news(&facts, plan, Progress { timings: timings.clone(), pid: None, ..progress(doing(LaunchStep::Start)) });
    let plan = run(&facts);
    assert_eq!(told(&plan)[1..], ["Files restored from snapshot: 240ms", "Installed: 7ms"]);
    let timings = Timings { start_ms: Some(3), answer_ms: Some(50), ..timings };
    let facts = news(&facts, plan, Progress { timings, ..progress(State::Ready) });
    let plan = run(&facts);
    assert_eq!(told(&plan)[3..], ["Process started for port 5000: 3ms", "Snake is ready: 300ms"]);
    assert!(is_true(&plan.status.conditions, Type::AppReady) && plan.status.phase == Some(Phase::Running));
    assert_eq!(plan.status.timings.as_ref().and_then(|timings| timings.total_ms), Some(300));
    let facts = after(&facts, plan);
    let level = run(&facts);
    assert_eq!((done(&level), &level.status), (vec![], &status(&facts)), "nothing is written while it runs (S10)");
}

#[test]
fn a_new_process_goes_on_with_the_one_that_was_started_s8() {
    let mut facts = up();
    facts.launch = None;
    let plan = run(&facts);
    assert_eq!((done(&plan), &plan.status), (vec![&launch(Some(42))], &status(&facts)));
    facts.launch = Some((order(AppSource::Snapshot), progress(doing(LaunchStep::Answer))));
    let plan = run(&facts);
    assert_eq!((done(&plan), &plan.status), (vec![], &status(&facts)), "until it knows better, what stands stands");
}

#[test]
fn an_app_that_ends_is_told_and_not_started_again() {
    let mut facts = up();
    let message = "it has ended with exit code 1: no module named flask".to_owned();
    facts.launch = Some((order(AppSource::Snapshot), progress(State::Failed { reason: Reason::AppExited, message })));
    let plan = run(&facts);
    assert_eq!(done(&plan), [&Effect::EndLaunch]);
    assert_eq!((reason(&plan.status, Type::AppReady), plan.status.phase), ("AppExited".into(), Some(Phase::Claimed)));
    assert_eq!(told(&plan).last(), Some(&"Launch failed: it has ended with exit code 1: no module named flask"));
    assert!(is_true(&plan.status.conditions, Type::Ready), "its holder can still look into the sandbox");
    let mut facts = after(&facts, plan);
    facts.launch = None;
    let plan = run(&facts);
    assert_eq!((done(&plan), &plan.status), (vec![], &status(&facts)));
}

#[test]
fn an_app_that_falls_silent_may_come_back() {
    let mut facts = up();
    let silent = State::Silent { message: "/health on port 5000 answers 500".into() };
    facts.launch = Some((order(AppSource::Snapshot), progress(silent)));
    let plan = run(&facts);
    assert_eq!((reason(&plan.status, Type::AppReady), done(&plan)), ("AppSilent".into(), vec![]));
    let facts = news(&facts, plan, progress(State::Ready));
    let plan = run(&facts);
    assert!(is_true(&plan.status.conditions, Type::AppReady) && plan.status.phase == Some(Phase::Running));
    assert_eq!(told(&plan).iter().filter(|line| line.contains("is ready")).count(), 1);
}

#[test]
fn a_missing_snapshot_is_told_where_git_was_taken() {
    let facts = just_claimed();
    let came = Progress {
        source: Some(AppSource::Git),
        fallback: Some("there is no snapshot snake-python".into()),
        ..progress(doing(LaunchStep::Install))
    };
    let facts = news(&facts, run(&facts), came);
    let plan = run(&facts);
    let line = "its snapshot cannot be had, so it comes from git: there is no snapshot snake-python";
    assert_eq!(told(&plan)[1..], [line, "Files cloned from git"]);
    assert!(
        plan.effects.iter().any(|effect| matches!(effect, Effect::Event { warning: true, note, .. } if note == line))
    );
    assert_eq!(plan.status.app.as_ref().and_then(|app| app.source), Some(AppSource::Git));
    let facts = after(&facts, plan);
    assert_eq!(run(&facts).status, status(&facts), "once");
}

#[test]
fn nothing_is_waited_for_without_end_s13() {
    let facts = just_claimed();
    let trouble = Some("cannot be reached".to_owned());
    let mut facts = news(&facts, run(&facts), progress(State::Doing { step: LaunchStep::Files, trouble }));
    let plan = run(&facts);
    assert!(plan.again.is_some_and(|again| again <= Duration::from_secs(300)), "{:?}", plan.again);
    facts = after(&facts, plan);
    facts.now = at(500);
    let plan = run(&facts);
    assert_eq!(
        (reason(&plan.status, Type::AppReady), done(&plan)),
        ("DeadlineExceeded".into(), vec![&Effect::EndLaunch])
    );
    let message = told(&plan).last().copied().unwrap_or_default().to_owned();
    assert_eq!(message, "Launch failed: not ready within 5m; the last step was Files: cannot be reached");
}

#[test]
fn an_app_that_the_pool_does_not_have_is_refused_by_name() {
    let mut facts = just_claimed();
    facts.app = AppFact::Unknown { names: vec!["memory".into(), "chess".into()] };
    let plan = run(&facts);
    let message =
        "spec.claim.app.name: snake is not an app of pool python, which has memory, chess; see spec.apps of the pool";
    assert_eq!(
        (done(&plan), told(&plan), reason(&plan.status, Type::AppReady)),
        (vec![], vec![message], "UnknownApp".into())
    );
    facts = after(&facts, plan);
    let plan = run(&facts);
    assert_eq!((plan.effects.clone(), &plan.status), (vec![], &status(&facts)), "once (S10)");
    facts.app = AppFact::Known(Box::new(snake()));
    assert_eq!(done(&run(&facts)), [&launch(None)], "and launched when the pool has it");
}

#[test]
fn a_source_that_the_app_does_not_have_is_refused() {
    let mut facts = just_claimed();
    let sandbox = Arc::make_mut(&mut facts.sandbox);
    sandbox.spec.claim.as_mut().expect("a claim").app =
        Some(AppRef { name: "snake".into(), source: Some(AppSource::Git) });
    facts.app = AppFact::Known(Box::new(App { git: None, ..snake() }));
    let plan = run(&facts);
    let message =
        "spec.claim.app.source: Git is not where app snake can come from; use Snapshot or Image, or leave source out";
    assert_eq!((done(&plan), told(&plan)), (vec![], vec![message]));
}

#[test]
fn it_waits_for_the_agent_and_for_the_claims_own_files() {
    let mut facts = just_claimed();
    facts.probe = Some(ProbeFact { healthy: false, failures: 1, failing_for: Duration::ZERO });
    assert_eq!(done(&run(&facts)), [] as [&Effect; 0]);
    let mut facts = just_claimed();
    let sandbox = Arc::make_mut(&mut facts.sandbox);
    sandbox.spec.claim.as_mut().expect("a claim").snapshot = Some(SnapshotRef { name: "notes".into() });
    assert!(!done(&run(&facts)).iter().any(|effect| matches!(effect, Effect::Launch { .. })));
}

#[test]
fn it_sleeps_with_its_sandbox_and_a_replaced_container_gets_it_again() {
    let mut facts = up();
    asked(&mut facts, OperatingMode::Hibernated);
    let plan = run(&facts);
    assert!(is_true(&plan.status.conditions, Type::AppReady), "it runs until its files are being kept");
    facts = after(&facts, plan);
    let plan = run(&facts);
    assert!(plan.effects.contains(&Effect::EndLaunch) && !is_true(&plan.status.conditions, Type::AppReady));

    let mut facts = up();
    facts.evidence.listed.as_mut().expect("listed").deployment_id = Some("d2".into());
    facts = after(&facts, run(&facts));
    let again = Order { deployment: Some("d2".into()), ..order(AppSource::Snapshot) };
    assert_eq!(done(&run(&facts)), [&Effect::Launch { order: again, pid: None }]);
}

/// One that slept with its app, and whose new instance has its files again.
fn woken(source: Option<AppSource>, lost: bool) -> MemberFacts {
    let mut facts = up();
    let sandbox = Arc::make_mut(&mut facts.sandbox);
    let status = sandbox.status.as_mut().expect("a status");
    let mut slept = HibernationStatus::begun(None, time(300));
    slept.saved_at = Some(time(301));
    (slept.restored_at, slept.lost_at) = if lost { (None, Some(time(400))) } else { (Some(time(400)), None) };
    status.hibernation = Some(slept);
    let app = status.app.as_mut().expect("an app");
    // What runs is another attempt than the one that the app was launched in.
    (app.source, app.attempt) = (source, 0);
    facts.launch = None;
    facts
}

#[test]
fn what_its_holder_has_made_is_never_replaced_by_a_snapshot_after_a_sleep_s8() {
    let facts = woken(Some(AppSource::Snapshot), false);
    let plan = run(&facts);
    let again = Effect::Launch { order: order(AppSource::Image), pid: None };
    assert_eq!(done(&plan), [&again]);
    assert_eq!(plan.status.app.as_ref().and_then(|app| app.source), Some(AppSource::Image));
    let facts = after(&facts, plan);
    assert_eq!(done(&run(&facts)), [&again], "also by a process that knows only what is written");
}

#[test]
fn an_app_whose_files_were_never_there_or_are_lost_gets_them_after_a_sleep() {
    for facts in [woken(None, false), woken(Some(AppSource::Snapshot), true)] {
        assert_eq!(done(&run(&facts)), [&launch(None)]);
    }
}

#[test]
fn a_new_process_ends_a_launch_whose_time_is_over_s13() {
    let facts = just_claimed();
    let mut facts = after(&facts, run(&facts));
    (facts.app, facts.launch) = (AppFact::None, None);
    assert!(run(&facts).again.is_some_and(|again| again <= Duration::from_secs(300)));
    facts.now = at(500);
    let plan = run(&facts);
    assert_eq!(reason(&plan.status, Type::AppReady), "DeadlineExceeded");
}
