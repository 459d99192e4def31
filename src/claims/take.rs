//! Taking a warm member: one write, and what to do when its answer is lost.

use super::fault::{Fault, once, patiently, pause};
use super::{Claims, fresh_id, in_order};
use crate::api::{Claim, Lean, POOL_LABEL, Sandbox, Span};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::borrow::Borrow;
use std::sync::Arc;

/// Looks at the pool before "none is warm" is believed.
const ROUNDS: u32 = 3;
/// Writes to one member: more than one only after an unclear answer, or when its status changed in between.
const TRIES: u32 = 4;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimWish {
    /// Who will hold it, for people; 1–128 characters.
    pub holder: String,
    /// How long it lives; absent = the member's `claims.defaultTTL`.
    pub ttl: Option<Span>,
    /// Id of the run; absent = a fresh one. An id is good for one claim only.
    pub id: Option<String>,
}

/// A member that is now held.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Id of the run.
    pub id: String,
    /// The member, as the API server stored it.
    pub sandbox: Sandbox,
    /// Writes that were sent: 1 unless others were faster or an answer was lost.
    pub writes: u32,
}

/// Why no member was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Nothing in the pool is warm and free.
    #[error("no sandbox of pool {pool} is warm")]
    NoneWarm {
        /// The pool.
        pool: String,
    },
    /// There is no such pool.
    #[error("pool {pool} does not exist in namespace {namespace}")]
    PoolNotFound {
        /// The pool.
        pool: String,
        /// Where it was looked for.
        namespace: String,
    },
    /// More time than the pool allows.
    #[error("ttl {ttl} is more than the pool's claims.maxTTL ({max}); ask for at most that")]
    TtlTooLong {
        /// What was asked for.
        ttl: Span,
        /// The longest that any candidate allows.
        max: Span,
    },
    /// A rule of the API said no, and not because somebody was faster.
    #[error("the API server refuses the claim of {member}: {message}")]
    Refused {
        /// The member.
        member: String,
        /// The server's words.
        message: String,
    },
    /// It cannot be told whether the claim was stored. `release` with this id is safe.
    #[error("it is not known whether {member} was claimed as {id}: {cause}")]
    Unclear {
        /// Id of the run that may exist.
        id: String,
        /// The member that was asked last.
        member: String,
        /// What was answered.
        cause: Fault,
    },
    /// The API server cannot be used.
    #[error(transparent)]
    Api(#[from] Fault),
}

/// What became of one candidate.
enum Outcome {
    Won(Box<Sandbox>),
    Lost,
}

/// What a look at a candidate shows.
enum Look {
    Ours(Box<Sandbox>),
    Free { version: String },
    Gone,
}

/// One claim on its way: the id stays the same, whichever member it ends on.
struct Attempt<'a> {
    claims: &'a Claims,
    pool: &'a str,
    id: String,
    wish: &'a ClaimWish,
    writes: u32,
}

impl Claims {
    /// Takes a warm member of the pool: one list, one write.
    ///
    /// The claim outlives the caller; end it with [`Claims::release`].
    ///
    /// # Errors
    /// [`ClaimError`]; after every one but `Unclear` nothing is held.
    pub async fn claim_warm(&self, pool: &str, wish: &ClaimWish) -> Result<Claimed, ClaimError> {
        let mut attempt = self.attempt(pool, wish);
        for _ in 0..ROUNDS {
            let members = self.members(pool).await?;
            if members.is_empty() {
                self.pool_exists(pool).await?;
            }
            let candidates = in_order(&members, &attempt.id);
            if candidates.is_empty() {
                break;
            }
            if let Some(claimed) = attempt.first_of(&candidates).await? {
                return Ok(claimed);
            }
        }
        Err(ClaimError::NoneWarm { pool: pool.to_owned() })
    }

    /// Takes one of the members that the caller knows (from a watch, say): no read at all, one write.
    ///
    /// Members that cannot be claimed are passed over.
    ///
    /// # Errors
    /// As [`Claims::claim_warm`].
    pub async fn claim_from<S: Borrow<Sandbox>>(
        &self,
        pool: &str,
        known: &[S],
        wish: &ClaimWish,
    ) -> Result<Claimed, ClaimError> {
        let mut attempt = self.attempt(pool, wish);
        let mut candidates = in_order(known, &attempt.id);
        candidates.retain(|member| member.spec.pool_ref.name == pool);
        attempt.first_of(&candidates).await?.ok_or_else(|| ClaimError::NoneWarm { pool: pool.to_owned() })
    }

    fn attempt<'a>(&'a self, pool: &'a str, wish: &'a ClaimWish) -> Attempt<'a> {
        Attempt { claims: self, pool, id: wish.id.clone().unwrap_or_else(fresh_id), wish, writes: 0 }
    }

    async fn members(&self, pool: &str) -> Result<Vec<Sandbox>, Fault> {
        let members = ListParams::default().labels(&format!("{POOL_LABEL}={pool}"));
        let list = patiently(|| self.lean.list(&members)).await?.items;
        // One that cannot be read cannot be claimed either.
        let readable = list.into_iter().filter_map(|member| member.0.ok()).map(Arc::unwrap_or_clone);
        Ok(readable.filter(|member| member.spec.pool_ref.name == pool).collect())
    }

    /// Whether there is such a pool.
    ///
    /// # Errors
    /// [`ClaimError::PoolNotFound`], or that the API server cannot be used.
    pub async fn pool_exists(&self, pool: &str) -> Result<(), ClaimError> {
        match patiently(|| self.pools.get_metadata(pool)).await {
            Ok(_) => Ok(()),
            Err(Fault::NotFound(_)) => {
                Err(ClaimError::PoolNotFound { pool: pool.to_owned(), namespace: self.namespace.clone() })
            }
            Err(fault) => Err(fault.into()),
        }
    }
}

impl Attempt<'_> {
    /// The first candidate that can be had; none = all of them went to others.
    async fn first_of(&mut self, candidates: &[&Sandbox]) -> Result<Option<Claimed>, ClaimError> {
        let mut longest = None;
        for candidate in candidates {
            let Some(template) = candidate.spec.template.as_ref() else { continue };
            let ttl = self.wish.ttl.unwrap_or(template.claims.default_ttl);
            if ttl > template.claims.max_ttl {
                longest = longest.max(Some(template.claims.max_ttl));
                continue;
            }
            if let Outcome::Won(sandbox) = self.take(candidate, ttl).await? {
                return Ok(Some(Claimed { id: self.id.clone(), sandbox: *sandbox, writes: self.writes }));
            }
        }
        match (longest, self.wish.ttl) {
            (Some(max), Some(ttl)) => Err(ClaimError::TtlTooLong { ttl, max }),
            _ => Ok(None),
        }
    }

    /// Writes the claim into this candidate until it is clear who has it.
    ///
    /// An unclear write may still be on its way and land later. So the next candidate is touched only when this one
    /// is lost for certain: held by another, going, or changed, because then the old write carries an old version.
    async fn take(&mut self, candidate: &Sandbox, ttl: Span) -> Result<Outcome, ClaimError> {
        let mut version = candidate.metadata.resource_version.clone().unwrap_or_default();
        let mut doubt = None;
        for again in 1..=TRIES {
            let fault = match self.write(candidate, ttl, &version).await {
                Ok(sandbox) => return Ok(Outcome::Won(Box::new(sandbox))),
                Err(Fault::NotFound(_)) => return Ok(Outcome::Lost),
                Err(Fault::Denied(message)) if doubt.is_none() => return Err(Fault::Denied(message).into()),
                Err(fault) => fault,
            };
            if matches!(fault, Fault::Unclear(_)) {
                doubt = Some(fault.clone());
                pause(again).await;
            }
            // A conflict is looked at too: a layer below may have repeated a write that had already won.
            match self.look(candidate).await? {
                Look::Ours(sandbox) => return Ok(Outcome::Won(sandbox)),
                Look::Gone => return Ok(Outcome::Lost),
                Look::Free { version: seen } => {
                    if let Fault::Refused(message) = fault {
                        return Err(ClaimError::Refused { member: name(candidate), message });
                    }
                    if seen != version {
                        doubt = None;
                    }
                    version = seen;
                }
            }
        }
        match doubt {
            Some(cause) => Err(self.unclear(candidate, cause)),
            None => Ok(Outcome::Lost),
        }
    }

    async fn write(&mut self, candidate: &Sandbox, ttl: Span, version: &str) -> Result<Sandbox, Fault> {
        let claim = Claim {
            id: self.id.clone(),
            holder: self.wish.holder.clone(),
            ttl: Some(ttl),
            snapshot: None,
            app: None,
            for_: None,
            keep_ended: None,
        };
        let patch = claim_patch(candidate.metadata.uid.as_deref().unwrap_or_default(), version, &claim);
        self.writes += 1;
        let (name, params, patch) = (name(candidate), PatchParams::default(), Patch::Merge(&patch));
        let Lean(written) = once(self.claims.lean.patch(&name, &params, &patch)).await?;
        // It is stored, but what is stored cannot be used: a look at it says the same.
        written.map(Arc::unwrap_or_clone).map_err(|undecodable| Fault::Unclear(undecodable.to_string()))
    }

    async fn look(&self, candidate: &Sandbox) -> Result<Look, ClaimError> {
        let name = name(candidate);
        let live = match patiently(|| self.claims.sandboxes.get_opt(&name)).await {
            Ok(live) => live,
            Err(cause) => return Err(self.unclear(candidate, cause)),
        };
        let Some(live) = live.filter(|live| live.metadata.uid == candidate.metadata.uid) else {
            return Ok(Look::Gone);
        };
        let ours = live.held_by().is_some_and(|claim| claim.id == self.id && claim.holder == self.wish.holder);
        if ours {
            return Ok(Look::Ours(Box::new(live)));
        }
        match live.metadata.resource_version.clone() {
            Some(version) if super::claimable(&live) => Ok(Look::Free { version }),
            _ => Ok(Look::Gone),
        }
    }

    fn unclear(&self, candidate: &Sandbox, cause: Fault) -> ClaimError {
        tracing::debug!(pool = self.pool, id = self.id, %cause, "claim unclear");
        ClaimError::Unclear { id: self.id.clone(), member: name(candidate), cause }
    }
}

/// The one write that claims a member in the version that was seen (S6).
///
/// Without owners, garbage collection of the pool cannot reach a claimed member (S7). Emptied
/// `managedFields` are kept no longer by the server: who wrote which field of a member interests
/// nobody, and without it this write and every later one of the member are a quarter cheaper.
pub fn claim_patch(uid: &str, resource_version: &str, claim: &Claim) -> Value {
    let metadata =
        json!({"uid": uid, "resourceVersion": resource_version, "ownerReferences": [], "managedFields": [{}]});
    json!({"metadata": metadata, "spec": {"claim": claim}})
}

fn name(sandbox: &Sandbox) -> String {
    sandbox.metadata.name.clone().unwrap_or_default()
}

#[cfg(test)]
#[path = "take_tests.rs"]
mod tests;
