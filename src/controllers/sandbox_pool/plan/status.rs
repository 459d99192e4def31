//! The pool's status: counts of what is there, and conditions; written when it says something new.

use super::failures::{Breaker, breaker, is_account_full};
use super::{Draft, Effect, Plan, refs};
use crate::api::conditions::{self, Reason, Type};
use crate::api::{POOL_LABEL, Phase, SandboxPoolStatus, settled};
use crate::controllers::sandbox::facts::ProviderFact;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use std::time::Duration;

/// Counts are written at most this often; what must not be lost is written at once.
const COALESCE: Duration = Duration::from_secs(1);
/// Nobody tells when a Secret or a token is put right: it is looked at again after this.
const RECHECK_PROVIDER: Duration = Duration::from_secs(15);
/// The local clock may be so far from the API server's before people are told.
const SKEW: Duration = Duration::from_secs(30);

/// Completes the plan.
pub(super) fn finish(mut draft: Draft<'_>) -> Plan {
    count(&mut draft);
    tell_provider(&mut draft);
    refs::tell(&mut draft);
    tell_degraded(&mut draft);
    let facts = draft.facts;
    let generation = facts.pool.metadata.generation;
    draft.status.observed_generation = generation;
    draft.status.conditions = conditions::merge(&draft.status.conditions, &draft.wanted, generation, facts.now);
    settled::pool(&mut draft.status.conditions, generation, facts.now);
    let before = facts.pool.status.clone().unwrap_or_default();
    let mut status = None;
    if draft.status != before {
        let fresh = facts.status_written_ago.filter(|ago| *ago < COALESCE);
        match fresh {
            Some(ago) if !must_not_be_lost(&before, &draft.status) => {
                draft.again(COALESCE.saturating_sub(ago) + Duration::from_millis(10));
                // What says that a claim was counted is not written either: the pass that writes it counts.
                draft.effects.retain(|effect| !matches!(effect, Effect::CountClaim { .. }));
            }
            _ => status = Some(draft.status),
        }
    }
    Plan { status, effects: draft.effects, again: draft.again }
}

/// What back-off, breaker, scale-down and drain are computed from after a restart.
fn must_not_be_lost(before: &SandboxPoolStatus, after: &SandboxPoolStatus) -> bool {
    before.failures != after.failures
        || before.last_scale_down_time != after.last_scale_down_time
        || before.account != after.account
        || before.ends_claims != after.ends_claims
}

fn count(draft: &mut Draft<'_>) {
    let members = &draft.facts.members;
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let status = &mut draft.status;
    status.warm = number(members.iter().filter(|member| member.is_warm()).count());
    status.updated = number(members.iter().filter(|member| member.is_warm() && member.updated).count());
    status.creating = number(members.iter().filter(|member| member.is_creating() && !member.claimed).count());
    status.claimed = number(members.iter().filter(|member| member.claimed && !member.deleting).count());
    status.failed = number(members.iter().filter(|member| member.phase == Phase::Failed).count());
    status.total = number(members.len() + draft.facts.hidden);
    status.queued = number(draft.facts.queue.len());
    let name = draft.facts.pool.metadata.name.as_deref().unwrap_or_default();
    status.selector = Some(format!("{POOL_LABEL}={name}"));
}

fn tell_provider(draft: &mut Draft<'_>) {
    match &draft.facts.provider {
        ProviderFact::Shut { reason, message } => {
            draft.want(Type::ProviderReachable, false, *reason, message.clone());
            draft.again(RECHECK_PROVIDER);
        }
        ProviderFact::Open { account } => match draft.status.account.clone().filter(|known| *known != account.0) {
            Some(known) => {
                draft.want(
                    Type::ProviderReachable,
                    false,
                    Reason::WrongAccount,
                    format!(
                        "the credentials open account {account}, but this pool's instances are in {known}: \
                         put a token of {known} back into the Secret"
                    ),
                );
                draft.again(RECHECK_PROVIDER);
            }
            None => draft.want(Type::ProviderReachable, true, Reason::AsExpected, "the provider answers"),
        },
    }
}

fn tell_degraded(draft: &mut Draft<'_>) {
    let facts = draft.facts;
    let failures = draft.status.failures.clone();
    let said = |prefix: &str| {
        let record = failures.as_ref();
        let (reason, message) =
            record.map_or(("", ""), |record| (record.last_reason.as_str(), record.last_message.as_str()));
        format!("{prefix}: {reason}: {message}")
    };
    if let Some(lacking) = refs::for_a_person(draft) {
        return draft.want(Type::Degraded, true, lacking.reason, lacking.message.clone());
    }
    let blocked: Vec<String> = facts.blocked_slots.iter().take(5).map(|slot| slot.to_string()).collect();
    match breaker(draft) {
        Breaker::Broken => {
            draft.want(
                Type::Degraded,
                true,
                Reason::InvalidSpec,
                said("the provider refuses this spec; edit the pool"),
            );
        }
        Breaker::Open { .. } | Breaker::Trying if failures.as_ref().is_some_and(is_account_full) => {
            let message = said(
                "the provider's account takes no more sandboxes: ask the provider for a higher limit, delete apps in \
                 the account, or lower warm.target and limits.maxSandboxes; it is tried again every create.backoff.max",
            );
            draft.want(Type::Degraded, true, Reason::AccountLimit, message);
        }
        Breaker::Open { .. } | Breaker::Trying => {
            draft.want(Type::Degraded, true, Reason::BackingOff, said("the last sandbox failed"));
        }
        Breaker::Closed if is_skewed(draft) => {
            let message =
                format!("the operator's clock is more than {} s from the API server's; set it", SKEW.as_secs());
            draft.want(Type::Degraded, true, Reason::ClockSkew, message);
        }
        Breaker::Closed if !blocked.is_empty() => {
            let message = format!("other objects have the names of slots {}; rename them", blocked.join(", "));
            draft.want(Type::Degraded, true, Reason::SlotBlocked, message);
        }
        Breaker::Closed if facts.undecodable > 0 => {
            draft.want(
                Type::Degraded,
                true,
                Reason::Undecodable,
                "a member does not fit its schema; see the operator's log",
            );
        }
        Breaker::Closed => match closed_by_credentials(draft) {
            Some((reason, message)) => draft.want(Type::Degraded, true, reason, message),
            None => draft.want(Type::Degraded, false, Reason::AsExpected, "nothing needs a person"),
        },
    }
}

/// Whether people are told about the clock: from the limit on, until it is well below. The skew is measured anew all
/// the time, and neither its digits nor a value near the limit may be news again and again (S10).
fn is_skewed(draft: &Draft<'_>) -> bool {
    let said = |condition: &Condition| {
        condition.type_ == Type::Degraded.as_str() && condition.reason == Reason::ClockSkew.as_str()
    };
    let told = draft.status.conditions.iter().any(said);
    draft.facts.clock_skew > if told { SKEW / 2 } else { SKEW }
}

/// Credentials that only a person can put right; an outage ends by itself.
fn closed_by_credentials(draft: &Draft<'_>) -> Option<(Reason, String)> {
    match &draft.facts.provider {
        ProviderFact::Shut { reason, message }
            if !matches!(reason, Reason::ProviderUnavailable | Reason::RateLimited) =>
        {
            Some((*reason, message.clone()))
        }
        ProviderFact::Shut { .. } | ProviderFact::Open { .. } => None,
    }
}
