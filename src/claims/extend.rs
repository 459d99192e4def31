//! Keeping a run longer.

use super::fault::{Fault, once, patiently, pause};
use super::find::{is_over, reason};
use super::{Claims, FindError, Run};
use crate::api::{ClaimPolicy, Sandbox, Span};
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// Tries while others change the object in between.
const TRIES: u32 = 5;

/// How much longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// So long in all, counted from the start of the run.
    To(Span),
    /// So much more than now.
    By(Span),
}

/// A run that lives longer now.
#[derive(Debug, Clone)]
pub struct Extended {
    /// How long it lives in all, counted from its start.
    pub ttl: Span,
    /// What was written: the request if there is one, else the member.
    pub sandbox: Sandbox,
}

/// Why a run was not extended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtendError {
    /// It is unknown, waiting, or over.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A claim can only grow.
    #[error("ttl {ttl} is less than {current}, which the run has already; a claim can only be extended")]
    Shorter {
        /// What was asked for.
        ttl: Span,
        /// What it has.
        current: Span,
    },
    /// More time than the pool allows.
    #[error("ttl {ttl} is more than the pool's claims.maxTTL ({max}); ask for at most that")]
    TooLong {
        /// What was asked for.
        ttl: Span,
        /// The longest that is allowed.
        max: Span,
    },
    /// A rule of the API said no.
    #[error("the API server refuses the extension of {id}: {message}")]
    Refused {
        /// Id of the run.
        id: String,
        /// The server's words.
        message: String,
    },
    /// The API server cannot be used.
    #[error(transparent)]
    Api(#[from] Fault),
}

impl Claims {
    /// Lets a run live longer; asking again for the same time changes nothing. Of a requested run the request is
    /// written: the sandbox controller mirrors a request's longer `ttl` onto its member.
    ///
    /// # Errors
    /// [`ExtendError`]. Asking again with [`Extension::To`] is always safe.
    pub async fn extend(&self, id: &str, mut extension: Extension) -> Result<Extended, ExtendError> {
        for again in 1..=TRIES {
            let run = self.find(id).await?;
            let limits = self.limits(&run).await?;
            let sandbox = self.extendable(id, run)?;
            let current = sandbox.spec.claim.as_ref().and_then(|claim| claim.ttl);
            let ttl = longer(extension, current.unwrap_or(limits.default_ttl), limits.max_ttl)?;
            if current == Some(ttl) {
                return Ok(Extended { ttl, sandbox });
            }
            match self.write_ttl(&sandbox, ttl).await {
                Ok(sandbox) => return Ok(Extended { ttl, sandbox }),
                Err(Fault::Conflict(_)) => pause(again).await,
                // It may be stored. From here on the same time is meant, not one more addition to it.
                Err(Fault::Unclear(_)) => {
                    extension = Extension::To(ttl);
                    pause(again).await;
                }
                Err(Fault::Refused(message)) => return Err(ExtendError::Refused { id: id.to_owned(), message }),
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Fault::Conflict(format!("run {id} changes all the time")).into())
    }

    /// What the extension is written to.
    fn extendable(&self, id: &str, run: Run) -> Result<Sandbox, FindError> {
        let sandbox = run.request.or(run.member);
        let missing = || FindError::NoRun { id: id.to_owned(), namespace: self.namespace.clone() };
        let sandbox = sandbox.ok_or_else(missing)?;
        if sandbox.is_deleting() || is_over(&sandbox) {
            return Err(FindError::Ended { id: id.to_owned(), reason: reason(&sandbox) });
        }
        Ok(sandbox)
    }

    /// The member's own limits; of a run that still waits, the pool's.
    async fn limits(&self, run: &Run) -> Result<ClaimPolicy, Fault> {
        if let Some(template) = run.member.as_ref().and_then(|member| member.spec.template.as_ref()) {
            return Ok(template.claims.clone());
        }
        let Some(request) = &run.request else { return Ok(ClaimPolicy::default()) };
        let pool = patiently(|| self.pools.get_opt(&request.spec.pool_ref.name)).await?;
        Ok(pool.map(|pool| pool.spec.claims).unwrap_or_default())
    }

    async fn write_ttl(&self, sandbox: &Sandbox, ttl: Span) -> Result<Sandbox, Fault> {
        let name = sandbox.metadata.name.clone().unwrap_or_default();
        let patch = json!({
            "metadata": {"uid": sandbox.metadata.uid, "resourceVersion": sandbox.metadata.resource_version},
            "spec": {"claim": {"ttl": ttl}},
        });
        once(self.sandboxes.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))).await
    }
}

fn longer(extension: Extension, current: Span, max: Span) -> Result<Span, ExtendError> {
    let seconds = |span: Span| span.duration().as_secs();
    let ttl = match extension {
        Extension::To(ttl) => ttl,
        Extension::By(more) => Span::seconds(u32::try_from(seconds(current) + seconds(more)).unwrap_or(u32::MAX)),
    };
    if ttl < current {
        return Err(ExtendError::Shorter { ttl, current });
    }
    if ttl > max {
        return Err(ExtendError::TooLong { ttl, max });
    }
    Ok(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_only_grows_and_only_to_the_pools_limit_b8_b9() {
        let (current, max) = (Span::minutes(30), Span::hours(1));
        assert_eq!(longer(Extension::By(Span::minutes(10)), current, max), Ok(Span::minutes(40)));
        assert_eq!(longer(Extension::To(Span::hours(1)), current, max), Ok(Span::hours(1)));
        assert_eq!(longer(Extension::To(current), current, max), Ok(current));
        let ttl = Span::minutes(29);
        assert_eq!(longer(Extension::To(ttl), current, max), Err(ExtendError::Shorter { ttl, current }));
        let ttl = Span::minutes(61);
        assert_eq!(longer(Extension::By(Span::minutes(31)), current, max), Err(ExtendError::TooLong { ttl, max }));
    }
}
