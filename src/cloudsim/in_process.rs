//! The simulated cloud without a network: the same routes, called directly, at any time of day. Its apps are virtual.

use super::admin::{AccountSettings, AgentState, Faults, Ledger, Summary};
use super::answer::ApiError;
use super::clock::Clock;
use super::fixture::{Sim, StartError, world_of};
use super::options::Options;
use super::v2_api;
use crate::wall::Wall;
use axum::Router;
use axum::body::{Body, Bytes};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// Where its apps say that they are.
const BASE: &str = "http://cloud.invalid";

/// The connection ended before a whole answer came.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut")]
pub struct Cut;

/// The cloud does not do this, and says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self(error.message)
    }
}

/// A simulated DigitalOcean in this process.
pub struct InProcess {
    sim: Arc<Sim>,
    router: Router,
}

impl InProcess {
    /// A cloud with the accounts and the seed of these options; `listen`, `state` and processes play no part.
    ///
    /// # Errors
    /// When an account is not sound.
    pub fn new(options: &Options, wall: Wall) -> Result<Self, StartError> {
        let clock = Clock::on(wall, options.speed);
        let options = Options { state: None, virtual_apps: true, ..options.clone() };
        let world = Mutex::new(world_of(&options, clock)?);
        let sim = Arc::new(Sim::new(world, BASE.to_owned(), clock, None));
        let router = v2_api::router(sim.clone()).with_state(sim.clone());
        Ok(Self { sim, router })
    }

    /// One call of the API, such as `GET /v2/apps`.
    ///
    /// # Errors
    /// When a fault cuts the connection.
    pub async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Cut> {
        let answer = self.router.clone().oneshot(request.map(Body::from)).await.map_err(|_| Cut)?;
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Cut)?;
        Ok(http::Response::from_parts(parts, body))
    }

    /// Whether the agent of the app with this address is well now.
    pub fn agent_answers(&self, url: &str) -> bool {
        let id = url.rsplit('/').next().unwrap_or_default();
        let world = self.sim.world();
        world.app(id).is_ok_and(|app| app.serves(world.clock.now()) && app.agent == AgentState::Ok)
    }

    /// The books of all accounts.
    pub fn ledger(&self) -> Ledger {
        self.sim.world().ledger(None)
    }

    /// Every call counted.
    pub fn summary(&self) -> Summary {
        self.sim.world().summary()
    }

    /// Faults that met calls, of the calls that are kept in full.
    pub fn faults(&self) -> u64 {
        let calls = self.sim.world().calls.after(0, None);
        calls.iter().map(|call| call.faults.len() as u64).sum()
    }

    /// Makes an account or changes its settings.
    ///
    /// # Errors
    /// When the settings are not sound. So for all below.
    pub fn put_account(&self, name: &str, settings: AccountSettings) -> Result<(), Refused> {
        Ok(self.sim.world().put_account(name, settings)?)
    }

    /// Replaces the faults of an account.
    pub fn set_faults(&self, account: &str, faults: Faults) -> Result<(), Refused> {
        Ok(self.sim.world().set_faults(account, faults)?)
    }

    /// Gives a token to another account, or to none.
    pub fn move_token(&self, token: &str, to: Option<&str>) -> Result<(), Refused> {
        Ok(self.sim.world().move_token(token, to)?)
    }

    /// The platform redeploys an app.
    pub fn maintenance(&self, id: &str) -> Result<(), Refused> {
        self.sim.world().maintenance(id)?;
        Ok(())
    }

    /// The platform loses an app.
    pub fn vanish(&self, id: &str) -> Result<(), Refused> {
        Ok(self.sim.world().vanish(id)?)
    }

    /// An app's agent dies, hangs or recovers.
    pub fn set_agent(&self, id: &str, state: AgentState) -> Result<(), Refused> {
        Ok(self.sim.world().set_agent(id, state)?)
    }
}
