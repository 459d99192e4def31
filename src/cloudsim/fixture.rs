//! The simulated cloud as a value: started, used, and gone when dropped.

use super::answer::ApiError;
use super::clock::{Clock, LONGEST_SECONDS};
use super::journal::{Journal, JournalError};
use super::options::Options;
use super::processes::Processes;
use super::world::World;
use super::{console, life, sim_api, v2_api, virtual_agent};
use axum::serve::ListenerExt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Why a simulated cloud did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Only this machine may reach a simulator.
    #[error("listen address {0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a factor.
    #[error("speed {0} must lie above 0 and at most at 1000000")]
    Speed(f64),
    /// An account to begin with is not sound.
    #[error("account {name:?}: {problem}")]
    Account { name: String, problem: String },
    /// The kept state cannot be used.
    #[error("state: {0}")]
    State(#[from] JournalError),
    /// There is no place for the apps' files.
    #[error("cannot make the folder in which apps run")]
    Folder(#[source] std::io::Error),
}

/// What every handler shares.
pub struct Sim {
    world: Mutex<World>,
    /// `http://address:port` of the simulator.
    pub base: String,
    pub clock: Clock,
    /// None: apps are virtual.
    pub processes: Option<Arc<Processes>>,
}

impl Sim {
    pub(super) fn new(world: Mutex<World>, base: String, clock: Clock, processes: Option<Arc<Processes>>) -> Self {
        Self { world, base, clock, processes }
    }

    /// The world, for as long as no await lies between.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for simulated seconds.
    pub async fn wait(&self, seconds: f64) {
        let wall = self.clock.wall(seconds.min(LONGEST_SECONDS));
        tokio::time::sleep(wall.unsigned_abs()).await;
    }
}

/// A simulated DigitalOcean.
#[derive(Debug)]
pub struct CloudSim;

impl CloudSim {
    /// Starts one on the current runtime.
    ///
    /// # Errors
    /// When the options are not sound or the address cannot be used.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(options.listen));
        }
        if !(options.speed > 0.0 && options.speed <= 1_000_000.0) {
            return Err(StartError::Speed(options.speed));
        }
        let listen = |source| StartError::Listen { address: options.listen, source };
        let listener = tokio::net::TcpListener::bind(options.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let clock = Clock::new(options.speed);
        let world = Mutex::new(world_of(&options, clock)?);
        let sim = Arc::new(Sim::new(world, format!("http://{address}"), clock, processes_of(&options)?));
        life::resumed(&sim).await;
        let stop = CancellationToken::new();
        let router = v2_api::router(sim.clone()).merge(sim_api::router()).merge(virtual_agent::router());
        let router = router.merge(console::router());
        // Small answers must not wait for each other.
        let listener = listener.tap_io(|connection| _ = connection.set_nodelay(true));
        let serving = axum::serve(listener, router.with_state(sim.clone()));
        tokio::spawn(serving.with_graceful_shutdown(stop.clone().cancelled_owned()).into_future());
        Ok(Running { sim, stop })
    }
}

pub(super) fn world_of(options: &Options, clock: Clock) -> Result<World, StartError> {
    let mut world = World::new(clock, options.seed, !options.virtual_apps);
    let refused = |name: &str, error: ApiError| StartError::Account { name: name.to_owned(), problem: error.message };
    if let Some(folder) = &options.state {
        let (journal, kept) = Journal::open(folder)?;
        world.resume(journal, kept, options.seed).map_err(|error| refused("kept", error))?;
    }
    for (name, settings) in &options.accounts {
        // What was kept is newer than what the command line says.
        if world.account(name).is_err() {
            world.put_account(name, settings.clone()).map_err(|error| refused(name, error))?;
        }
    }
    Ok(world)
}

fn processes_of(options: &Options) -> Result<Option<Arc<Processes>>, StartError> {
    if options.virtual_apps {
        return Ok(None);
    }
    let processes = Processes::new(options.agent_program.clone(), options.state.as_deref());
    processes.map(|processes| Some(Arc::new(processes))).map_err(StartError::Folder)
}

/// A simulated cloud at work; it stops when this is dropped.
pub struct Running {
    sim: Arc<Sim>,
    stop: CancellationToken,
}

impl Running {
    /// Its address, `http://127.0.0.1:PORT`: what a client takes as endpoint.
    pub fn url(&self) -> &str {
        &self.sim.base
    }

    /// Stops it and waits until every app's process has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Some(processes) = &self.sim.processes {
            processes.end_all().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(processes) = &self.sim.processes {
            processes.kill_all();
        }
    }
}
