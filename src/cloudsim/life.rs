//! What happens to an app's process when something happens to the app.
//!
//! Virtual apps have no process, so all of this does nothing for them.

use super::app::{AgentState, App};
use super::fixture::Sim;
use super::processes::Processes;
use crate::failure::chain;
use jiff::Timestamp;
use nix::sys::signal::Signal;
use std::sync::Arc;

/// An app was made: start its process, if its deployment comes that far.
pub fn created(sim: &Arc<Sim>, app: &App) {
    if app.deployments.iter().any(|deployment| deployment.awaits_process) {
        spawn(sim, app, |sim, processes, app| async move { start(&sim, &processes, &app).await });
    }
}

/// An app has an end: end its process then.
pub fn ending(sim: &Arc<Sim>, app: &App) {
    spawn(sim, app, |sim, processes, app| async move {
        sleep_until(&sim, app.gone).await;
        processes.end(&app.id).await;
        processes.wipe(&app.id);
    });
}

/// An app was given a new deployment: at its end the old process and all
/// files go, and a new process takes over the address.
pub fn redeployed(sim: &Arc<Sim>, app: &App) {
    spawn(sim, app, |sim, processes, app| async move {
        sleep_until(&sim, app.deployments.last().map(|deployment| deployment.ends)).await;
        processes.end(&app.id).await;
        processes.wipe(&app.id);
        start(&sim, &processes, &app).await;
    });
}

/// What answers for an app is to be in another state.
pub async fn steered(sim: &Arc<Sim>, app: &App) {
    let Some(processes) = &sim.processes else { return };
    match app.agent {
        AgentState::Dead => processes.signal(&app.id, Signal::SIGKILL),
        AgentState::Hung => processes.freeze(&app.id).await,
        AgentState::Ok if processes.runs(&app.id) => processes.signal(&app.id, Signal::SIGCONT),
        AgentState::Ok => start(sim, processes, app).await,
    }
}

/// The simulator was started with apps from before: give them their
/// processes back, at their addresses, and their ends.
pub async fn resumed(sim: &Arc<Sim>) {
    let Some(processes) = &sim.processes else { return };
    let apps: Vec<App> = sim.world().existing_apps().cloned().collect();
    let runs = |app: &&App| {
        let awaited = app.deployments.iter().any(|deployment| deployment.awaits_process);
        awaited || (app.address.is_some() && app.agent != AgentState::Dead)
    };
    futures::future::join_all(apps.iter().filter(runs).map(|app| start(sim, processes, app))).await;
    for app in apps.iter().filter(|app| app.gone.is_some()) {
        ending(sim, app);
    }
}

fn spawn<F, T>(sim: &Arc<Sim>, app: &App, task: F)
where
    F: FnOnce(Arc<Sim>, Arc<Processes>, App) -> T,
    T: Future<Output = ()> + Send + 'static,
{
    if let Some(processes) = &sim.processes {
        tokio::spawn(task(sim.clone(), processes.clone(), app.clone()));
    }
}

async fn sleep_until(sim: &Sim, moment: Option<Timestamp>) {
    let wait = moment.map(|moment| moment.duration_since(sim.clock.now()));
    if let Some(wait) = wait.filter(|wait| wait.is_positive()) {
        tokio::time::sleep(wait.unsigned_abs()).await;
    }
}

async fn start(sim: &Sim, processes: &Arc<Processes>, app: &App) {
    let mut environment = app.environment.clone();
    environment.entry("PORT".to_owned()).or_insert_with(|| app.http_port.to_string());
    let started = processes.start(&app.id, &environment, app.address.as_deref()).await;
    let known = match started {
        Ok(address) => sim.world().process_up(&app.id, address),
        Err(error) => {
            let problem = chain(&error);
            tracing::warn!(app = app.name, problem, "an app's process did not start");
            sim.world().process_failed(&app.id, &problem)
        }
    };
    if known.is_err() {
        // The app ended while its process started.
        processes.end(&app.id).await;
        processes.wipe(&app.id);
    }
}
