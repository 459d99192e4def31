//! The order of a launch: files, install, start, and then whether it answers, for as long as it is looked after.

use super::sandbox::{Came, Launch};
use super::{Progress, State};
use crate::api::LaunchStep;
use crate::api::conditions::Reason;
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries of a step.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Between two questions whether an app answers for the first time, or again.
const ASK: Duration = Duration::from_millis(200);
const ASK_SELDOM: Duration = Duration::from_secs(2);

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

/// Changes the progress, and gives it as it is then.
pub(super) type Tell<'a> = dyn Fn(&dyn Fn(&mut Progress)) -> Progress + Send + Sync + 'a;

/// Launches the app, and looks after it until the task is ended.
pub(super) async fn carry_out(launch: &Launch, period: Duration, tell: &Tell<'_>) {
    let pid = match tell(&|_| {}).pid {
        Some(pid) => pid,
        None => match bring_up(launch, tell).await {
            Ok(pid) => pid,
            Err(failure) => return fail(tell, failure.reason, &failure.message),
        },
    };
    tell(&|progress| (progress.state, progress.pid) = (doing(LaunchStep::Answer, None), Some(pid)));
    look_after(launch, pid, period, tell).await;
}

fn doing(step: LaunchStep, trouble: Option<String>) -> State {
    State::Doing { step, trouble }
}

fn fail(tell: &Tell<'_>, reason: Reason, message: &str) {
    tell(&|progress| progress.state = State::Failed { reason, message: message.to_owned() });
}

async fn bring_up(launch: &Launch, tell: &Tell<'_>) -> Result<i32, Failure> {
    let (Came { source, fallback }, took) = tried(LaunchStep::Files, tell, async || launch.files().await).await?;
    tell(&|progress| {
        (progress.source, progress.fallback) = (Some(source), fallback.clone());
        progress.timings.files_ms = Some(took);
    });
    if launch.order.app.install.is_some() {
        let ((), took) = tried(LaunchStep::Install, tell, async || launch.install().await).await?;
        tell(&|progress| progress.timings.install_ms = Some(took));
    }
    let (pid, took) = tried(LaunchStep::Start, tell, async || launch.start().await).await?;
    tell(&|progress| progress.timings.start_ms = Some(took));
    Ok(pid)
}

/// Does one step until it is done or has failed for good; gives how long it took, in ms.
async fn tried<T>(
    step: LaunchStep,
    tell: &Tell<'_>,
    act: impl AsyncFn() -> Result<T, Failure>,
) -> Result<(T, i64), Failure> {
    let (began, mut pause) = (Instant::now(), PAUSE);
    tell(&|progress| progress.state = doing(step, None));
    loop {
        match act().await {
            Ok(done) => return Ok((done, millis(began))),
            Err(failure) if failure.passing => {
                tell(&|progress| progress.state = doing(step, Some(failure.message.clone())));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(failure) => return Err(failure),
        }
    }
}

fn millis(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX)
}

async fn look_after(launch: &Launch, pid: i32, period: Duration, tell: &Tell<'_>) {
    let (began, mut answered, mut pause) = (Instant::now(), false, ASK);
    loop {
        match launch.answers().await {
            Ok(()) => {
                let took = (!answered).then(|| millis(began));
                answered = true;
                tell(&|progress| {
                    progress.state = State::Ready;
                    progress.timings.answer_ms = progress.timings.answer_ms.or(took);
                });
                pause = ASK;
                tokio::time::sleep(period).await;
                continue;
            }
            Err(message) => {
                if let Some(last) = launch.last_words(pid).await {
                    return fail(tell, Reason::AppExited, &last);
                }
                tell(&|progress| {
                    progress.state = match answered {
                        true => State::Silent { message: message.clone() },
                        false => doing(LaunchStep::Answer, Some(message.clone())),
                    };
                });
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ASK_SELDOM);
    }
}
