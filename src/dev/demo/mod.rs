//! `sandbar dev demo`: the main job of Sandbar in a world of its own, told
//! step by step, with a table of what held at the end.

mod books;
mod demand;
mod games;
mod level;
mod report;
mod rollout;
mod sleep;
mod stage;
mod trouble;
mod worker;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ArgAction;
use clap::builder::BoolishValueParser;

use super::command::told_to_end;
use crate::failure::Failure;
use report::Report;
use stage::Stage;

/// Exit code after Ctrl-C: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

/// How the demo is played.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many times faster than real time the cloud works
    #[arg(long, default_value_t = 20.0)]
    speed: f64,
    /// End by itself, as it does where it writes to no terminal; else the page stays open until Ctrl-C
    #[arg(long, env = "CI", value_parser = BoolishValueParser::new(), action = ArgAction::Set, num_args = 0..=1,
        default_value_t = false, default_missing_value = "true")]
    ci: bool,
}

/// Plays the demo. Whatever happens, nothing of its world is left running.
///
/// # Errors
/// When a step cannot be played; what was shown until then is printed first.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let folder = tempfile::Builder::new().prefix("sandbar-demo-").tempdir()?;
    let mut end = Box::pin(told_to_end()?);
    let interrupted = || Failure::new("interrupted; everything was ended").code(INTERRUPTED);
    let mut report = Report::new();
    let started = Instant::now();
    let stage = tokio::select! {
        stage = Stage::start(folder.path(), args.speed, &report) => stage,
        () = &mut end => return Err(interrupted()),
    };
    let mut stage = stage.inspect_err(|_| report.tell("the world did not come up"))?;
    report.tell(&format!("the world is up after {}", seconds(started.elapsed())));
    let stays = !args.ci && std::io::stdout().is_terminal();
    let played = tokio::select! {
        played = play(&mut stage, &mut report, stays) => Some(played),
        () = &mut end => None,
    };
    if played.is_some() {
        report.print(started.elapsed());
    }
    if stays && matches!(played, Some(Ok(()))) {
        report.open(&stage.gateway_url());
        end.await;
    }
    stage.end().await;
    let Some(played) = played else { return Err(interrupted()) };
    if played.is_ok() && report.all_held() {
        return Ok(ExitCode::SUCCESS);
    }
    let logs = folder.keep().join("world/logs");
    let failure = played.err().unwrap_or_else(|| Failure::new("not everything held"));
    Err(failure.advice(format!("the logs are in {}", logs.display())))
}

async fn play(stage: &mut Stage, report: &mut Report, stays: bool) -> Result<(), Failure> {
    level::reach(stage, report).await?;
    level::hold(stage, report).await?;
    let run = level::claim(stage, report).await?;
    level::program(stage, report, &run).await?;
    sleep::sleep(stage, report, &run).await?;
    rollout::roll_out(stage, report).await?;
    trouble::kill(stage, report).await?;
    trouble::outage(stage, report).await?;
    trouble::leave(stage, report, &run).await?;
    demand::follow(stage, report).await?;
    worker::enter(stage, report).await?;
    games::launch(stage, report).await?;
    if stays { Ok(()) } else { games::clear(stage, report).await }
}

/// A time as people read it.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
