//! DigitalOcean's answers, as far as they are used.
//!
//! The API description and the real answers disagree in places, so nothing is
//! required here: a member that is null, absent or of another type is absent,
//! a phase nobody knows is unknown, the zero time is no time.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Anything that does not fit is the default value. Read out of the text: listings are long.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    let text = Box::<RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(text.get()).unwrap_or_default())
}

/// A time; the provider writes unknown ones as year 1.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let time: Option<Timestamp> = lenient(from)?;
    Ok(time.filter(|time| *time > Timestamp::UNIX_EPOCH))
}

/// An app.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct App {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub spec: Spec,
    #[serde(default, deserialize_with = "lenient")]
    pub live_url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub default_ingress: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub active_deployment: Option<Deployment>,
    #[serde(default, deserialize_with = "lenient")]
    pub in_progress_deployment: Option<Deployment>,
    #[serde(default, deserialize_with = "lenient")]
    pub pending_deployment: Option<Deployment>,
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
}

/// The part of an app spec that tells whose it is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Spec {
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub services: Vec<Component>,
    #[serde(default, deserialize_with = "lenient")]
    pub workers: Vec<Component>,
}

/// A service or a worker.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Component {
    #[serde(default, deserialize_with = "lenient")]
    pub envs: Vec<Env>,
}

/// An environment variable.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Env {
    #[serde(default, deserialize_with = "lenient")]
    pub key: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub value: Option<String>,
}

/// A deployment.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Deployment {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub phase: Option<Phase>,
    #[serde(default, deserialize_with = "lenient")]
    pub cause: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub progress: Progress,
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    PendingBuild,
    Building,
    PendingDeploy,
    Deploying,
    Active,
    Superseded,
    Error,
    Canceled,
    /// What the provider calls so, and every word it may invent.
    #[serde(other)]
    Unknown,
}

/// The steps of a deployment.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Progress {
    #[serde(default, deserialize_with = "lenient")]
    pub steps: Vec<Step>,
}

/// One step; the API description leaves its children untyped.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Step {
    #[serde(default, deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub reason: Option<StepReason>,
    #[serde(default, deserialize_with = "lenient")]
    pub steps: Vec<Self>,
}

/// Why a step failed.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StepReason {
    #[serde(default, deserialize_with = "lenient")]
    pub code: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub message: Option<String>,
}

/// The answer to get and create.
#[derive(Debug, Deserialize)]
pub struct AppAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub app: Option<App>,
}

/// One page of the listing.
#[derive(Debug, Deserialize)]
pub struct AppsAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub apps: Vec<App>,
    #[serde(default, deserialize_with = "lenient")]
    pub meta: Option<Meta>,
}

/// How much there is in all.
#[derive(Debug, Default, Deserialize)]
pub struct Meta {
    /// Absent means zero: the provider's encoder leaves zeros out.
    #[serde(default, deserialize_with = "lenient")]
    pub total: usize,
}

/// An app's deployments, newest first.
#[derive(Debug, Deserialize)]
pub struct DeploymentsAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub deployments: Vec<Deployment>,
}

/// The answer to propose.
#[derive(Debug, Deserialize)]
pub struct ProposeAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub app_name_available: Option<bool>,
}

/// The answer to exec.
#[derive(Debug, Deserialize)]
pub struct ExecAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub url: Option<String>,
}

/// The answer to account.
#[derive(Debug, Deserialize)]
pub struct AccountAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub account: AccountBody,
}

/// An account: a user, seen as a member of a team.
#[derive(Debug, Default, Deserialize)]
pub struct AccountBody {
    #[serde(default, deserialize_with = "lenient")]
    pub uuid: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub team: Option<Team>,
}

/// A team.
#[derive(Debug, Default, Deserialize)]
pub struct Team {
    #[serde(default, deserialize_with = "lenient")]
    pub uuid: Option<String>,
}

/// All instance sizes.
#[derive(Debug, Deserialize)]
pub struct SizesAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub instance_sizes: Vec<Size>,
}

/// One instance size.
#[derive(Debug, Default, Deserialize)]
pub struct Size {
    #[serde(default, deserialize_with = "lenient")]
    pub slug: Option<String>,
    /// A number, written as a string.
    #[serde(default, deserialize_with = "price")]
    pub usd_per_second: Option<f64>,
    #[serde(default, deserialize_with = "lenient")]
    pub deprecation_intent: bool,
}

/// All regions.
#[derive(Debug, Deserialize)]
pub struct RegionsAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub regions: Vec<Region>,
}

/// One region.
#[derive(Debug, Default, Deserialize)]
pub struct Region {
    #[serde(default, deserialize_with = "lenient")]
    pub slug: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub continent: Option<String>,
    /// Closed to new apps.
    #[serde(default, deserialize_with = "lenient")]
    pub disabled: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub reason: Option<String>,
}

fn price<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let price = match Value::deserialize(from)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    Ok(price.filter(|price: &f64| price.is_finite() && *price >= 0.0))
}

/// The body of an error, when it is JSON.
#[derive(Debug, Deserialize)]
pub struct ErrorAnswer {
    #[serde(default, deserialize_with = "lenient")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub message: Option<String>,
}
