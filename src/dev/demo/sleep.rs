//! The claimed sandbox is put to sleep: its app goes, its files and its claim stay, and it wakes with both.

use std::time::Instant;

use super::level::books;
use super::report::Report;
use super::seconds;
use super::stage::Stage;
use crate::failure::Failure;

/// What the holder writes before.
const NOTE: &str = "still here";

/// Hibernates the run and wakes it.
pub async fn sleep(stage: &Stage, report: &mut Report, run: &str) -> Result<(), Failure> {
    report.step("The claimed one sleeps, costs nothing, and wakes with its files");
    let write = format!("echo {NOTE} > note.txt");
    stage.sandbar(report, &["exec", run, "--", &write]).await?;
    let before = books(stage).await?;
    stage.sandbar(report, &["hibernate", run]).await?;
    stage.kubectl(report, &["get", "sandboxes"]).await?;
    let asleep = books(stage).await?;
    let started = Instant::now();
    let told = stage.sandbar(report, &["wake", run]).await?.out.trim().to_owned();
    let took = seconds(started.elapsed());
    let found = stage.sandbar(report, &["exec", run, "--", "cat note.txt"]).await?.out.trim().to_owned();
    let awake = books(stage).await?;
    let gone = asleep.left + 1 == before.left && asleep.made == before.made;
    report.note("asleep: no app", gone, format!("{} apps before, {} then", before.left, asleep.left));
    let back = found == NOTE && awake.left == before.left && awake.twice == 0;
    report.note("awake: its files are back", back, format!("{found:?} after {took} ({told})"));
    Ok(())
}
