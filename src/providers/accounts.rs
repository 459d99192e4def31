//! From a pool's credentials to the account they open.

mod credentials;
mod error;
mod limits;

pub use error::CredentialsError;
pub use limits::AccountLimits;

use self::credentials::Secrets;
use super::budget::Budget;
use super::digitalocean::{self, DigitalOcean, Transport};
use super::{Account, ErrorClass, Fence, Provider, ProviderError, Timing};
use crate::api::ProviderSpec;
use crate::telemetry::metrics::{Metrics, token_label};
use crate::telemetry::secret::Secret;
use crate::wall::Wall;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Where the providers' APIs are. Flags of the operator, never of a pool: a
/// pool could steal a token with an address of its own.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// DigitalOcean's API, such as `https://api.digitalocean.com`.
    pub digitalocean_url: String,
}

/// Another way to the providers than the network.
#[derive(Clone)]
pub struct Detour {
    /// Carries every call.
    pub transport: Arc<dyn Transport>,
    /// The time of day at its other end.
    pub wall: Wall,
}

/// An account, and a handle that acts in it.
#[derive(Clone)]
pub struct Connection {
    /// The account that the credentials open.
    pub account: Account,
    /// Acts in it.
    pub provider: Arc<dyn Provider>,
    /// Namespace of the credentials Secret.
    pub secret_namespace: String,
    /// Its name.
    pub secret_name: String,
    /// What the Secret's owner allows in the account.
    pub limits: AccountLimits,
    /// Tells tokens apart in metrics and logs without showing any: eight
    /// characters of a hash.
    pub token_label: String,
}

/// Resolves credentials; clones share what is known.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    secrets: Secrets,
    endpoints: Endpoints,
    /// The way that every token's calls take; the network from the first call on, if no other was given.
    way: OnceLock<Detour>,
    timing: Timing,
    metrics: Option<Metrics>,
    fence: Fence,
    /// By the token itself: a label is short enough to be met on purpose.
    tokens: Mutex<HashMap<Secret<String>, Arc<Token>>>,
}

/// A token that is unused for so long is forgotten: longer than the longest
/// window of its rate budget.
const TOKEN_KEPT: Duration = Duration::from_secs(2 * 3_600);
/// A failed question for the account is not asked again for so long.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// One token: its budget, and who it turned out to be.
struct Token {
    value: Secret<String>,
    label: String,
    budget: Arc<Budget>,
    used: Mutex<Instant>,
    /// Held while the account is asked for, so that it is asked for once.
    opened: tokio::sync::Mutex<Opened>,
}

#[derive(Default)]
enum Opened {
    #[default]
    Unasked,
    Account(Account, Arc<DigitalOcean>),
    Failed(Instant, ProviderError),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Accounts {
    /// Nothing is read or asked yet.
    pub fn new(client: kube::Client, endpoints: Endpoints, timing: &Timing) -> Self {
        Self::build(client, endpoints, None, timing, None, Fence::open())
    }

    /// The same for what only a leader may do: no provider call is made while `fence` is closed, and every one is
    /// counted in these metrics.
    pub fn fenced(client: kube::Client, endpoints: Endpoints, timing: &Timing, metrics: Metrics, fence: Fence) -> Self {
        Self::build(client, endpoints, None, timing, Some(metrics), fence)
    }

    /// The same by another way than the network: for simulations.
    pub fn by_detour(client: kube::Client, endpoints: Endpoints, detour: Detour, timing: &Timing) -> Self {
        Self::build(client, endpoints, Some(detour), timing, None, Fence::open())
    }

    fn build(
        client: kube::Client,
        endpoints: Endpoints,
        detour: Option<Detour>,
        timing: &Timing,
        metrics: Option<Metrics>,
        fence: Fence,
    ) -> Self {
        let secrets = Secrets::new(client, timing.credentials_ttl);
        let tokens = Mutex::default();
        let way = detour.map(OnceLock::from).unwrap_or_default();
        Self { inner: Arc::new(Inner { secrets, endpoints, way, timing: timing.clone(), metrics, fence, tokens }) }
    }

    /// The account that a pool's credentials open. Reads the Secret at most
    /// once per `credentials_ttl` and asks for a token's account once.
    ///
    /// # Errors
    /// [`CredentialsError`]; none of them says anything about instances.
    pub async fn resolve(&self, pool_namespace: &str, provider: &ProviderSpec) -> Result<Connection, CredentialsError> {
        let reference = provider.credentials_ref().ok_or(CredentialsError::NoProvider)?;
        let (value, limits) = self.inner.secrets.token(pool_namespace, reference).await?;
        let token = self.inner.token(value);
        let namespace = reference.namespace.as_deref().unwrap_or(pool_namespace);
        match token.open(&self.inner).await {
            Ok((account, provider)) => Ok(Connection {
                account,
                provider,
                secret_namespace: namespace.to_owned(),
                secret_name: reference.name.clone(),
                limits,
                token_label: token.label.clone(),
            }),
            Err(error) if error.class == ErrorClass::Auth => Err(CredentialsError::Rejected {
                namespace: namespace.to_owned(),
                name: reference.name.clone(),
                key: reference.key.clone(),
                said: error.message,
            }),
            Err(error) => Err(CredentialsError::Unavailable(error)),
        }
    }

    /// What the Secret that a pool names says of the account that it opens, whether or not its token works.
    ///
    /// # Errors
    /// The Secret cannot be read now.
    pub async fn limits(
        &self,
        pool_namespace: &str,
        provider: &ProviderSpec,
    ) -> Result<AccountLimits, CredentialsError> {
        let reference = provider.credentials_ref().ok_or(CredentialsError::NoProvider)?;
        self.inner.secrets.limits(pool_namespace, reference).await
    }

    /// Forgets what the credentials of this connection are and which account
    /// they open: call it after an [`ErrorClass::Auth`] error anywhere.
    pub fn forget(&self, connection: &Connection) {
        self.inner.secrets.forget(&connection.secret_namespace, &connection.secret_name);
        for token in lock(&self.inner.tokens).values().filter(|token| token.label == connection.token_label) {
            // One that is being asked for right now will be fresh anyway.
            if let Ok(mut opened) = token.opened.try_lock() {
                *opened = Opened::Unasked;
            }
        }
    }

    /// The rate budgets of the tokens in use, by label, for metrics.
    pub fn budgets(&self) -> Vec<(String, Arc<Budget>)> {
        lock(&self.inner.tokens).values().map(|token| (token.label.clone(), token.budget.clone())).collect()
    }
}

impl Inner {
    fn way(&self) -> Result<Detour, ProviderError> {
        if let Some(way) = self.way.get() {
            return Ok(way.clone());
        }
        let network = Detour { transport: digitalocean::network(&self.timing)?, wall: Wall::real() };
        Ok(self.way.get_or_init(|| network).clone())
    }

    fn token(&self, value: Secret<String>) -> Arc<Token> {
        let now = Instant::now();
        let mut tokens = lock(&self.tokens);
        tokens.retain(|_, token| now.saturating_duration_since(*lock(&token.used)) < TOKEN_KEPT);
        let token = tokens.entry(value.clone()).or_insert_with(|| {
            Arc::new(Token {
                label: token_label(&value),
                value,
                budget: Arc::default(),
                used: Mutex::new(now),
                opened: tokio::sync::Mutex::default(),
            })
        });
        *lock(&token.used) = now;
        token.clone()
    }
}

impl Token {
    async fn open(&self, inner: &Inner) -> Result<(Account, Arc<DigitalOcean>), ProviderError> {
        let mut opened = self.opened.lock().await;
        match &*opened {
            // A client whose token changed accounts refuses everything: make another.
            Opened::Account(account, client) if !client.has_moved() => return Ok((account.clone(), client.clone())),
            Opened::Failed(at, error) if at.elapsed() < FAILURE_KEPT => return Err(error.clone()),
            _ => {}
        }
        let url = &inner.endpoints.digitalocean_url;
        let asked = async {
            let (token, budget, timing) = (self.value.clone(), self.budget.clone(), &inner.timing);
            let Detour { transport, wall } = inner.way()?;
            let mut client = DigitalOcean::over((transport, wall), url, token, budget, timing)?;
            client = client.with_fence(inner.fence.clone());
            if let Some(metrics) = &inner.metrics {
                client = client.with_metrics(metrics.clone());
            }
            Ok::<_, ProviderError>((client.account().await?, Arc::new(client)))
        };
        let result = asked.await;
        *opened = match &result {
            Ok((account, client)) => Opened::Account(account.clone(), client.clone()),
            Err(error) => Opened::Failed(Instant::now(), error.clone()),
        };
        result
    }
}

#[cfg(test)]
mod tests;
