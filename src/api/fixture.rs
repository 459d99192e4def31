//! Parts of a pool that tests of several rooms begin with.

use super::{CredentialsRef, DigitalOceanProvider, Image, Mode, ProviderSpec, RegistryType};

/// DigitalOcean in New York, with the token in a Secret of the pool's own namespace.
pub(crate) fn provider() -> ProviderSpec {
    let digital_ocean = DigitalOceanProvider {
        credentials_ref: CredentialsRef { namespace: None, name: "do".into(), key: "token".into() },
        region: "nyc".into(),
        size: "apps-s-1vcpu-1gb".into(),
        mode: Mode::Service,
        project_id: None,
    };
    ProviderSpec { digital_ocean: Some(digital_ocean) }
}

/// A public image.
pub(crate) fn image() -> Image {
    Image {
        registry_type: RegistryType::Ghcr,
        registry: Some("example".into()),
        repository: "python".into(),
        tag: Some("1".into()),
        digest: None,
        pull_secret_ref: None,
    }
}
