//! Instances, their names and their marks, the same for every provider.

use super::Inputs;
use crate::api::{Template, short_hash};
use crate::telemetry::secret::Secret;
use jiff::Timestamp;
use tokio::time::Instant;

/// An account at a provider: tokens come and go, the account stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account(pub String);

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who an instance belongs to; travels inside the create request itself, and
/// comes back in listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The installation that made it.
    pub installation: String,
    /// Namespace of its Sandbox.
    pub namespace: String,
    /// Name of its Sandbox.
    pub name: String,
    /// UID of its Sandbox.
    pub uid: String,
    /// Number of the attempt, from 1.
    pub attempt: i32,
    /// UID of its pool.
    pub pool_uid: String,
    /// Hash of the template that it was made from.
    pub spec_hash: String,
}

/// Everything that a create call carries.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// From [`instance_name`].
    pub name: String,
    /// Ownership.
    pub marks: Marks,
    /// What to run, and where.
    pub template: Template,
    /// What the agent inside will accept.
    pub agent_token: Secret<String>,
    /// Values out of Secrets that the template names.
    pub inputs: Inputs,
}

/// One instance as the provider tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its marks, if it has a complete set.
    pub marks: Option<Marks>,
    /// How far it is.
    pub phase: InstancePhase,
    /// The deployment that `phase` speaks of.
    pub deployment_id: Option<String>,
    /// Where it answers, once the provider says so.
    pub url: Option<String>,
    /// When the provider made it.
    pub created_at: Option<Timestamp>,
}

/// How far an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstancePhase {
    /// On its way.
    Starting,
    /// Running, as far as the provider knows.
    Running,
    /// It will never run.
    Failed {
        /// The provider's words.
        message: String,
    },
    /// The provider does not say.
    Unknown,
}

/// Every instance of an account at one time.
#[derive(Clone, Debug)]
pub struct Listing {
    /// When the first page was asked for, on this process's clock.
    pub began: Instant,
    /// The instances.
    pub instances: Vec<Instance>,
    /// How many calls it took.
    pub pages: u32,
}

const NAME_PREFIX: &str = "sb-";
const NAME_HASH: usize = 26;

/// The name of an instance: a pure function, so that it can be computed again
/// after any crash (architecture: names). Fits DigitalOcean's rule for apps,
/// `^[a-z][a-z0-9-]{0,30}[a-z0-9]$`.
pub fn instance_name(installation: &str, uid: &str, attempt: i32) -> String {
    let hash = short_hash(&[installation, uid, &attempt.to_string()], NAME_HASH);
    format!("{NAME_PREFIX}{hash}")
}

/// Whether a name has the form that [`instance_name`] gives.
pub fn is_our_name(name: &str) -> bool {
    name.strip_prefix(NAME_PREFIX).is_some_and(|hash| {
        hash.len() == NAME_HASH && hash.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_attempt_has_its_own_name() {
        assert_ne!(instance_name("i", "u", 1), instance_name("i", "u", 2));
        assert_ne!(instance_name("i", "u", 1), instance_name("j", "u", 1));
        assert_eq!(instance_name("i", "u", 1), instance_name("i", "u", 1));
    }

    #[test]
    fn other_peoples_names_are_not_ours_s9() {
        for name in ["sandbox-abc", "sb-", "sb-ABCDEFGHIJKLMNOPQRSTUVWXYZ", "sb-abcdefghijklmnopqrstuvwxy1", "my-app"] {
            assert!(!is_our_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn names_fit_the_providers_rule(installation in ".{1,20}", uid in ".{1,40}", attempt in 1..100) {
            let name = instance_name(&installation, &uid, attempt);
            prop_assert!(is_our_name(&name));
            prop_assert!(name.len() <= 32);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
}
