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
use std::time::Duration;

/// Between two tries: each costs a call of the provider's budget.
const PAUSE: Duration = Duration::from_secs(5);

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
    let provider = Arc::clone(&connection?.provider);
    let pause = PAUSE.min(context.timing.probe_claimed);
    let well: Ask = Arc::new(move |id| {
        let provider = Arc::clone(&provider);
        Box::pin(async move {
            let asked = async { console::answers(&provider.console(&id).await?).await };
            let Err(error) = asked.await else { return true };
            tracing::debug!(instance = id, error = chain(&error), "a console does not answer");
            tokio::time::sleep(pause).await;
            false
        })
    });
    let (namespace, name) = (sandbox.metadata.namespace.clone()?, sandbox.metadata.name.clone()?);
    context.probes.want_by(uid, Target { namespace, name, url: id, period: PAUSE, settled: false }, &well)
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
