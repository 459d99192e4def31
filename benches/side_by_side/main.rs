//! The same users, the same bad day, twice: once on the library that people use today, once on Sandbar. `make compare`.
//!
//! Both work at once on one simulated cloud, each on an account of its own, with the same faults at the same moments
//! (`script.rs`). The library is do-app-sandbox from PyPI, unchanged, with the `doctl` on the PATH (`library.py`); Sandbar
//! is the operator on a real control plane, claimed from as `sandbar claim` does. Nobody watches while it runs: every
//! figure comes from the cloud's own books and from the users.
//!
//! The cloud runs six times faster than a real one, and with it both clocks: the library's sleeps, time-outs and
//! `time.time()` are divided by six at its start, doctl waits one second between tries instead of up to 16 (five tries
//! then take 30 s there, as in earnest), and the operator gets a sixth of its default periods as flags. Two things are not
//! faster, so they count six times: what the machine computes, and pauses that the operator has no flags for (a delete
//! is repeated after 20 s, errors back off from 1 s). `SANDBAR_COMPARE_SPEED=1` runs everything in real time (30
//! minutes) and touches no clock.

mod clock;
mod figures;
mod library;
mod operator;
mod plot;
#[path = "../../tests/it/python.rs"]
mod python;
mod script;
mod table;
mod users;
mod world;

use clock::Clock;
use figures::Figures;
use library::Library;
use operator::Sandbar;
use script::Script;
use std::process::ExitCode;
use std::time::Duration;
use table::Table;
use world::{Account, World};

/// What a step gives, or why it did not work.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How many times faster than in earnest everything runs.
const SPEED: f64 = 6.0;
/// From the last preparation to the begin: a Python program has loaded its modules by then.
const LEAD: Duration = Duration::from_secs(6);
/// From the last shutdown to the reading of the books, in simulated seconds: an app takes 5 s to go.
const SETTLE: f64 = 60.0;

fn main() -> Result<ExitCode> {
    // Two TLS users share one process: the provider is chosen here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if std::process::Command::new("doctl").arg("version").output().is_err() {
        println!("skipped: there is no doctl on the PATH, and the library does nothing without it");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(python) = python::venv() else { return Ok(ExitCode::SUCCESS) };
    let script = Script::new(speed()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(&script, &python))
}

/// Below 1 nothing would be gained; above 6 doctl, which waits whole seconds, could not keep up.
fn speed() -> Result<f64> {
    let Ok(text) = std::env::var("SANDBAR_COMPARE_SPEED") else { return Ok(SPEED) };
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=SPEED).contains(&speed) => Ok(speed),
        _ => Err(format!("SANDBAR_COMPARE_SPEED: {text:?} must be a number in 1..={SPEED}").into()),
    }
}

async fn compare(script: &Script, python: &std::path::Path) -> Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("sandbar-compare-").tempdir()?;
    let world = World::start(folder.path(), script).await?;
    let played = play(&world, script, python, folder.path()).await;
    if played.is_err() {
        eprintln!("the operator's last words:\n{}", world.operator_log());
    }
    world.stop().await;
    let (table, plot) = played?;
    table.print(script);
    println!("\nApps over time: {}", plot.display());
    Ok(if table.met() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn play(
    world: &World,
    script: &Script,
    python: &std::path::Path,
    folder: &std::path::Path,
) -> Result<(Table, std::path::PathBuf)> {
    let clock = Clock::begin_in(LEAD, script.speed);
    let library = Library::start(python, world, script, clock, folder).await?;
    let sandbar = Sandbar::of(world, script, clock);
    eprintln!(
        "{} users in {:.0} simulated minutes, at {} times the speed",
        script.users.len(),
        script.ends / 60.0,
        script.speed
    );
    let (_, library, sandbar) = tokio::try_join!(script.faults(&world.sim, clock), library.ended(), sandbar.run())?;
    // What was deleted last needs its time to go.
    clock.until(clock.now() + SETTLE).await;
    let ended = clock.now();
    let ledger = world.sim.ledger().await?;
    let summary = world.sim.summary().await?;
    let of = |account, users| Figures::of(account, &ledger, &summary, users, clock, ended);
    let (library, sandbar) = (of(Account::Library, library), of(Account::Sandbar, sandbar));
    let plot = plot::draw(script, &library, &sandbar, ended)?;
    Ok((Table::of(script, &library, &sandbar), plot))
}
