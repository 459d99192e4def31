//! What the spec names and is not there: no member is made for it, and a person is told.

use super::Draft;
use crate::api::conditions::{Reason, Type, Wanted};
use crate::controllers::inputs::Unresolved;
use crate::controllers::sandbox_pool::facts::RefsFact;
use std::time::Duration;

/// Nobody tells when a Secret comes: it is looked for again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// What holds members back now.
pub(super) fn lacking<'facts>(draft: &Draft<'facts>) -> Option<&'facts Unresolved> {
    match &draft.facts.refs {
        RefsFact::Unresolved(unresolved) => Some(unresolved),
        RefsFact::Unknown | RefsFact::Resolved { .. } => None,
    }
}

/// What holds members back, if only a person can help.
pub(super) fn for_a_person<'facts>(draft: &Draft<'facts>) -> Option<&'facts Unresolved> {
    lacking(draft).filter(|unresolved| unresolved.reason != Reason::SecretUnreadable)
}

/// Says it, and looks again.
pub(super) fn tell(draft: &mut Draft<'_>) {
    let wanted = match &draft.facts.refs {
        RefsFact::Unknown => return,
        RefsFact::Resolved { leaving: Some(message) } => {
            Wanted::new(Type::ResolvedRefs, true, Reason::SizeDeprecated, message.clone())
        }
        RefsFact::Resolved { leaving: None } => {
            Wanted::new(Type::ResolvedRefs, true, Reason::AsExpected, "Secrets, size and region are there")
        }
        RefsFact::Unresolved(Unresolved { reason, message }) => {
            draft.again(LOOK_AGAIN);
            match reason {
                Reason::SecretUnreadable => Wanted::unknown(Type::ResolvedRefs, *reason, message.clone()),
                _ => Wanted::new(Type::ResolvedRefs, false, *reason, message.clone()),
            }
        }
    };
    draft.wanted.push(wanted);
}

/// Removes members that wait for what only an older spec names: they would wait for ever.
pub(super) fn remove_outdated(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    let generation = facts.pool.metadata.generation.unwrap_or_default();
    for member in facts.members.iter().filter(|member| member.lacks_refs && member.generation < generation) {
        if member.is_free() {
            draft.remove(member, Reason::SecretMissing);
        }
    }
}
