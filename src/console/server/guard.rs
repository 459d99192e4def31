//! Who may open a console: asked anew for every request.

use super::{Place, Refused};
use crate::api::GROUP;
use crate::reviews::Reviews;
use k8s_openapi::api::authorization::v1::ResourceAttributes;

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
    reviews: Reviews,
}

impl Guard {
    /// Needs `create` of tokenreviews and subjectaccessreviews.
    pub fn new(client: kube::Client) -> Self {
        Self { reviews: Reviews::new(client) }
    }

    /// Lets somebody do this to a sandbox, or not.
    ///
    /// # Errors
    /// When they may not, or nobody can tell.
    pub async fn admit(&self, token: Option<&str>, action: Action, place: &Place) -> Result<(), Refused> {
        let user = self.reviews.who(token.ok_or(Refused::NoToken)?).await?;
        let attributes = ResourceAttributes {
            group: Some(GROUP.to_owned()),
            resource: Some("sandboxes".to_owned()),
            subresource: Some(action.subresource().to_owned()),
            verb: Some(action.verb().to_owned()),
            namespace: Some(place.namespace.clone()),
            name: Some(place.name.clone()),
            ..ResourceAttributes::default()
        };
        if self.reviews.may(&user, attributes).await? {
            return Ok(());
        }
        Err(Refused::Forbidden {
            user: user.username.unwrap_or_default(),
            verb: action.verb(),
            subresource: action.subresource(),
            namespace: place.namespace.clone(),
        })
    }
}
