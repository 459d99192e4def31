//! Why a plan could not be carried out to its end: the same for every controller.

/// A plan could not be carried out to its end.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The lease does not allow a write any more.
    #[error("no lease")]
    NotLeading,
    /// Somebody wrote the object in between; the next pass sees it.
    #[error("{what} was changed in between")]
    Conflict {
        /// What was written.
        what: &'static str,
    },
    /// The API server refused or did not answer.
    #[error("{what}")]
    Api {
        /// What was to be written.
        what: &'static str,
        /// Why not.
        #[source]
        source: kube::Error,
    },
    /// The agent's Secret belongs to somebody else.
    #[error("Secret {name} exists and is not owned by this Sandbox; delete it")]
    ForeignSecret {
        /// Its name.
        name: String,
    },
}

impl ApplyError {
    /// Takes a failed write as what it means: a conflict, or a refusal.
    pub fn api(what: &'static str) -> impl Fn(kube::Error) -> Self {
        move |source| match &source {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict { what },
            _ => Self::Api { what, source },
        }
    }
}
