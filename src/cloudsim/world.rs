//! The simulated cloud's state, and what can happen to it.

use super::answer::ApiError;
use super::app::{AgentState, App, Deployment, Outcome};
use super::call::Admitted;
use super::calls::{CallLog, Peak, Summary};
use super::clock::Clock;
use super::faults::{ActiveFaults, Fault, Faults, Op};
use super::ledger::Ledger;
use super::limits::{Standing, Window};
use super::settings::AccountSettings;
use super::spec::{self, Accepted};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// How long after its end an app can still be in a lagging listing, in
/// simulated seconds; then it is only in the ledger.
const LISTED_AFTER_END_SECONDS: f64 = 3600.0;

/// One account.
pub struct Account {
    pub name: String,
    /// Of the person who owns the tokens.
    pub uuid: String,
    /// Of the team that owns the apps.
    pub team: String,
    pub project: String,
    pub settings: AccountSettings,
    pub faults: ActiveFaults,
    /// Apps a listing may still show, oldest first.
    current: Vec<String>,
}

/// Everything the simulated cloud knows.
pub struct World {
    pub clock: Clock,
    /// Apps are processes; without, the simulator answers for them.
    pub processes: bool,
    pub calls: CallLog,
    accounts: BTreeMap<String, Account>,
    tokens: HashMap<String, String>,
    windows: HashMap<String, Window>,
    apps: HashMap<String, App>,
    /// Ids of all apps ever made, oldest first.
    made: Vec<String>,
    rng: StdRng,
}

/// A stable UUID from a text, so that a restarted simulator has the same accounts.
fn uuid_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

impl World {
    pub fn new(clock: Clock, seed: u64, processes: bool) -> Self {
        Self {
            clock,
            processes,
            calls: CallLog::default(),
            accounts: BTreeMap::new(),
            tokens: HashMap::new(),
            windows: HashMap::new(),
            apps: HashMap::new(),
            made: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Makes an account or changes its settings; apps and faults stay.
    ///
    /// # Errors
    /// 400 for bad settings, 409 for a token of another account.
    pub fn put_account(&mut self, name: &str, settings: AccountSettings) -> Result<(), ApiError> {
        if let Some(problem) = settings.problem() {
            return Err(ApiError::bad_request(problem));
        }
        for token in &settings.tokens {
            if let Some(other) = self.tokens.get(token).filter(|other| *other != name) {
                return Err(ApiError::conflict(format!("tokens: {token:?} belongs to account {other:?}; move it")));
            }
        }
        self.tokens.retain(|_, account| account != name);
        for token in &settings.tokens {
            self.tokens.insert(token.clone(), name.to_owned());
        }
        match self.accounts.get_mut(name) {
            Some(account) => account.settings = settings,
            None => {
                let account = Account {
                    name: name.to_owned(),
                    uuid: uuid_of(&format!("user/{name}")),
                    team: uuid_of(&format!("team/{name}")),
                    project: uuid_of(&format!("project/{name}")),
                    settings,
                    faults: ActiveFaults::new(Faults::default(), self.clock.now()),
                    current: Vec::new(),
                };
                self.accounts.insert(name.to_owned(), account);
            }
        }
        Ok(())
    }

    /// Finds an account.
    ///
    /// # Errors
    /// 404 if there is none of that name.
    pub fn account(&self, name: &str) -> Result<&Account, ApiError> {
        self.accounts.get(name).ok_or_else(ApiError::not_found)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Gives an account a new document of faults.
    ///
    /// # Errors
    /// 400 for a bad document, 404 for an unknown account.
    pub fn set_faults(&mut self, name: &str, faults: Faults) -> Result<(), ApiError> {
        if let Some(problem) = faults.problem() {
            return Err(ApiError::bad_request(problem));
        }
        let now = self.clock.now();
        let account = self.accounts.get_mut(name).ok_or_else(ApiError::not_found)?;
        account.faults = ActiveFaults::new(faults, now);
        Ok(())
    }

    /// Gives a token to another account, or to none.
    ///
    /// # Errors
    /// 404 if the token or the account does not exist.
    pub fn move_token(&mut self, token: &str, to: Option<&str>) -> Result<(), ApiError> {
        let from = self.tokens.get(token).cloned().ok_or_else(ApiError::not_found)?;
        if let Some(to) = to {
            self.account(to)?;
        }
        if let Some(account) = self.accounts.get_mut(&from) {
            account.settings.tokens.retain(|owned| owned != token);
        }
        match to {
            Some(to) => {
                self.tokens.insert(token.to_owned(), to.to_owned());
                if let Some(account) = self.accounts.get_mut(to) {
                    account.settings.tokens.push(token.to_owned());
                }
            }
            None => {
                self.tokens.remove(token);
            }
        }
        Ok(())
    }

    /// Counts a call against its token's budget and finds its faults.
    ///
    /// # Errors
    /// 401 for an unknown token.
    pub fn admit(&mut self, token: &str, op: Op) -> Result<(Admitted, Standing), ApiError> {
        let now = self.clock.now();
        let name = self.tokens.get(token).ok_or_else(ApiError::unauthorized)?;
        let account = self.accounts.get_mut(name).ok_or_else(ApiError::unauthorized)?;
        let window = self.windows.entry(token.to_owned()).or_default();
        let standing = window.admit(&account.settings.limits, self.clock, now);
        let faults = match standing.refused {
            None => account.faults.meet(op, self.clock, now),
            Some(_) => Vec::new(),
        };
        Ok((Admitted { account: name.clone(), faults }, standing))
    }

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
        let existing = self.existing(&call.account, now);
        if let Some(cap) = cap.filter(|cap| existing >= *cap as usize) {
            return Err(ApiError::unprocessable(format!("the account's limit of {cap} apps is reached")));
        }
        let timings = self.account(&call.account)?.settings.timings.clone();
        let project =
            project.map_or_else(|| self.account(&call.account).map(|a| a.project.clone()), |p| Ok(p.into()))?;
        let deployment = self.deployment("manual", call, now)?;
        let url_delay = timings.url_delay_seconds.draw(&mut self.rng);
        let takes = timings.create_call_seconds.draw(&mut self.rng);
        let id = self.new_id();
        let app = built(accepted, call, deployment, &id, project, now, url_delay);
        self.keep(app);
        Ok((&self.apps[&id], takes))
    }

    fn deployment(&mut self, cause: &str, call: &Admitted, now: Timestamp) -> Result<Deployment, ApiError> {
        let timings = self.account(&call.account)?.settings.timings.clone();
        let outcome = call.faults.iter().find_map(|fault| match fault {
            Fault::FailedDeployment { code, message } => {
                Some(Outcome::Failed { code: code.clone(), message: message.clone() })
            }
            Fault::StuckDeployment {} => Some(Outcome::Stuck),
            _ => None,
        });
        let outcome = outcome.unwrap_or(Outcome::Active);
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

    fn new_id(&mut self) -> String {
        let mut bytes = [0u8; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Takes an app into the books.
    fn keep(&mut self, app: App) {
        if let Some(account) = self.accounts.get_mut(&app.account) {
            account.current.push(app.id.clone());
        }
        self.made.push(app.id.clone());
        self.apps.insert(app.id.clone(), app);
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
        }
        Ok((takes, begins))
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
            super::settings::Seconds::Fixed(seconds) => seconds,
            super::settings::Seconds::Spread { median, .. } => median,
        };
        let taken_since = self.clock.before(now, hold);
        let taken = |app: &App| app.name == name && app.exists(taken_since) && Some(app.id.as_str()) != own;
        Ok(!account.current.iter().any(|id| taken(&self.apps[id])))
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
        let deployment = self.deployment("MAINTENANCE", &Admitted { account, faults: Vec::new() }, now)?;
        let app = self.existing_mut(id)?;
        app.deployments.push(deployment);
        app.updated = now;
        Ok(app)
    }

    /// Ends an app at once, without anybody having asked.
    ///
    /// # Errors
    /// 404 if the app does not exist.
    pub fn vanish(&mut self, id: &str) -> Result<(), ApiError> {
        let now = self.clock.now();
        let app = self.existing_mut(id)?;
        (app.gone, app.vanished) = (Some(now), true);
        Ok(())
    }

    /// Makes what answers for the app die, hang or recover.
    ///
    /// # Errors
    /// 404 if the app does not exist.
    pub fn set_agent(&mut self, id: &str, state: AgentState) -> Result<(), ApiError> {
        self.existing_mut(id)?.agent = state;
        Ok(())
    }

    /// The books, of one account or of all.
    pub fn ledger(&self, account: Option<&str>) -> Ledger {
        let apps = self.made.iter().map(|id| &self.apps[id]);
        Ledger::of(apps.filter(|app| account.is_none_or(|account| app.account == account)), self.clock.now())
    }

    /// Every call counted.
    pub fn summary(&self) -> Summary {
        let mut summary = self.calls.summary();
        for (token, window) in &self.windows {
            let Some(account) = self.tokens.get(token) else { continue };
            let peak: &mut Peak = summary.peaks.entry(account.clone()).or_default();
            peak.minute = peak.minute.max(window.peak_minute);
            peak.hour = peak.hour.max(window.peak_hour);
        }
        summary
    }

    /// A number for `x-request-id`.
    pub fn request_id(&mut self) -> String {
        self.new_id()
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
