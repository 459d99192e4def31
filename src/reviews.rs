//! Who asks, and what they may: the cluster's own answers, by TokenReview and SubjectAccessReview.

use crate::failure::chain;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for one answer of the API server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the cluster, anew for every question.
#[derive(Clone)]
pub struct Reviews {
    client: kube::Client,
}

/// Why there is no user, or no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// A token that the cluster does not know.
    #[error("the cluster does not know this token: log in again")]
    UnknownToken,
    /// The API server does not say.
    #[error("the API server does not answer {what}: {detail}")]
    Unsure {
        /// The question.
        what: &'static str,
        /// Its words.
        detail: String,
    },
}

impl Reviews {
    /// Needs `create` of tokenreviews and subjectaccessreviews.
    pub fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Whose token this is; the user has a name.
    ///
    /// # Errors
    /// When it is nobody's, or nobody can tell.
    pub async fn who(&self, token: &str) -> Result<UserInfo, ReviewError> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() };
        let answer = self.ask("whose token this is", TokenReview { spec, ..TokenReview::default() }).await?;
        let status = answer.status.filter(|status| status.authenticated == Some(true));
        let named = |user: &UserInfo| user.username.as_ref().is_some_and(|name| !name.is_empty());
        status.and_then(|status| status.user).filter(named).ok_or(ReviewError::UnknownToken)
    }

    /// Whether this user may do this.
    ///
    /// # Errors
    /// When nobody can tell.
    pub async fn may(&self, user: &UserInfo, what: ResourceAttributes) -> Result<bool, ReviewError> {
        let UserInfo { username, uid, groups, extra } = user.clone();
        let spec = SubjectAccessReviewSpec {
            user: username,
            uid,
            groups,
            extra,
            resource_attributes: Some(what),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer = self.ask("what this user may", review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }

    async fn ask<K>(&self, what: &'static str, review: K) -> Result<K, ReviewError>
    where
        K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let silent = || ReviewError::Unsure { what, detail: format!("nothing for {} s", PATIENCE.as_secs()) };
        let answer = timeout(PATIENCE, api.create(&PostParams::default(), &review)).await.map_err(|_| silent())?;
        answer.map_err(|error| ReviewError::Unsure { what, detail: chain(&error) })
    }
}
