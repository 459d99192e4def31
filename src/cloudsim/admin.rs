//! A typed client of the admin API, for tests, benchmarks and the demo.

pub use super::app::AgentState;
pub use super::calls::{Call, Count, Peak, Summary};
pub use super::faults::{Fault, Faults, Op, Rule, Shape};
pub use super::ledger::{Entry, Ledger, State, Totals};
pub use super::offer::{Offer, PrivateRegistry};
pub use super::settings::{AccountSettings, Limits, Seconds, Timings};

use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Why a call of the admin API did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody answers there.
    #[error("the simulator at {url} does not answer")]
    Unreachable {
        /// Address of the simulator.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It answered that it does not do this.
    #[error("the simulator refused {what} with {status}: {message}")]
    Refused { what: String, status: StatusCode, message: String },
}

/// Steers and reads one simulated cloud.
#[derive(Debug, Clone)]
pub struct SimAdmin {
    url: String,
    http: reqwest::Client,
}

impl SimAdmin {
    /// `url` is the simulator's address, without a path.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into().trim_end_matches('/').to_owned(), http: reqwest::Client::new() }
    }

    /// Makes an account or changes its settings; its apps and faults stay.
    ///
    /// # Errors
    /// When the settings are refused or nobody answers. So for all below.
    pub async fn put_account(&self, name: &str, settings: &AccountSettings) -> Result<(), AdminError> {
        self.send(Method::PUT, &format!("accounts/{name}"), Some(settings)).await
    }

    /// Replaces the faults of an account.
    pub async fn set_faults(&self, account: &str, faults: &Faults) -> Result<(), AdminError> {
        self.send(Method::PUT, &format!("accounts/{account}/faults"), Some(faults)).await
    }

    /// Sets these rules as the faults of an account, with seed 0.
    pub async fn set_rules(&self, account: &str, rules: impl Into<Vec<Rule>>) -> Result<(), AdminError> {
        self.set_faults(account, &Faults { seed: 0, rules: rules.into() }).await
    }

    /// Takes all faults from an account.
    pub async fn clear_faults(&self, account: &str) -> Result<(), AdminError> {
        self.send(Method::DELETE, &format!("accounts/{account}/faults"), None::<&Value>).await
    }

    /// Gives a token to another account.
    pub async fn move_token(&self, token: &str, account: &str) -> Result<(), AdminError> {
        self.send(Method::POST, &format!("tokens/{token}/move"), Some(&json!({ "account": account }))).await
    }

    /// Makes a token unknown.
    pub async fn revoke_token(&self, token: &str) -> Result<(), AdminError> {
        self.send(Method::POST, &format!("tokens/{token}/revoke"), None::<&Value>).await
    }

    /// Starts a deployment by the platform: a new deployment id, files lost.
    /// Gives the deployment's id.
    pub async fn maintenance(&self, app: &str) -> Result<String, AdminError> {
        let answer: Value = self.ask(Method::POST, &format!("apps/{app}/maintenance"), None::<&Value>).await?;
        Ok(answer["deployment"].as_str().unwrap_or_default().to_owned())
    }

    /// Ends an app at once, unasked.
    pub async fn vanish(&self, app: &str) -> Result<(), AdminError> {
        self.send(Method::POST, &format!("apps/{app}/vanish"), None::<&Value>).await
    }

    /// Makes what answers for an app die, hang or recover.
    pub async fn set_agent(&self, app: &str, state: AgentState) -> Result<(), AdminError> {
        self.send(Method::POST, &format!("apps/{app}/agent"), Some(&json!({ "state": state }))).await
    }

    /// The books of all accounts.
    pub async fn ledger(&self) -> Result<Ledger, AdminError> {
        self.ask(Method::GET, "ledger", None::<&Value>).await
    }

    /// The books of one account.
    pub async fn ledger_of(&self, account: &str) -> Result<Ledger, AdminError> {
        self.ask(Method::GET, &format!("ledger?account={account}"), None::<&Value>).await
    }

    /// The calls of one account after call number `since`; at most the newest 20,000.
    pub async fn calls(&self, account: &str, since: u64) -> Result<Vec<Call>, AdminError> {
        self.ask(Method::GET, &format!("calls?account={account}&since={since}"), None::<&Value>).await
    }

    /// All calls ever, counted.
    pub async fn summary(&self) -> Result<Summary, AdminError> {
        self.ask(Method::GET, "calls/summary", None::<&Value>).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> Result<(), AdminError> {
        self.ask::<Value>(method, path, body).await.map(|_| ())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, AdminError> {
        let what = format!("{method} /_sim/{path}");
        let unreachable = |source| AdminError::Unreachable { url: self.url.clone(), source };
        let mut request = self.http.request(method, format!("{}/_sim/{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(unreachable);
        }
        let body: Value = response.json().await.unwrap_or_default();
        let message = body["message"].as_str().unwrap_or("no message").to_owned();
        Err(AdminError::Refused { what, status, message })
    }
}
