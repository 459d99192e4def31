//! Who asks, and what they may: the API server's own answers, remembered for some seconds.

use super::Shared;
use super::refused::Refused;
use super::run::Run;
use crate::api::{GROUP, short_hash};
use crate::reviews::{ReviewError, Reviews};
use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use k8s_openapi::api::authentication::v1::UserInfo;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer of the API server is believed.
const BELIEVED: Duration = Duration::from_secs(10);
/// Answers that are remembered at once.
const REMEMBERED: usize = 4096;
/// The holder of what was launched without a token. No service account and no ordinary user has such a name.
const ANONYMOUS: &str = "sandbar:anonymous";
/// The longest holder that a claim takes, in characters.
const LONGEST_HOLDER: usize = 128;

/// Somebody who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A user of the cluster.
    User {
        /// What the cluster says of them.
        user: Arc<UserInfo>,
        /// Digest of the token.
        token: Key,
    },
    /// Nobody known; in demo mode only.
    Anonymous,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Launch something: `create` of Sandboxes.
    Launch,
    /// See all runs: `list` of Sandboxes.
    ListRuns,
    /// See a run: `get` of its Sandbox.
    See,
    /// End a run: `delete` of its Sandbox.
    Stop,
    /// Keep a run longer: `patch` of its Sandbox.
    Extend,
    /// See pools and apps: `list` of SandboxPools.
    ListPools,
    /// Run commands in a run's sandbox: `create` of `sandboxes/exec`.
    Exec,
    /// Read its files: `get` of `sandboxes/files`.
    ReadFiles,
    /// Write its files: `create` of `sandboxes/files`.
    WriteFiles,
    /// Open a terminal in it: `create` of `sandboxes/shell`.
    Shell,
    /// Read what its processes have written: `get` of `sandboxes/log`.
    ReadLog,
    /// Connect to its TCP ports: `create` of `sandboxes/portforward`.
    Forward,
    /// Use its apps over HTTP, with whatever method: `create` of `sandboxes/proxy`.
    Proxy,
}

impl Right {
    /// As the cluster has it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Launch | Self::Exec | Self::WriteFiles | Self::Shell | Self::Forward | Self::Proxy => "create",
            Self::ListRuns | Self::ListPools => "list",
            Self::See | Self::ReadFiles | Self::ReadLog => "get",
            Self::Stop => "delete",
            Self::Extend => "patch",
        }
    }

    fn resource(self) -> &'static str {
        if self == Self::ListPools { "sandboxpools" } else { "sandboxes" }
    }

    /// What of a Sandbox it is about, where it is not all of it.
    fn subresource(self) -> Option<&'static str> {
        match self {
            Self::Launch | Self::ListRuns | Self::See | Self::Stop | Self::Extend | Self::ListPools => None,
            Self::Exec => Some("exec"),
            Self::ReadFiles | Self::WriteFiles => Some("files"),
            Self::Shell => Some("shell"),
            Self::ReadLog => Some("log"),
            Self::Forward => Some("portforward"),
            Self::Proxy => Some("proxy"),
        }
    }

    /// The kind, and what of it.
    pub fn what(self) -> String {
        self.subresource().map_or_else(|| self.resource().to_owned(), |part| format!("{}/{part}", self.resource()))
    }

    /// Whether it is about what is in a sandbox.
    pub fn is_inside(self) -> bool {
        self.subresource().is_some()
    }

    /// The shipped role that has it.
    fn role(self) -> &'static str {
        if self.subresource().is_some() { "sandbar-enter" } else { "sandbar-user" }
    }
}

impl Caller {
    /// What stands in the claim: the user's name, or as much of it as fits and a digest of the whole.
    pub fn holder(&self) -> String {
        let Self::User { user, .. } = self else { return ANONYMOUS.to_owned() };
        let name = user.username.as_deref().unwrap_or_default();
        if name.chars().count() <= LONGEST_HOLDER {
            return name.to_owned();
        }
        let digest = short_hash(&[name], 20);
        let begin: String = name.chars().take(LONGEST_HOLDER - digest.len() - 1).collect();
        format!("{begin}~{digest}")
    }

    /// Whether this caller has no token.
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    /// Whether this run may be shown to this caller as far as its holder goes: an anonymous one sees what was launched
    /// anonymously. What a user may see is the API server's business.
    pub fn shares(&self, run: &Run) -> bool {
        !self.is_anonymous() || (run.holder == ANONYMOUS && !run.member)
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, desk: &Shared) -> Result<Self, Refused> {
        let Some(header) = parts.headers.get(AUTHORIZATION) else {
            return if desk.settings.demo { Ok(Self::Anonymous) } else { Err(Refused::NoToken) };
        };
        let token = header.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        desk.access.who(token.filter(|token| !token.is_empty()).ok_or(Refused::NoToken)?).await
    }
}

/// Names a remembered answer without holding a token.
type Key = [u8; 32];

/// Asks the cluster, unless it was asked just now.
pub struct Access {
    reviews: Reviews,
    namespace: String,
    users: Memory<Option<Arc<UserInfo>>>,
    verdicts: Memory<bool>,
}

impl Access {
    /// Of this namespace.
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        let reviews = Reviews::new(client);
        Self { reviews, namespace: namespace.to_owned(), users: Memory::default(), verdicts: Memory::default() }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// When it is nobody's, or the API server does not say.
    pub async fn who(&self, token: &str) -> Result<Caller, Refused> {
        let key: Key = Sha256::digest(token.as_bytes()).into();
        let user = match self.users.recall(&key) {
            Some(user) => user,
            None => {
                let user = match self.reviews.who(token).await {
                    Ok(user) => Some(Arc::new(user)),
                    Err(ReviewError::UnknownToken) => None,
                    Err(error) => return Err(error.into()),
                };
                self.users.keep(key, user.clone());
                user
            }
        };
        let user = user.ok_or(ReviewError::UnknownToken)?;
        Ok(Caller::User { user, token: key })
    }

    /// Lets a user do this, to the Sandbox of this name where it is done to one, or not. An anonymous caller is let through: what they may is decided by whose run it is.
    ///
    /// # Errors
    /// When they may not, or nobody can tell.
    pub async fn allow(&self, caller: &Caller, right: Right, name: Option<&str>) -> Result<(), Refused> {
        let Caller::User { user, token } = caller else { return Ok(()) };
        let key: Key = {
            let mut hasher = Sha256::new();
            hasher.update(token);
            let part = right.subresource().unwrap_or_default();
            for part in [right.verb(), right.resource(), part, name.unwrap_or_default()] {
                hasher.update(part);
                hasher.update([0]);
            }
            hasher.finalize().into()
        };
        let allowed = match self.verdicts.recall(&key) {
            Some(allowed) => allowed,
            None => {
                let allowed = self.reviews.may(user, self.attributes(right, name)).await?;
                self.verdicts.keep(key, allowed);
                allowed
            }
        };
        if allowed {
            return Ok(());
        }
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        Err(Refused::Forbidden {
            user: user.username.clone().unwrap_or_default(),
            verb: right.verb(),
            what: format!("{}{name}", right.what()),
            role: right.role(),
            namespace: self.namespace.clone(),
        })
    }

    fn attributes(&self, right: Right, name: Option<&str>) -> ResourceAttributes {
        ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some(right.resource().to_owned()),
            subresource: right.subresource().map(str::to_owned),
            verb: Some(right.verb().to_owned()),
            namespace: Some(self.namespace.clone()),
            name: name.map(str::to_owned),
            ..ResourceAttributes::default()
        }
    }
}

/// Answers, each for [`BELIEVED`], and never more than [`REMEMBERED`].
struct Memory<V>(Mutex<HashMap<Key, (Instant, V)>>);

impl<V> Default for Memory<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Memory<V> {
    fn recall(&self, key: &Key) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(since, _)| since.elapsed() < BELIEVED).map(|(_, value)| value.clone())
    }

    fn keep(&self, key: Key, value: V) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, (Instant::now(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_stays_its_own() {
        let caller = |name: String| Caller::User {
            user: Arc::new(UserInfo { username: Some(name), ..UserInfo::default() }),
            token: [0; 32],
        };
        assert_eq!(caller("ada".to_owned()).holder(), "ada");
        let (one, two) = ("é".repeat(200), format!("{}x", "é".repeat(199)));
        let (one, two) = (caller(one).holder(), caller(two).holder());
        assert!(one != two && one.chars().count() == 128 && two.chars().count() == 128, "{one} {two}");
    }

    #[test]
    fn so_many_answers_are_remembered_and_no_more() {
        let memory = Memory::default();
        for number in 0..=REMEMBERED {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            memory.keep(key, number);
            assert_eq!(memory.recall(&key), Some(number));
        }
        assert_eq!(memory.0.lock().expect("no panic").len(), 1);
    }
}
