//! Ending a run and keeping the record of it.

use super::{Claims, ReleaseError, Released};
use crate::api::{Phase, Sandbox};

impl Claims {
    /// Ends a run: its member is deleted, by UID, and its request stays as an ended one for as long as it says. A
    /// request that never held a member goes. May be repeated.
    ///
    /// Unlike after [`release`](Self::release), whoever counts or shows runs still finds it.
    ///
    /// # Errors
    /// [`ReleaseError`]. A run that nobody knows is no error.
    pub async fn end(&self, id: &str) -> Result<Released, ReleaseError> {
        let mut found = self.carrying(id).await?;
        found.sort_by_key(Sandbox::is_member);
        let mut objects = Vec::new();
        for sandbox in &found {
            if sandbox.is_member() || !stays(sandbox) {
                objects.extend(self.let_go(sandbox).await?);
            }
        }
        Ok(Released { id: id.to_owned(), objects })
    }
}

/// Whether a request outlives its member: before it held one it would be given another.
fn stays(request: &Sandbox) -> bool {
    let held = request.status.as_ref().is_some_and(|status| status.claimed_at.is_some());
    held || request.phase() == Phase::Ended
}
