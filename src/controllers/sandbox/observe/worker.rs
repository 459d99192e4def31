//! Members without an address: their console says that they are ready, then the provider that they still run.

use super::member::answers;
use crate::api::Sandbox;
use crate::console;
use crate::controllers::context::Context;
use crate::controllers::probes::{Ask, Target};
use crate::controllers::sandbox::facts::{Evidence, ProbeFact};
use crate::failure::chain;
use crate::providers::{Connection, InstancePhase};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// After the first try in vain: each costs a call of the provider's budget.
const PAUSE: Duration = Duration::from_secs(5);
/// After many.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where people enter it, if there is such a place.
pub(super) fn address(context: &Context, sandbox: &Sandbox) -> Option<String> {
    let metadata = &sandbox.metadata;
    sandbox.spec.template.as_ref().filter(|template| template.provider.is_worker())?;
    let (namespace, name, uid) = (metadata.namespace.as_ref()?, metadata.name.as_ref()?, metadata.uid.as_ref()?);
    Some(console::sandbox_url(context.console_url.as_ref()?, namespace, name, uid))
}

/// Asks the console until it first answers. From then on the listing is enough: asking every console every half minute
/// would take a third of the provider's rate limit at 40 sandboxes.
pub(super) fn ask_console(
    context: &Context,
    sandbox: &Sandbox,
    evidence: &Evidence,
    connection: Option<&Connection>,
) -> Option<ProbeFact> {
    let uid = sandbox.metadata.uid.as_deref()?;
    let instance = sandbox.instance();
    let over = sandbox.is_deleting() || instance.is_none_or(|instance| instance.failure.is_some());
    let ready = instance.is_some_and(|instance| instance.ready_at.is_some()) && answers(sandbox);
    let phase = evidence.listed.as_ref().map(|seen| &seen.phase);
    let id = instance.and_then(|instance| instance.id.clone()).or_else(|| Some(evidence.listed.as_ref()?.id.clone()));
    let (Some(id), false) = (id.filter(|_| ready || phase == Some(&InstancePhase::Running)), over) else {
        context.probes.forget(uid);
        return None;
    };
    if ready {
        context.probes.forget(uid);
        return Some(still_runs(context, phase));
    }
    let account = connection?.account.clone();
    let (namespace, name) = (sandbox.metadata.namespace.clone()?, sandbox.metadata.name.clone()?);
    let spec = sandbox.spec.template.as_ref()?.provider.clone();
    let (accounts, place) = (context.accounts.clone(), namespace.clone());
    let (first, in_vain) = (PAUSE.min(context.timing.probe_claimed), Arc::new(AtomicU32::new(0)));
    let well: Ask = Arc::new(move |id| {
        let (accounts, account, spec, place) = (accounts.clone(), account.clone(), spec.clone(), place.clone());
        let in_vain = Arc::clone(&in_vain);
        Box::pin(async move {
            let asked = async {
                // Asked for each time: the token may have been replaced since.
                let connection = accounts.resolve(&place, &spec).await.map_err(|error| chain(&error))?;
                if connection.account != account {
                    return Err(format!("the credentials open account {} now", connection.account));
                }
                let address = connection.provider.console(&id).await.map_err(|error| chain(&error))?;
                console::answers(&address).await.map_err(|error| chain(&error))
            };
            let Err(error) = asked.await else { return true };
            tracing::debug!(instance = id, error, "a console does not answer");
            tokio::time::sleep(pause(first, in_vain.fetch_add(1, Ordering::Relaxed))).await;
            false
        })
    });
    context.probes.want_by(uid, Target { namespace, name, url: id, period: PAUSE, settled: false }, &well)
}

/// After so many tries in vain before: a console that is slow to open is seen soon, one that stays shut is asked seldom.
fn pause(first: Duration, in_vain: u32) -> Duration {
    first.saturating_mul(1 << (in_vain / 4).min(8)).min(LONGEST_PAUSE)
}

/// What the listing says of one whose console has answered.
fn still_runs(context: &Context, phase: Option<&InstancePhase>) -> ProbeFact {
    match phase {
        Some(InstancePhase::Failed { .. }) => {
            ProbeFact { healthy: false, failures: u32::MAX, failing_for: context.timing.replace_unreachable }
        }
        _ => ProbeFact { healthy: true, failures: 0, failing_for: Duration::ZERO },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_that_stays_shut_is_asked_ever_more_seldom_s12() {
        let pauses: Vec<u64> = (0..20).map(|in_vain| pause(PAUSE, in_vain).as_secs()).collect();
        assert_eq!(pauses[..8], [5, 5, 5, 5, 10, 10, 10, 10]);
        assert_eq!((pauses[12], pauses[16], pause(PAUSE, u32::MAX).as_secs()), (40, 60, 60));
        // Ten minutes of a shut console took 120 calls at a steady five seconds.
        let mut spent = 0;
        let calls = (0..)
            .take_while(|in_vain| {
                spent += pause(PAUSE, *in_vain).as_secs();
                spent <= 600
            })
            .count();
        assert!(calls < 30, "{calls} calls");
    }
}
