//! The simulated cloud's state: accounts, tokens, apps, and its books.

mod apps;
mod steer;

use super::answer::ApiError;
use super::app::App;
use super::call::Admitted;
use super::calls::{CallLog, Peak, Summary};
use super::clock::Clock;
use super::console::Ticket;
use super::faults::{ActiveFaults, Faults, Op};
use super::journal::{Journal, Kept};
use super::ledger::Ledger;
use super::limits::{Standing, Window};
use super::settings::AccountSettings;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

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
    /// The newest app of each name: only it can hold the name.
    names: HashMap<String, String>,
}

/// Everything the simulated cloud knows.
pub struct World {
    pub clock: Clock,
    /// Apps are processes; without, the simulator answers for them.
    pub processes: bool,
    pub calls: CallLog,
    /// Consoles that can be opened, by token.
    pub consoles: HashMap<String, Ticket>,
    accounts: BTreeMap<String, Account>,
    tokens: HashMap<String, String>,
    windows: HashMap<String, Window>,
    apps: HashMap<String, App>,
    /// Ids of all apps ever made, oldest first.
    made: Vec<String>,
    rng: StdRng,
    journal: Option<Journal>,
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
            consoles: HashMap::new(),
            accounts: BTreeMap::new(),
            tokens: HashMap::new(),
            windows: HashMap::new(),
            apps: HashMap::new(),
            made: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            journal: None,
        }
    }

    /// Takes over what an earlier simulator kept, and keeps every change from here on.
    ///
    /// # Errors
    /// 400 or 409 when the kept accounts do not fit together.
    pub fn resume(&mut self, journal: Journal, kept: Kept, seed: u64) -> Result<(), ApiError> {
        // Other ids than those the earlier one gave out.
        self.rng = StdRng::seed_from_u64(seed.wrapping_add(kept.apps.len() as u64).wrapping_add(1));
        for (name, settings) in kept.accounts {
            self.put_account(&name, settings)?;
        }
        for mut app in kept.apps {
            if !self.processes {
                app.address = None;
                app.deployments.iter_mut().for_each(|deployment| deployment.awaits_process = false);
            }
            self.keep(app);
        }
        self.journal = Some(journal);
        Ok(())
    }

    /// Writes an app down as it is now.
    fn note_app(&mut self, id: &str) {
        if let (Some(journal), Some(app)) = (&mut self.journal, self.apps.get(id)) {
            journal.app(app);
        }
    }

    fn note_account(&mut self, name: &str) {
        if let (Some(journal), Some(account)) = (&mut self.journal, self.accounts.get(name)) {
            journal.account(name, &account.settings);
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
                    names: HashMap::new(),
                };
                self.accounts.insert(name.to_owned(), account);
            }
        }
        self.note_account(name);
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
        self.note_account(&from);
        if let Some(to) = to {
            self.note_account(to);
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

    fn new_id(&mut self) -> String {
        let mut bytes = [0u8; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A number for `x-request-id`.
    pub fn request_id(&mut self) -> String {
        self.new_id()
    }
}
