//! The app spec: what is refused, what is filled in, what is kept secret.

use super::answer::ApiError;
use super::catalog;
use super::offer::Pull;
use rand::{Rng, RngExt};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The name rule of apps and components in words.
const NAME_RULE: &str = "must be 2 to 32 lowercase letters, digits or '-', begin with a letter and not end with '-'";

/// The kinds of component that run and therefore cost.
const RUNNING: [&str; 2] = ["services", "workers"];

/// A spec that was accepted.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// As the API gives it back: defaults filled in, secrets encrypted.
    pub wire: Value,
    pub name: String,
    pub region: &'static str,
    /// Of the first component.
    pub size: &'static str,
    /// Price of all instances together, in USD per second.
    pub usd_per_second: f64,
    /// Price of all instances together, in USD per month.
    pub usd_per_month: u32,
    /// A worker has no address.
    pub has_service: bool,
    pub http_port: u64,
    /// What the container of the first component gets at run time, in plain.
    pub environment: BTreeMap<String, String>,
    /// The variables of type GENERAL of the first component.
    pub marks: BTreeMap<String, String>,
    /// The image of the first component; none for other sources.
    pub pull: Option<Pull>,
}

/// Checks a spec, fills in defaults and encrypts its secrets.
///
/// # Errors
/// 400 with the field, the value and what would be right.
pub fn accept(spec: &Value, rng: &mut impl Rng) -> Result<Accepted, ApiError> {
    let mut wire = spec.clone();
    let object = wire.as_object_mut().ok_or_else(|| ApiError::bad_request("spec: an object is required"))?;
    let name = valid_name(object.get("name"), "spec.name")?;
    let region = valid_region(object.get("region"))?;
    object.insert("region".into(), region.into());
    let mut accepted = Accepted {
        wire: Value::Null,
        name,
        region,
        size: catalog::DEFAULT_SIZE,
        usd_per_second: 0.0,
        usd_per_month: 0,
        has_service: false,
        http_port: 8080,
        environment: BTreeMap::new(),
        marks: BTreeMap::new(),
        pull: None,
    };
    let mut names = BTreeSet::new();
    for kind in RUNNING {
        let Some(components) = object.get_mut(kind).filter(|value| !value.is_null()) else { continue };
        let list = components
            .as_array_mut()
            .ok_or_else(|| ApiError::bad_request(format!("spec.{kind}: a list of components is required")))?;
        for (index, component) in list.iter_mut().enumerate() {
            let field = format!("spec.{kind}[{index}]");
            let component = component
                .as_object_mut()
                .ok_or_else(|| ApiError::bad_request(format!("{field}: an object is required")))?;
            accept_component(component, &field, kind == "services", &mut names, &mut accepted, rng)?;
        }
    }
    if names.is_empty() {
        return Err(ApiError::bad_request("spec: at least one component (services or workers) is required"));
    }
    accepted.wire = wire;
    Ok(accepted)
}

fn accept_component(
    component: &mut Map<String, Value>,
    field: &str,
    service: bool,
    names: &mut BTreeSet<String>,
    accepted: &mut Accepted,
    rng: &mut impl Rng,
) -> Result<(), ApiError> {
    let first = names.is_empty();
    let name = valid_name(component.get("name"), &format!("{field}.name"))?;
    if !names.insert(name.clone()) {
        return Err(ApiError::bad_request(format!("{field}.name: {name:?} is used by another component of the app")));
    }
    valid_source(component, field)?;
    let size = valid_size(component, field)?;
    let count = valid_number(component, field, "instance_count", 1, 250)?.unwrap_or(1);
    if size.single_instance_only && count > 1 {
        let slug = size.slug;
        return Err(ApiError::bad_request(format!(
            "{field}.instance_count: size {slug} allows one instance, not {count}"
        )));
    }
    component.insert("instance_size_slug".into(), size.slug.into());
    component.insert("instance_count".into(), count.into());
    accepted.usd_per_second += size.per_second() * count as f64;
    accepted.usd_per_month += size.usd_per_month * count as u32;
    if service {
        let port = valid_number(component, field, "http_port", 1, 65_535)?.unwrap_or(8080);
        component.insert("http_port".into(), port.into());
        accepted.has_service = true;
        if first {
            accepted.http_port = port;
        }
    }
    let pull = accept_pull(component, rng);
    let environment = accept_envs(component, field, rng)?;
    if first {
        accepted.pull = pull;
        accepted.size = size.slug;
        (accepted.environment, accepted.marks) = environment;
    }
    Ok(())
}

/// Gives what is pulled and with what; the credentials become ciphertext in place.
fn accept_pull(component: &mut Map<String, Value>, rng: &mut impl Rng) -> Option<Pull> {
    let image = component.get_mut("image").filter(|value| !value.is_null())?;
    let given = |key: &str| text(image, key).map(str::to_owned);
    let pull = Pull {
        registry_type: given("registry_type").unwrap_or_default(),
        registry: given("registry").unwrap_or_default(),
        credentials: given("registry_credentials"),
    };
    if let Some(credentials) = &pull.credentials {
        image["registry_credentials"] = encrypted(credentials.len(), rng).into();
    }
    Some(pull)
}

type Environment = (BTreeMap<String, String>, BTreeMap<String, String>);

/// Gives what runs see, and the GENERAL ones alone; secrets become ciphertext in place.
fn accept_envs(component: &mut Map<String, Value>, field: &str, rng: &mut impl Rng) -> Result<Environment, ApiError> {
    let mut environment = Environment::default();
    let Some(envs) = component.get_mut("envs").filter(|value| !value.is_null()) else { return Ok(environment) };
    let list = envs.as_array_mut().ok_or_else(|| ApiError::bad_request(format!("{field}.envs: a list is required")))?;
    for (index, env) in list.iter_mut().enumerate() {
        let field = format!("{field}.envs[{index}]");
        let key = text(env, "key").unwrap_or_default().to_owned();
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) || !key.chars().all(letter) {
            return Err(ApiError::bad_request(format!("{field}.key: {key:?} must match ^[_A-Za-z][_A-Za-z0-9]*$")));
        }
        let value = text(env, "value").unwrap_or_default().to_owned();
        let kind = one_of(env, &field, "type", &["GENERAL", "SECRET"], "GENERAL")?;
        let scopes = ["UNSET", "RUN_TIME", "BUILD_TIME", "RUN_AND_BUILD_TIME"];
        let scope = one_of(env, &field, "scope", &scopes, "RUN_AND_BUILD_TIME")?;
        env["scope"] = scope.clone().into();
        if kind == "SECRET" {
            env["value"] = encrypted(value.len(), rng).into();
        } else {
            environment.1.insert(key.clone(), value.clone());
        }
        if scope != "BUILD_TIME" {
            environment.0.insert(key, value);
        }
    }
    Ok(environment)
}

/// What a secret looks like when it comes back: version, nonce, ciphertext.
fn encrypted(length: usize, rng: &mut impl Rng) -> String {
    let mut random = |bytes: usize| {
        let bytes: Vec<u8> = (0..bytes).map(|_| rng.random()).collect();
        data_encoding::BASE64.encode(&bytes)
    };
    format!("EV[1:{}:{}]", random(24), random(length + 16))
}

/// Whether a name follows `^[a-z][a-z0-9-]{0,30}[a-z0-9]$`.
fn is_name(name: &str) -> bool {
    (2..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn valid_name(value: Option<&Value>, field: &str) -> Result<String, ApiError> {
    match value.and_then(Value::as_str) {
        Some(name) if is_name(name) => Ok(name.to_owned()),
        Some(name) => Err(ApiError::bad_request(format!("{field}: {name:?} {NAME_RULE}"))),
        None => Err(ApiError::bad_request(format!("{field}: is required, and {NAME_RULE}"))),
    }
}

fn valid_region(value: Option<&Value>) -> Result<&'static str, ApiError> {
    let given = value.and_then(Value::as_str).unwrap_or_default();
    if given.is_empty() {
        return Ok(catalog::DEFAULT_REGION);
    }
    catalog::region_slug(given).ok_or_else(|| {
        ApiError::bad_request(format!("spec.region: {given:?} is not one of {}", catalog::region_slugs()))
    })
}

fn valid_size(component: &Map<String, Value>, field: &str) -> Result<&'static catalog::Size, ApiError> {
    let given = component.get("instance_size_slug").and_then(Value::as_str).unwrap_or_default();
    let slug = if given.is_empty() { catalog::DEFAULT_SIZE } else { given };
    catalog::size(slug)
        .ok_or_else(|| ApiError::bad_request(format!("{field}.instance_size_slug: {slug:?} is not a known size")))
}

fn valid_source(component: &Map<String, Value>, field: &str) -> Result<(), ApiError> {
    let given = |source: &&str| component.get(*source).is_some_and(|value| !value.is_null());
    let sources: Vec<&str> = ["image", "git", "github", "gitlab", "bitbucket"].into_iter().filter(given).collect();
    if sources.len() != 1 {
        return Err(ApiError::bad_request(format!("{field}: exactly one source (image, git, ...) is required")));
    }
    let Some(image) = component.get("image").filter(|value| !value.is_null()) else { return Ok(()) };
    let field = format!("{field}.image");
    let kind = one_of(image, &field, "registry_type", &["DOCKER_HUB", "DOCR", "GHCR"], "")?;
    let registry = text(image, "registry").unwrap_or_default();
    if (kind == "DOCR") != registry.is_empty() {
        return Err(ApiError::bad_request(format!(
            "{field}.registry: {registry:?} must be empty for DOCR and the owner for {kind}"
        )));
    }
    if text(image, "repository").unwrap_or_default().is_empty() {
        return Err(ApiError::bad_request(format!("{field}.repository: is required")));
    }
    if text(image, "tag").is_some() && text(image, "digest").is_some() {
        return Err(ApiError::bad_request(format!("{field}: tag and digest exclude each other")));
    }
    Ok(())
}

fn valid_number(
    component: &Map<String, Value>,
    field: &str,
    key: &str,
    least: u64,
    most: u64,
) -> Result<Option<u64>, ApiError> {
    let Some(value) = component.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_u64() {
        Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(ApiError::bad_request(format!("{field}.{key}: {value} must be a number in {least}..={most}"))),
    }
}

fn one_of(value: &Value, field: &str, key: &str, allowed: &[&str], default: &str) -> Result<String, ApiError> {
    let given = text(value, key).unwrap_or(default);
    if allowed.contains(&given) {
        return Ok(given.to_owned());
    }
    Err(ApiError::bad_request(format!("{field}.{key}: {given:?} is not one of {}", allowed.join(", "))))
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A name that is free to suggest when `name` is taken.
pub fn suggestion(name: &str, rng: &mut impl Rng) -> Value {
    let stem: String = name.chars().take(26).collect();
    json!(format!("{stem}-{:04x}", rng.random::<u16>()))
}
