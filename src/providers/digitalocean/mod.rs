//! DigitalOcean App Platform: one app per instance.

mod catalog;
mod console;
mod http;
mod kept;
mod listing;
mod mapping;
mod prices;
mod request;
mod transport;
mod verify;
mod wire;

pub use self::http::network;
pub use self::transport::{Transport, TransportError};

use self::catalog::Catalog;
use self::http::{CREATE, Call, DELETE, GET, Http, unknown};
use self::listing::{ListingError, PER_PAGE, Page, Pages};
use self::verify::Verified;
use self::wire::{AppAnswer, AppsAnswer, DeploymentsAnswer, ProposeAnswer};
use super::budget::{Budget, Kind};
use super::{
    Account, ConsoleAddress, CreateRequest, ErrorClass, Fence, Fit, Instance, Listing, Provider, ProviderError, Timing,
};
use crate::api::ProviderSpec;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::scrub::hide;
use crate::telemetry::secret::Secret;
use crate::wall::Wall;
use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

/// The provider's name in metrics.
pub const PROVIDER: &str = "digitalocean";

/// One account at DigitalOcean, seen through one token.
///
/// It holds to the account that the token opened first: should the same token
/// ever open another one, every call is refused, since the other account's
/// 404s and listings prove nothing about this one.
pub struct DigitalOcean {
    http: Http,
    verified: Verified,
    catalog: Catalog,
}

impl DigitalOcean {
    /// A client of the API at `base` (such as `https://api.digitalocean.com`),
    /// for one token. Clients of the same token share a budget.
    ///
    /// # Errors
    /// `base` is no http or https address, or TLS cannot be set up.
    pub fn new(base: &str, token: Secret<String>, budget: Arc<Budget>, timing: &Timing) -> Result<Self, ProviderError> {
        let http = Http::new(base, token, budget, timing)?;
        Ok(Self { http, verified: Verified::default(), catalog: Catalog::default() })
    }

    /// The same over another way to the provider than the network, at another time of day: for simulations.
    ///
    /// # Errors
    /// `base` is no http or https address.
    pub fn over(
        way: (Arc<dyn Transport>, Wall),
        base: &str,
        token: Secret<String>,
        budget: Arc<Budget>,
        timing: &Timing,
    ) -> Result<Self, ProviderError> {
        let http = Http::over(way, base, token, budget, timing)?;
        Ok(Self { http, verified: Verified::default(), catalog: Catalog::default() })
    }

    /// Counts every call in these metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.http.metrics = Some(metrics);
        self
    }

    /// Makes no call while this fence is closed.
    #[must_use]
    pub fn with_fence(mut self, fence: Fence) -> Self {
        self.http.fence = fence;
        self
    }

    /// Whether the token was found to open another account than at first.
    pub fn has_moved(&self) -> bool {
        self.verified.has_moved()
    }

    /// A 404 counts only from the account that the instance is in. It surely
    /// is if that account accepted the delete; else the account is asked for.
    async fn gone(&self, id: &str, error: ProviderError) -> ProviderError {
        if error.class != ErrorClass::Gone || self.verified.forget_deleted(id) {
            return error;
        }
        self.verify(Kind::Read).await.err().unwrap_or(error)
    }

    /// A 422 speaks of the account's limits unless the very same spec is refused where nothing is
    /// made of it; nothing else in the answer tells the two apart. Where that cannot be asked, the
    /// limit is believed: it is tried again, and a bad spec is found out then.
    async fn refused(&self, error: ProviderError, body: Value) -> ProviderError {
        if error.class != ErrorClass::Quota {
            return error;
        }
        let call = Call { method: Method::POST, body: Some(body), ..Call::get("propose", &["apps", "propose"]) };
        match self.http.json::<ProposeAnswer>(call).await {
            Err(refused) if refused.class == ErrorClass::Invalid => {
                ProviderError { class: ErrorClass::Invalid, ..error }
            }
            _ => error,
        }
    }

    /// An app with no deployment in it may have one that failed at first: only
    /// the list of deployments still shows it.
    async fn newest_deployment(&self, mut instance: Instance) -> Result<Instance, ProviderError> {
        let path = ["apps", &instance.id, "deployments"];
        let query = [("page", "1".to_owned()), ("per_page", "1".to_owned())];
        let call = Call { query: &query, ..Call::get("deployments", &path) };
        let answer: DeploymentsAnswer = self.http.json(call).await?;
        if let Some(newest) = answer.deployments.first() {
            instance.phase = mapping::phase(newest);
            instance.deployment_id.clone_from(&newest.id);
        }
        Ok(instance)
    }
}

impl Pages for DigitalOcean {
    async fn page(&self, number: usize) -> Result<Page, ProviderError> {
        let query = [("page", number.to_string()), ("per_page", PER_PAGE.to_string())];
        let call = Call { kind: Kind::List, query: &query, ..Call::get("list", &["apps"]) };
        let answer: AppsAnswer = self.http.json(call).await?;
        let meta = answer.meta.ok_or_else(|| unknown("list", "the answer has no meta.total".to_owned()))?;
        let now = self.http.wall.now();
        let instances = answer.apps.into_iter().map(|app| mapping::instance(app, now)).collect();
        Ok(Page { instances, total: meta.total })
    }
}

#[async_trait]
impl Provider for DigitalOcean {
    async fn account(&self) -> Result<Account, ProviderError> {
        self.ask_account(Kind::Read).await
    }

    async fn list(&self) -> Result<Listing, ProviderError> {
        self.verified.hold()?;
        let began = Instant::now();
        let complete = listing::read(self).await.map_err(|error| match error {
            ListingError::Provider(error) => error,
            other => unknown("list", other.to_string()),
        })?;
        self.verify(Kind::List).await?;
        Ok(Listing { began, instances: complete.instances, pages: complete.calls + 1 })
    }

    async fn get(&self, id: &str) -> Result<Instance, ProviderError> {
        self.verified.hold()?;
        let answer: AppAnswer = match self.http.json(Call::get(GET, &["apps", id])).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.gone(id, error).await),
        };
        let app = answer.app.ok_or_else(|| unknown(GET, "the answer has no app".to_owned()))?;
        let has_deployment = mapping::current(&app).is_some();
        let instance = mapping::instance(app, self.http.wall.now())
            .filter(|instance| instance.id == id)
            .ok_or_else(|| unknown(GET, "the answer is about another app".to_owned()))?;
        if has_deployment { Ok(instance) } else { self.newest_deployment(instance).await }
    }

    async fn create(&self, request: &CreateRequest) -> Result<Instance, ProviderError> {
        self.verified.hold()?;
        let provider = request.template.provider.digital_ocean.as_ref().ok_or_else(|| ProviderError {
            class: ErrorClass::Invalid,
            operation: CREATE,
            message: "provider.digitalOcean: missing in the template; set it in the pool".to_owned(),
        })?;
        if !self.verified.is_fresh() {
            self.verify(Kind::Create).await?;
        }
        let body = request::create(request, provider);
        let call = Call {
            kind: Kind::Create,
            method: Method::POST,
            body: Some(body.clone()),
            pool: Some(request.marks.pool_uid.as_str()),
            ..Call::get(CREATE, &["apps"])
        };
        let hide = |error: ProviderError| ProviderError {
            // An answer may repeat what it does not like.
            message: hide(&error.message, request.inputs.hidden().chain([request.agent_token.expose().as_str()])),
            ..error
        };
        let answer: AppAnswer = match self.http.json(call).await {
            Ok(answer) => answer,
            Err(error) => return Err(hide(self.refused(error, body).await)),
        };
        answer
            .app
            .and_then(|app| mapping::instance(app, self.http.wall.now()))
            .ok_or_else(|| unknown(CREATE, "the answer has no app with an id".to_owned()))
    }

    async fn delete(&self, id: &str) -> Result<(), ProviderError> {
        self.verified.hold()?;
        let path = ["apps", id];
        let call = Call { kind: Kind::Delete, method: Method::DELETE, ..Call::get(DELETE, &path) };
        match self.http.send(call).await {
            Ok(_) => {
                self.verified.remember_deleted(id);
                Ok(())
            }
            Err(error) => Err(self.gone(id, error).await),
        }
    }

    async fn name_available(&self, name: &str) -> Result<bool, ProviderError> {
        self.verified.hold()?;
        let body = Some(request::propose(name));
        let call = Call { method: Method::POST, body, ..Call::get("propose", &["apps", "propose"]) };
        let answer: ProposeAnswer = self.http.json(call).await?;
        let available = answer
            .app_name_available
            .ok_or_else(|| unknown("propose", "the answer has no app_name_available".to_owned()))?;
        if available {
            self.verify(Kind::Read).await?;
        }
        Ok(available)
    }

    async fn console(&self, id: &str) -> Result<ConsoleAddress, ProviderError> {
        self.verified.hold()?;
        console::address(&self.http, id).await
    }

    async fn usd_per_second(&self, size: &str) -> Result<f64, ProviderError> {
        prices::usd_per_second(size, &self.catalog, &self.http).await
    }

    async fn fit(&self, spec: &ProviderSpec) -> Result<Fit, ProviderError> {
        match &spec.digital_ocean {
            Some(spec) => self.catalog.fit(spec, &self.http).await,
            None => Ok(Fit::Offered),
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
