//! The order of a launch: files, install, start, and then whether it answers, for as long as it is looked after.

use super::sandbox::{Came, Launch};
use super::{Progress, Report, State};
use crate::api::LaunchStep;
use crate::api::conditions::Reason;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries of a step.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Between two questions whether an app answers: one that comes up, one that has answered before, and the longest.
const ASK_FIRST: Duration = Duration::from_millis(20);
const ASK_AGAIN: Duration = Duration::from_millis(200);
const ASK_SELDOM: Duration = Duration::from_secs(2);
/// Questions in a row without an answer after which an app that has answered counts as silent.
const SILENT_AFTER: u32 = 3;

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
    /// The same again could end better without anybody's doing.
    pub passing: bool,
}

impl Failure {
    /// One that may be gone with the next try.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self { reason: Reason::AgentUnreachable, message: message.into(), passing: true }
    }

    /// One that only another app, or another sandbox, can help.
    pub(super) fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), passing: false }
    }
}

/// One launch, and where it says how far it is.
struct Course {
    launch: Launch,
    report: Report,
}

/// Launches the app, and looks after it until the task is ended.
pub(super) async fn carry_out(launch: Launch, period: Duration, report: Report) {
    let course = Course { launch, report };
    let pid = match course.tell(|_| {}).pid {
        Some(pid) => pid,
        None => match course.bring_up().await {
            Ok(pid) => pid,
            Err(failure) => return course.fail(failure.reason, failure.message),
        },
    };
    course.tell(|progress| (progress.state, progress.pid) = (doing(LaunchStep::Answer, None), Some(pid)));
    course.look_after(pid, period).await;
}

fn doing(step: LaunchStep, trouble: Option<String>) -> State {
    State::Doing { step, trouble }
}

fn millis(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

impl Course {
    fn tell(&self, change: impl FnOnce(&mut Progress)) -> Progress {
        self.report.tell(&self.launch.target, change)
    }

    fn fail(&self, reason: Reason, message: String) {
        self.tell(|progress| progress.state = State::Failed { reason, message });
    }

    async fn bring_up(&self) -> Result<i32, Failure> {
        let launch = &self.launch;
        let (Came { source, fallback }, took) = self.tried(LaunchStep::Files, || launch.files().boxed()).await?;
        self.tell(|progress| {
            (progress.source, progress.fallback) = (Some(source), fallback);
            progress.timings.files_ms = Some(took);
        });
        if launch.order.app.install.is_some() {
            let ((), took) = self.tried(LaunchStep::Install, || launch.install().boxed()).await?;
            self.tell(|progress| progress.timings.install_ms = Some(took));
        }
        let (pid, took) = self.tried(LaunchStep::Start, || launch.start().boxed()).await?;
        self.tell(|progress| progress.timings.start_ms = Some(took));
        Ok(pid)
    }

    /// Does one step until it is done or has failed for good; gives how long it took, in ms.
    async fn tried<'a, T>(
        &self,
        step: LaunchStep,
        act: impl Fn() -> BoxFuture<'a, Result<T, Failure>>,
    ) -> Result<(T, i64), Failure> {
        let (began, mut pause) = (Instant::now(), PAUSE);
        self.tell(|progress| progress.state = doing(step, None));
        loop {
            match act().await {
                Ok(done) => return Ok((done, millis(began))),
                Err(failure) if failure.passing => {
                    self.tell(|progress| progress.state = doing(step, Some(failure.message)));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn look_after(&self, pid: i32, period: Duration) {
        let (began, mut answered, mut pause, mut silent) = (Instant::now(), false, ASK_AGAIN, 0);
        loop {
            let Err(message) = self.launch.answers().await else {
                let took = (!answered).then(|| millis(began));
                (answered, pause, silent) = (true, ASK_AGAIN, 0);
                self.tell(|progress| {
                    progress.state = State::Ready;
                    progress.timings.answer_ms = progress.timings.answer_ms.or(took);
                });
                tokio::time::sleep(period).await;
                continue;
            };
            if let Some(last) = self.launch.last_words(pid).await {
                return self.fail(Reason::AppExited, last);
            }
            silent += 1;
            self.tell(|progress| match (&progress.state, answered) {
                // What it answers instead may be another thing each time; the first stands (S10).
                (State::Silent { .. }, true) => {}
                (_, true) if silent < SILENT_AFTER => {}
                (_, true) => progress.state = State::Silent { message },
                (_, false) => progress.state = doing(LaunchStep::Answer, Some(message)),
            });
            if !answered {
                pause = until_next(began.elapsed());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(ASK_SELDOM);
        }
    }
}

/// How long an app that has been coming up for so long is left alone: whoever waits for it waits a quarter longer than
/// it took, at most.
fn until_next(coming_up: Duration) -> Duration {
    (coming_up / 4).clamp(ASK_FIRST, ASK_SELDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_comes_up_is_seen_soon_and_not_asked_all_the_time() {
        for took in [1, 50, 130, 400, 3_000, 60_000].map(Duration::from_millis) {
            let (mut asked_at, mut questions) = (Duration::ZERO, 1);
            while asked_at < took {
                asked_at += until_next(asked_at);
                questions += 1;
            }
            let late = asked_at - took;
            assert!(late <= ASK_FIRST.max(took / 4) && late <= ASK_SELDOM, "{took:?}: {late:?} late");
            assert!(questions < 60, "{took:?}: {questions} questions");
        }
    }
}
