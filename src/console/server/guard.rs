//! Who asks, and what they may: the cluster's own answers, asked anew for every request.

use super::{Place, Refused};
use crate::api::GROUP;
use crate::failure::chain;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for one answer of the API server.
const PATIENCE: Duration = Duration::from_secs(10);

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run a command: `create` of `sandboxes/exec`.
    Exec,
    /// Read files: `get` of `sandboxes/files`.
    ReadFiles,
    /// Write files: `create` of `sandboxes/files`.
    WriteFiles,
}

impl Action {
    fn verb(self) -> &'static str {
        match self {
            Self::Exec | Self::WriteFiles => "create",
            Self::ReadFiles => "get",
        }
    }

    fn subresource(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::ReadFiles | Self::WriteFiles => "files",
        }
    }
}

/// Asks the cluster.
#[derive(Clone)]
pub struct Guard {
    client: kube::Client,
}

impl Guard {
    /// Needs `create` of tokenreviews and subjectaccessreviews.
    pub fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Lets somebody do this to a sandbox, or not.
    ///
    /// # Errors
    /// When they may not, or nobody can tell.
    pub async fn admit(&self, token: Option<&str>, action: Action, place: &Place) -> Result<(), Refused> {
        let user = self.who(token.ok_or(Refused::NoToken)?).await?;
        let attributes = ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some("sandboxes".to_owned()),
            subresource: Some(action.subresource().to_owned()),
            verb: Some(action.verb().to_owned()),
            namespace: Some(place.namespace.clone()),
            name: Some(place.name.clone()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid,
            groups: user.groups,
            extra: user.extra,
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = self.ask("what this user may", review).await?;
        if answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)) {
            return Ok(());
        }
        Err(Refused::Forbidden {
            user: user.username.unwrap_or_default(),
            verb: action.verb(),
            subresource: action.subresource(),
            namespace: place.namespace.clone(),
        })
    }

    async fn who(&self, token: &str) -> Result<UserInfo, Refused> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() };
        let answer = self.ask("whose token this is", TokenReview { spec, ..TokenReview::default() }).await?;
        let status = answer.status.filter(|status| status.authenticated == Some(true)).ok_or(Refused::UnknownToken)?;
        let named = |user: &UserInfo| user.username.as_ref().is_some_and(|name| !name.is_empty());
        status.user.filter(named).ok_or(Refused::UnknownToken)
    }

    async fn ask<K>(&self, what: &'static str, review: K) -> Result<K, Refused>
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let silent = || Refused::Unsure { what, detail: format!("nothing for {} s", PATIENCE.as_secs()) };
        let answer = timeout(PATIENCE, api.create(&PostParams::default(), &review)).await.map_err(|_| silent())?;
        answer.map_err(|error| Refused::Unsure { what, detail: chain(&error) })
    }
}
