//! What an account is offered, besides what everybody is: sizes that will go,
//! regions that are closed, and registries that ask who pulls.

use super::app::Outcome;
use super::catalog;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What differs from the official lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Offer {
    /// Sizes that say of themselves that they will be withdrawn.
    pub deprecated_sizes: Vec<String>,
    /// Regions that are closed to new apps, and why.
    pub closed_regions: BTreeMap<String, String>,
}

/// A registry whose images not everybody may pull.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrivateRegistry {
    /// `GHCR` or `DOCKER_HUB`.
    pub registry_type: String,
    /// Owner of the images.
    pub registry: String,
    /// `user:token`, the only ones that open it.
    pub credentials: String,
}

/// What an app pulls, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pull {
    pub registry_type: String,
    pub registry: String,
    /// In plain; absent where the spec has none.
    pub credentials: Option<String>,
}

impl Offer {
    /// What is wrong with it, naming field and value.
    pub fn problem(&self) -> Option<String> {
        let size = self.deprecated_sizes.iter().find(|slug| catalog::size(slug).is_none());
        let region = self.closed_regions.keys().find(|slug| catalog::region_to_wire(slug).is_none());
        match (size, region) {
            (Some(slug), _) => Some(format!("offer.deprecatedSizes: {slug:?} is not a known size")),
            (None, Some(slug)) => {
                Some(format!("offer.closedRegions: {slug:?} is not one of {}", catalog::region_slugs()))
            }
            (None, None) => None,
        }
    }

    /// Why no app may be made in a region, if so.
    pub fn refuses(&self, region: &str) -> Option<String> {
        let reason = self.closed_regions.get(region)?;
        Some(format!("spec.region: {region:?} is not available for new apps: {reason}"))
    }

    /// A size as `apps_instance_size` of the API.
    pub fn size(&self, size: &catalog::Size) -> Value {
        let mut wire = size.to_wire();
        if self.deprecated_sizes.iter().any(|slug| slug == size.slug) {
            wire["deprecation_intent"] = true.into();
        }
        wire
    }

    /// Every region as the regions endpoint lists them.
    pub fn regions(&self) -> Vec<Value> {
        let mut all = catalog::regions_to_wire();
        for region in &mut all {
            if let Some(reason) = region["slug"].as_str().and_then(|slug| self.closed_regions.get(slug)) {
                let reason = reason.clone();
                region["disabled"] = true.into();
                region["reason"] = json!(reason);
            }
        }
        all
    }
}

/// How a deployment ends whose image these registries do not give out; none if they do.
pub fn refused(registries: &[PrivateRegistry], pull: &Pull) -> Option<Outcome> {
    let asked = |known: &&PrivateRegistry| {
        known.registry_type == pull.registry_type && known.registry.eq_ignore_ascii_case(&pull.registry)
    };
    let private = registries.iter().find(asked)?;
    let why = match &pull.credentials {
        Some(given) if *given == private.credentials => return None,
        Some(_) => "the registry credentials are not accepted",
        None => "the registry asks for credentials and the spec has none",
    };
    let message = format!("failed to pull an image of {} from {}: {why}", pull.registry, pull.registry_type);
    Some(Outcome::Failed { code: "ImagePullFailed".into(), message })
}
