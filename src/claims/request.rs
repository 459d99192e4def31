//! Asking for a sandbox by a name: it may be repeated, and it waits where it can be seen.

use super::fault::{Fault, once, patiently, pause};
use super::{BadId, Claims, check_id};
use crate::api::{AppRef, Claim, PoolRef, Sandbox, SandboxSpec, SnapshotRef, Span};
use kube::api::PostParams;

/// Creates that are sent before an unclear answer is reported. Each carries the same name, so one object results.
const TRIES: u32 = 4;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestWish {
    /// Id of the run; the request has the same name.
    pub id: String,
    /// The pool.
    pub pool: String,
    /// Who will hold it, for people; 1–128 characters.
    pub holder: String,
    /// How long it lives, counted from its start; absent = the pool's `claims.defaultTTL`.
    pub ttl: Option<Span>,
    /// Files that the run begins with.
    pub snapshot: Option<SnapshotRef>,
    /// The app that is launched in the sandbox, one of the pool's.
    pub app: Option<AppRef>,
    /// How long the object stays after its end; absent = until somebody deletes it.
    pub keep_ended: Option<Span>,
}

/// Why there is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not an id at all.
    #[error(transparent)]
    BadId(#[from] BadId),
    /// The name is used for something else.
    #[error("id {id} is taken: Sandbox {id} has {field} {found}, not {wanted}")]
    Conflict {
        /// The id.
        id: String,
        /// The field that differs.
        field: &'static str,
        /// What it holds.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// An earlier request of this name is being deleted.
    #[error("id {id} is being released; it can be used again when that is done")]
    Deleting {
        /// The id.
        id: String,
    },
    /// The API server cannot be used, or a rule said no.
    #[error(transparent)]
    Api(#[from] Fault),
}

impl Claims {
    /// Makes the request, or finds it: asking again for the same changes nothing.
    ///
    /// A pool that does not exist yet is no error: the request waits for it.
    ///
    /// It is the same if pool, id, holder, snapshot and app are, and if it does not ask for more time than the first.
    ///
    /// # Errors
    /// [`RequestError`]. After an unclear answer asking again is safe.
    pub async fn request(&self, wish: &RequestWish) -> Result<Sandbox, RequestError> {
        check_id(&wish.id)?;
        let request = wish.object();
        for again in 1..=TRIES {
            match once(self.sandboxes.create(&PostParams::default(), &request)).await {
                Ok(stored) => return Ok(stored),
                Err(Fault::Conflict(_)) => match patiently(|| self.sandboxes.get_opt(&wish.id)).await? {
                    Some(found) => return wish.same(found),
                    // Deleted between the two answers.
                    None => continue,
                },
                Err(Fault::Unclear(_)) if again < TRIES => pause(again).await,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Fault::Conflict(format!("Sandbox {} comes and goes", wish.id)).into())
    }
}

impl RequestWish {
    fn object(&self) -> Sandbox {
        let claim = Claim {
            id: self.id.clone(),
            holder: self.holder.clone(),
            ttl: self.ttl,
            snapshot: self.snapshot.clone(),
            app: self.app.clone(),
            for_: None,
            keep_ended: self.keep_ended,
        };
        let pool_ref = PoolRef { name: self.pool.clone() };
        Sandbox::new(
            &self.id,
            SandboxSpec { pool_ref, slot: None, template: None, claim: Some(claim), operating_mode: None },
        )
    }

    fn same(&self, found: Sandbox) -> Result<Sandbox, RequestError> {
        let differs = |field, found: &str, wanted: &str| RequestError::Conflict {
            id: self.id.clone(),
            field,
            found: found.to_owned(),
            wanted: wanted.to_owned(),
        };
        if let Some(slot) = found.spec.slot {
            return Err(differs("spec.slot", &slot.to_string(), "a request"));
        }
        if found.spec.pool_ref.name != self.pool {
            return Err(differs("spec.poolRef.name", &found.spec.pool_ref.name, &self.pool));
        }
        let Some(claim) = &found.spec.claim else { return Err(differs("spec.claim", "nothing", &self.id)) };
        if claim.id != self.id {
            return Err(differs("spec.claim.id", &claim.id, &self.id));
        }
        if claim.holder != self.holder {
            return Err(differs("spec.claim.holder", &claim.holder, &self.holder));
        }
        if claim.snapshot != self.snapshot {
            let named =
                |snapshot: &Option<SnapshotRef>| snapshot.as_ref().map_or("nothing".to_owned(), |own| own.name.clone());
            return Err(differs("spec.claim.snapshot.name", &named(&claim.snapshot), &named(&self.snapshot)));
        }
        if claim.app != self.app {
            let named = |app: &Option<AppRef>| app.as_ref().map_or("nothing".to_owned(), |own| own.name.clone());
            return Err(differs("spec.claim.app.name", &named(&claim.app), &named(&self.app)));
        }
        match (claim.ttl, self.ttl) {
            (Some(have), Some(want)) if want > have => {
                return Err(differs("spec.claim.ttl", &have.to_string(), &want.to_string()));
            }
            _ => {}
        }
        if found.is_deleting() {
            return Err(RequestError::Deleting { id: self.id.clone() });
        }
        Ok(found)
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
