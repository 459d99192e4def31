//! What a create call carries out of Secrets: without all of it there is no call.

use super::Draft;
use crate::api::Phase;
use crate::api::conditions::{Reason, Type, Wanted};
use crate::controllers::inputs::Unresolved;
use crate::controllers::sandbox::facts::InputsFact;
use crate::providers::Inputs;
use std::time::Duration;

/// Nobody tells when a Secret comes: it is looked for again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The values for a create call; else says what lacks, and when it is looked for again.
pub(super) fn take(draft: &mut Draft<'_>) -> Option<Inputs> {
    match &draft.facts.inputs {
        InputsFact::Ready(inputs) => {
            if draft.status.conditions.iter().any(|condition| condition.type_ == Type::ResolvedRefs.as_str()) {
                draft.want(Type::ResolvedRefs, true, Reason::AsExpected, "every Secret that is named is there");
            }
            Some(inputs.clone())
        }
        InputsFact::Unread => {
            draft.again_soon();
            None
        }
        InputsFact::Unresolved(unresolved) => {
            lacking(draft, unresolved);
            None
        }
    }
}

fn lacking(draft: &mut Draft<'_>, Unresolved { reason, message }: &Unresolved) {
    let known = draft
        .status
        .conditions
        .iter()
        .any(|condition| condition.type_ == Type::ResolvedRefs.as_str() && condition.reason == reason.as_str());
    if !known {
        draft.event(true, *reason, message.clone());
    }
    draft.wanted.push(match reason {
        // A read that failed says nothing about the Secret.
        Reason::SecretUnreadable => Wanted::unknown(Type::ResolvedRefs, *reason, message.clone()),
        _ => Wanted::new(Type::ResolvedRefs, false, *reason, message.clone()),
    });
    if draft.status.instance.is_none() {
        draft.phase(Phase::Pending, *reason);
    }
    draft.again(LOOK_AGAIN);
}
