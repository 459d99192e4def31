//! What a create call carries besides its template: values out of Secrets.
//! They live in memory from the read to the call, and in no object.

use crate::telemetry::secret::Secret;

/// Values out of Secrets for one create call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Environment variables, by name, in the template's order.
    pub env: Vec<(String, Secret<String>)>,
    /// What opens the image's registry, as `user:token`.
    pub registry_credentials: Option<Secret<String>>,
}

impl Inputs {
    /// Every value that nobody may read in an answer or a log.
    pub fn hidden(&self) -> impl Iterator<Item = &str> {
        let values = self.env.iter().map(|(_, value)| value.expose().as_str());
        let credentials = self.registry_credentials.iter().map(|value| value.expose().as_str());
        let token = self.registry_credentials.iter().filter_map(|value| value.expose().split_once(':'));
        values.chain(credentials).chain(token.map(|(_, token)| token))
    }
}
