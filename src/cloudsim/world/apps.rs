//! What clients do with apps.

use super::World;
use crate::cloudsim::answer::ApiError;
use crate::cloudsim::app::{AgentState, App, Deployment, Outcome};
use crate::cloudsim::call::Admitted;
use crate::cloudsim::faults::Fault;
use crate::cloudsim::offer;
use crate::cloudsim::settings::Seconds;
use crate::cloudsim::spec::{self, Accepted};
use jiff::Timestamp;
use serde_json::Value;

/// How long after its end an app can still be in a lagging listing, in
/// simulated seconds; then it is only in the ledger.
const LISTED_AFTER_END_SECONDS: f64 = 3600.0;

impl World {
    /// Makes an app and gives it, with the seconds the call takes.
    ///
    /// # Errors
    /// 400 for a bad spec, 409 for a taken name, 422 above the account's cap.
    pub fn create(&mut self, call: &Admitted, spec: &Value, project: Option<&str>) -> Result<(&App, f64), ApiError> {
        let accepted = spec::accept(spec, &mut self.rng)?;
        let now = self.clock.now();
        if !self.name_free(&call.account, &accepted.name, now, None)? {
            return Err(ApiError::conflict(format!("spec.name: an app named {:?} already exists", accepted.name)));
        }
        let cap = self.account(&call.account)?.settings.max_apps;
        if let Some(cap) = cap.filter(|cap| self.existing(&call.account, now) >= *cap as usize) {
            return Err(ApiError::unprocessable(format!("the account's limit of {cap} apps is reached")));
        }
        let settings = &self.account(&call.account)?.settings;
        if let Some(problem) = settings.offer.refuses(accepted.region) {
            return Err(ApiError::bad_request(problem));
        }
        let refused = accepted.pull.as_ref().and_then(|pull| offer::refused(&settings.private_registries, pull));
        let timings = settings.timings.clone();
        let project =
            project.map_or_else(|| self.account(&call.account).map(|a| a.project.clone()), |p| Ok(p.into()))?;
        let deployment = self.deployment("manual", call, refused, now)?;
        let url_delay = timings.url_delay_seconds.draw(&mut self.rng);
        let takes = timings.create_call_seconds.draw(&mut self.rng);
        let id = self.new_id();
        let app = built(accepted, call, deployment, &id, project, now, url_delay);
        self.keep(app);
        Ok((&self.apps[&id], takes))
    }

    /// A deployment that ends as a fault says, or as the platform itself has to, or well.
    pub(super) fn deployment(
        &mut self,
        cause: &str,
        call: &Admitted,
        own: Option<Outcome>,
        now: Timestamp,
    ) -> Result<Deployment, ApiError> {
        let timings = self.account(&call.account)?.settings.timings.clone();
        let outcome = call.faults.iter().find_map(|fault| match fault {
            Fault::FailedDeployment { code, message } => {
                Some(Outcome::Failed { code: code.clone(), message: message.clone() })
            }
            Fault::StuckDeployment {} => Some(Outcome::Stuck),
            _ => None,
        });
        let outcome = outcome.or(own).unwrap_or(Outcome::Active);
        let duration = if outcome == Outcome::Active { timings.ready_seconds } else { timings.fail_seconds };
        let seconds = duration.draw(&mut self.rng);
        Ok(Deployment {
            id: self.new_id(),
            cause: cause.to_owned(),
            created: now,
            ends: self.clock.after(now, seconds),
            awaits_process: self.processes && outcome == Outcome::Active,
            outcome,
        })
    }

    /// Takes an app into the books.
    pub(super) fn keep(&mut self, app: App) {
        if let Some(account) = self.accounts.get_mut(&app.account) {
            account.current.push(app.id.clone());
            account.names.insert(app.name.clone(), app.id.clone());
        }
        let id = app.id.clone();
        self.made.push(id.clone());
        self.apps.insert(id.clone(), app);
        self.note_app(&id);
    }

    /// An app of the caller's account that exists.
    ///
    /// # Errors
    /// 404 if there is none: another account's apps do not exist for the caller.
    pub fn get(&self, call: &Admitted, id: &str) -> Result<&App, ApiError> {
        let now = self.clock.now();
        self.apps.get(id).filter(|app| app.account == call.account && app.exists(now)).ok_or_else(ApiError::not_found)
    }

    /// Begins the end of an app. Gives the seconds the call takes, and whether
    /// it had an effect: a second one has none.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn delete(&mut self, call: &Admitted, id: &str) -> Result<(f64, bool), ApiError> {
        self.get(call, id)?;
        let timings = self.account(&call.account)?.settings.timings.clone();
        let takes = timings.delete_call_seconds.draw(&mut self.rng);
        let lasts = timings.delete_seconds.draw(&mut self.rng);
        let gone = self.clock.after(self.clock.now(), lasts);
        let Some(app) = self.apps.get_mut(id) else { return Err(ApiError::not_found()) };
        let begins = app.gone.is_none() && !call.has(&Fault::DeleteIgnored {});
        if begins {
            app.gone = Some(gone);
            self.note_app(id);
        }
        Ok((takes, begins))
    }

    /// For how many simulated seconds the address of a console opens.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn console_lasts(&mut self, account: &str) -> Result<f64, ApiError> {
        let lasts = self.account(account)?.settings.timings.console_seconds;
        Ok(lasts.draw(&mut self.rng))
    }

    /// How old the listing is that the caller gets, in simulated seconds.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn listing_age(&mut self, call: &Admitted) -> Result<f64, ApiError> {
        let settled = self.account(&call.account)?.settings.timings.list_lag_seconds.draw(&mut self.rng);
        let age = call.lag().max(settled);
        let horizon = self.clock.before(self.clock.now(), LISTED_AFTER_END_SECONDS.max(age));
        if let Some(account) = self.accounts.get_mut(&call.account) {
            account.current.retain(|id| self.apps[id].exists(horizon));
        }
        Ok(age)
    }

    /// The apps of the caller's account as a listing of that age shows them,
    /// newest first.
    ///
    /// # Errors
    /// 404 for an unknown account.
    pub fn list(&self, call: &Admitted, age: f64) -> Result<Vec<&App>, ApiError> {
        let now = self.clock.now();
        let current = self.account(&call.account)?.current.iter().rev().map(|id| &self.apps[id]);
        Ok(current.filter(|app| app.listed(now, self.clock, age)).collect())
    }

    /// Checks a spec without keeping anything; says whether its name is free.
    ///
    /// # Errors
    /// 400 for a bad spec.
    pub fn propose(&mut self, call: &Admitted, spec: &Value, own: Option<&str>) -> Result<(Accepted, bool), ApiError> {
        let accepted = spec::accept(spec, &mut self.rng)?;
        let free = self.name_free(&call.account, &accepted.name, self.clock.now(), own)?;
        Ok((accepted, free))
    }

    /// A name to suggest for one that is taken.
    pub fn suggestion(&mut self, name: &str) -> Value {
        spec::suggestion(name, &mut self.rng)
    }

    fn name_free(&self, account: &str, name: &str, now: Timestamp, own: Option<&str>) -> Result<bool, ApiError> {
        let account = self.account(account)?;
        let hold = match account.settings.timings.name_hold_seconds {
            Seconds::Fixed(seconds) => seconds,
            Seconds::Spread { median, .. } => median,
        };
        let taken_since = self.clock.before(now, hold);
        let taken = |app: &App| app.exists(taken_since) && Some(app.id.as_str()) != own;
        Ok(!account.names.get(name).is_some_and(|id| taken(&self.apps[id])))
    }

    fn existing(&self, account: &str, now: Timestamp) -> usize {
        let current = self.accounts.get(account).map_or(&[][..], |account| &account.current);
        current.iter().filter(|id| self.apps[*id].exists(now)).count()
    }

    /// Any app that was ever made.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn app(&self, id: &str) -> Result<&App, ApiError> {
        self.apps.get(id).ok_or_else(ApiError::not_found)
    }
}

fn built(
    accepted: Accepted,
    call: &Admitted,
    deployment: Deployment,
    id: &str,
    project: String,
    now: Timestamp,
    url_delay: f64,
) -> App {
    App {
        id: id.to_owned(),
        name: accepted.name,
        account: call.account.clone(),
        project,
        spec: accepted.wire,
        region: accepted.region.into(),
        size: accepted.size.into(),
        usd_per_second: accepted.usd_per_second,
        has_service: accepted.has_service,
        http_port: accepted.http_port,
        environment: accepted.environment,
        marks: accepted.marks,
        created: now,
        updated: now,
        url_delay,
        gone: None,
        vanished: false,
        deployments: vec![deployment],
        agent: AgentState::Ok,
        address: None,
    }
}
