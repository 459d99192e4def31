//! What the platform, or somebody at the admin API, does to apps.

use super::World;
use crate::cloudsim::answer::ApiError;
use crate::cloudsim::app::{AgentState, App, Outcome};
use crate::cloudsim::call::Admitted;

impl World {
    fn existing_mut(&mut self, id: &str) -> Result<&mut App, ApiError> {
        let now = self.clock.now();
        self.apps.get_mut(id).filter(|app| app.exists(now)).ok_or_else(ApiError::not_found)
    }

    /// Starts a deployment that the platform decided on.
    ///
    /// # Errors
    /// 404 if the app does not exist.
    pub fn maintenance(&mut self, id: &str) -> Result<&App, ApiError> {
        let now = self.clock.now();
        let account = self.existing_mut(id)?.account.clone();
        let deployment = self.deployment("MAINTENANCE", &Admitted { account, faults: Vec::new() }, None, now)?;
        let app = self.existing_mut(id)?;
        app.deployments.push(deployment);
        app.updated = now;
        self.note_app(id);
        self.app(id)
    }

    /// Ends an app at once, without anybody having asked.
    ///
    /// # Errors
    /// 404 if the app does not exist.
    pub fn vanish(&mut self, id: &str) -> Result<(), ApiError> {
        let now = self.clock.now();
        let app = self.existing_mut(id)?;
        (app.gone, app.vanished) = (Some(now), true);
        self.note_app(id);
        Ok(())
    }

    /// Makes what answers for the app die, hang or recover.
    ///
    /// # Errors
    /// 404 if the app does not exist.
    pub fn set_agent(&mut self, id: &str, state: AgentState) -> Result<(), ApiError> {
        self.existing_mut(id)?.agent = state;
        self.note_app(id);
        Ok(())
    }

    /// The apps that exist.
    pub fn existing_apps(&self) -> impl Iterator<Item = &App> {
        let now = self.clock.now();
        self.made.iter().map(|id| &self.apps[id]).filter(move |app| app.exists(now))
    }

    /// An app's process listens at `address`: the deployments that waited for
    /// it can end.
    ///
    /// # Errors
    /// 404 if the app does not exist any more.
    pub fn process_up(&mut self, id: &str, address: String) -> Result<(), ApiError> {
        let now = self.clock.now();
        let app = self.existing_mut(id)?;
        app.address = Some(address);
        for deployment in app.deployments.iter_mut().filter(|deployment| deployment.awaits_process) {
            deployment.awaits_process = false;
            deployment.ends = deployment.ends.max(now);
        }
        self.note_app(id);
        Ok(())
    }

    /// An app's process did not start: the deployments that waited for it fail.
    ///
    /// # Errors
    /// 404 if the app does not exist any more.
    pub fn process_failed(&mut self, id: &str, problem: &str) -> Result<(), ApiError> {
        let now = self.clock.now();
        let app = self.existing_mut(id)?;
        for deployment in app.deployments.iter_mut().filter(|deployment| deployment.awaits_process) {
            deployment.awaits_process = false;
            deployment.ends = now;
            deployment.outcome =
                Outcome::Failed { code: "DeployContainerExitNonZero".into(), message: problem.to_owned() };
        }
        self.note_app(id);
        Ok(())
    }
}
