//! A member: its credentials, what speaks for its instance, its agent, its request.

use super::{ObserveError, worker};
use crate::api::conditions::{Reason, Type, is_true};
use crate::api::{InstanceStatus, Phase, Sandbox, SandboxPool, Usd};
use crate::controllers::context::Context;
use crate::controllers::memory::Remembered;
use crate::controllers::probes::Target;
use crate::controllers::sandbox::facts::{
    AppFact, BooksFact, Evidence, GetFact, InputsFact, MemberFacts, ProbeFact, ProviderFact, RequestFact,
};
use crate::controllers::{inputs, sandbox::plan::may_create};
use crate::providers::accounts::Connection;
use crate::providers::inventory::Urgency;
use crate::providers::{ErrorClass, Inputs, Instance, InstancePhase};
use kube::Api;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub(super) async fn observe(
    context: &Context,
    sandbox: &Arc<Sandbox>,
) -> Result<(MemberFacts, Option<Connection>), ObserveError> {
    let (provider, connection) = connect(context, sandbox).await;
    let mut evidence = Evidence::default();
    if let (Some(instance), Some(connection)) = (sandbox.instance(), &connection)
        && instance.account == connection.account.0
    {
        evidence = gather(context, sandbox, instance, connection).await;
    } else if let Some(connection) = &connection {
        context.inventory.want(&connection.account, Arc::clone(&connection.provider), Urgency::InFlight);
    }
    let probe = match &sandbox.spec.template {
        Some(template) if template.provider.is_worker() => {
            worker::ask_console(context, sandbox, &evidence, connection.as_ref())
        }
        _ => ask_agent(context, sandbox, &evidence),
    };
    let facts = MemberFacts {
        sandbox: Arc::clone(sandbox),
        now: context.clock.now(),
        installation: context.installation.clone(),
        evidence,
        inputs: read_inputs(context, sandbox, &provider).await,
        provider,
        probe,
        has_store: context.transfers.has_store(),
        transfer: context.transfers.of(sandbox.metadata.uid.as_deref().unwrap_or_default()),
        app: app(context, sandbox),
        launch: context.launches.of(sandbox.metadata.uid.as_deref().unwrap_or_default()),
        request: held_for(context, sandbox).await?,
        console: worker::address(context, sandbox),
        usd_per_hour: price(sandbox, connection.as_ref()).await,
        books: books(context, sandbox).await?,
        listing_period: context.timing.listing_period,
        replace_unreachable: context.timing.replace_unreachable,
    };
    Ok((facts, connection))
}

/// The app that the claim names, until its launch has begun.
fn app(context: &Context, sandbox: &Sandbox) -> AppFact {
    let begun = sandbox.status.as_ref().is_some_and(|status| status.app.is_some());
    let Some(wish) = sandbox.held_by().and_then(|claim| claim.app.as_ref()).filter(|_| !begun) else {
        return AppFact::None;
    };
    let namespace = sandbox.metadata.namespace.as_deref().unwrap_or_default();
    let pool = context.pools.get(&ObjectRef::new(&sandbox.spec.pool_ref.name).within(namespace));
    let Some(pool) = pool.and_then(|guarded| guarded.0.as_ref().ok().map(Arc::clone)) else { return AppFact::NoPool };
    match pool.spec.apps.iter().find(|app| app.name == wish.name) {
        Some(app) => AppFact::Known(Box::new(app.clone())),
        None => AppFact::Unknown { names: pool.spec.apps.iter().map(|app| app.name.clone()).collect() },
    }
}

/// Secrets are read only when a create call may follow in this very pass.
async fn read_inputs(context: &Context, sandbox: &Sandbox, provider: &ProviderFact) -> InputsFact {
    let Some(template) = &sandbox.spec.template else { return InputsFact::Unread };
    if !inputs::has_any(&template.image, &template.env) {
        return InputsFact::Ready(Inputs::default());
    }
    if !may_create(sandbox) || !matches!(provider, ProviderFact::Open { .. }) {
        return InputsFact::Unread;
    }
    let namespace = sandbox.metadata.namespace.as_deref().unwrap_or_default();
    match inputs::read(&context.client, namespace, &template.image, &template.env).await {
        Ok(inputs) => InputsFact::Ready(inputs),
        Err(unresolved) => InputsFact::Unresolved(unresolved),
    }
}

async fn connect(context: &Context, sandbox: &Sandbox) -> (ProviderFact, Option<Connection>) {
    let namespace = sandbox.metadata.namespace.as_deref().unwrap_or_default();
    let Some(template) = &sandbox.spec.template else {
        let message = "spec.template is missing; the member cannot have an instance".to_owned();
        return (ProviderFact::Shut { reason: Reason::InvalidSpec, message }, None);
    };
    match context.accounts.resolve(namespace, &template.provider).await {
        Ok(connection) => match other_account(context, sandbox, namespace, &connection) {
            Some(shut) => (shut, None),
            None => (ProviderFact::Open { account: connection.account.clone() }, Some(connection)),
        },
        Err(error) => (ProviderFact::Shut { reason: error.reason(), message: error.to_string() }, None),
    }
}

/// A member without an instance gets none in another account than its pool's others are in.
fn other_account(
    context: &Context,
    sandbox: &Sandbox,
    namespace: &str,
    connection: &Connection,
) -> Option<ProviderFact> {
    if sandbox.instance().is_some() {
        return None;
    }
    let pool = context.pools.get(&ObjectRef::new(&sandbox.spec.pool_ref.name).within(namespace))?;
    let known = pool.0.as_ref().ok()?.status.as_ref()?.account.clone()?;
    (known != connection.account.0).then(|| ProviderFact::Shut {
        reason: Reason::WrongAccount,
        message: format!(
            "the credentials open account {}, but the pool's instances are in {known}",
            connection.account
        ),
    })
}

/// What the size costs, where the status does not say it. Not worth an error: it is told later.
async fn price(sandbox: &Sandbox, connection: Option<&Connection>) -> Option<Usd> {
    let cost = sandbox.status.as_ref().and_then(|status| status.cost.as_ref());
    if cost.is_some_and(|cost| cost.usd_per_hour.is_some() || cost.ended_at.is_some()) {
        return None;
    }
    let size = &sandbox.spec.template.as_ref()?.provider.digital_ocean.as_ref()?.size;
    connection?.provider.usd_per_second(size).await.ok().map(Usd::per_hour)
}

/// Whether the pool took the cost over: asked of the API server only where no pool is known.
async fn books(context: &Context, sandbox: &Sandbox) -> Result<BooksFact, ObserveError> {
    let cost = sandbox.status.as_ref().and_then(|status| status.cost.as_ref());
    if cost.is_none_or(|cost| cost.ended_at.is_none()) {
        return Ok(BooksFact::Open);
    }
    let namespace = sandbox.metadata.namespace.clone().unwrap_or_default();
    let (name, uid) = (&sandbox.spec.pool_ref.name, sandbox.metadata.uid.clone().unwrap_or_default());
    if let Some(guarded) = context.pools.get(&ObjectRef::new(name).within(&namespace)) {
        let Ok(pool) = &guarded.0 else { return Ok(BooksFact::Unreadable) };
        let taken = pool.status.as_ref().and_then(|status| status.cost.as_ref());
        let taken = taken.is_some_and(|cost| cost.settling.contains(&uid));
        return Ok(if taken { BooksFact::Taken } else { BooksFact::Open });
    }
    let api: Api<SandboxPool> = Api::namespaced(context.client.clone(), &namespace);
    match api.get_metadata_opt(name).await {
        Ok(None) => Ok(BooksFact::NoPool),
        Ok(Some(_)) => Ok(BooksFact::Open),
        Err(source) => Err(ObserveError::Api { what: "the pool", source }),
    }
}

async fn gather(context: &Context, sandbox: &Sandbox, instance: &InstanceStatus, connection: &Connection) -> Evidence {
    let uid = sandbox.metadata.uid.as_deref().unwrap_or_default();
    let memory = context.memory.of(uid, instance.attempt);
    context.inventory.want(&connection.account, Arc::clone(&connection.provider), urgency(sandbox, instance));
    let view = context.inventory.view(&connection.account);
    let listed = view.as_ref().and_then(|view| view.by_name(&instance.name).cloned());
    let listing_is_newer =
        view.as_ref().is_some_and(|view| memory.last_write().is_none_or(|write| view.listing.began > write));
    let now = Instant::now();
    let mut evidence = Evidence {
        listed,
        listing_is_newer,
        unlisted_twice: context.inventory.absent_since(
            &connection.account,
            &instance.name,
            believed_after(context, &memory),
        ),
        got: None,
        listing_age: view.as_ref().map(|view| view.listing.began.elapsed()),
        proved_gone: memory.proved_gone,
        name_taken: memory.name_taken,
        name_free: None,
        created: memory.created.clone().filter(|_| instance.id.is_none()),
        delete_asked_ago: memory.delete_asked.map(|asked| now.duration_since(asked)),
        not_before: memory
            .not_before
            .and_then(|until| until.checked_duration_since(now))
            .filter(|left| !left.is_zero()),
    };
    if evidence.not_before.is_none() {
        ask_provider(context, sandbox, instance, connection, &memory, &mut evidence).await;
    }
    evidence
}

/// From when on listings may speak of an attempt without an id (architecture: absence, rule c).
/// For one that another process sent, its create may still be on the way.
fn believed_after(context: &Context, memory: &Remembered) -> Instant {
    let grace = context.timing.visibility_grace;
    match memory.create_ended {
        Some(ended) => ended + grace,
        None => context.memory.started() + context.timing.create_timeout + grace,
    }
}

fn urgency(sandbox: &Sandbox, instance: &InstanceStatus) -> Urgency {
    let answering = sandbox.status.as_ref().is_some_and(|status| {
        !status.conditions.iter().any(|condition| condition.type_ == "AgentReady" && condition.status == "False")
    });
    // Nothing is in flight for one that sleeps, however long.
    let asleep = sandbox.phase() == Phase::Hibernated && instance.failure.as_ref().is_some_and(|over| over.gone);
    let settled = !sandbox.is_deleting() && instance.ready_at.is_some() && instance.failure.is_none() && answering;
    if settled || asleep { Urgency::Level } else { Urgency::InFlight }
}

/// Asks about this one instance, where a listing leaves a question that matters.
async fn ask_provider(
    context: &Context,
    sandbox: &Sandbox,
    instance: &InstanceStatus,
    connection: &Connection,
    memory: &Remembered,
    evidence: &mut Evidence,
) {
    let ending = sandbox.is_deleting() || instance.failure.is_some();
    if ending {
        // By id a DELETE is asked, and proves it; without one the name must be free as well.
        if instance.id.is_none() && evidence.unlisted_twice {
            evidence.name_free = connection.provider.name_available(&instance.name).await.ok();
        }
        return;
    }
    let Some(id) = &instance.id else { return };
    let addressed = sandbox.spec.template.as_ref().is_some_and(|template| !template.provider.is_worker());
    let vague = evidence.listed.as_ref().is_some_and(|seen| {
        seen.phase == InstancePhase::Unknown
            || (addressed && seen.phase == InstancePhase::Running && seen.url.is_none())
    });
    let missing = evidence.listed.is_none() && evidence.listing_is_newer;
    let lately = memory.got_at.is_some_and(|at| at.elapsed() < context.timing.listing_period);
    if !(vague || missing) || lately || memory.proved_gone {
        return;
    }
    let uid = sandbox.metadata.uid.as_deref().unwrap_or_default();
    let answer = connection.provider.get(id).await;
    let gone = matches!(&answer, Err(error) if error.class == ErrorClass::Gone);
    context.memory.change(uid, instance.attempt, |entry| {
        entry.got_at = Some(Instant::now());
        entry.proved_gone |= gone;
    });
    evidence.got = Some(match answer {
        Ok(seen) => GetFact::Present(Box::new(seen)),
        Err(_) if gone => GetFact::Gone,
        Err(_) => GetFact::Unknown,
    });
}

fn ask_agent(context: &Context, sandbox: &Sandbox, evidence: &Evidence) -> Option<ProbeFact> {
    let uid = sandbox.metadata.uid.as_deref()?;
    let instance = sandbox.instance();
    let over = sandbox.is_deleting() || instance.is_none_or(|instance| instance.failure.is_some());
    let told = |seen: &Option<Instance>| seen.as_ref().and_then(|seen| seen.url.clone());
    let got = match &evidence.got {
        Some(GetFact::Present(seen)) => seen.url.clone(),
        _ => None,
    };
    let url = got
        .or_else(|| told(&evidence.listed))
        .or_else(|| sandbox.status.as_ref().and_then(|status| status.url.clone()));
    let Some(url) = url.filter(|_| !over) else {
        context.probes.forget(uid);
        return None;
    };
    let ready = instance.is_some_and(|instance| instance.ready_at.is_some());
    let period = if !ready {
        Duration::from_secs(2).min(context.timing.probe_claimed)
    } else if sandbox.held_by().is_some() {
        context.timing.probe_claimed
    } else {
        context.timing.probe_warm
    };
    let namespace = sandbox.metadata.namespace.clone().unwrap_or_default();
    let name = sandbox.metadata.name.clone().unwrap_or_default();
    context.probes.want(uid, Target { namespace, name, url, period, settled: ready && answers(sandbox) })
}

/// Whether the status says that the agent answers.
pub(super) fn answers(sandbox: &Sandbox) -> bool {
    let conditions = sandbox.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    is_true(conditions, Type::AgentReady) && is_true(conditions, Type::Ready)
}

/// The request that the claim was made for. Only the API server itself may say that it is gone,
/// or that it is bound to another member.
async fn held_for(context: &Context, sandbox: &Sandbox) -> Result<RequestFact, ObserveError> {
    let Some(held) = sandbox.held_by().and_then(|claim| claim.for_.as_ref()) else { return Ok(RequestFact::None) };
    let namespace = sandbox.metadata.namespace.clone().unwrap_or_default();
    let here = |request: &Sandbox| {
        request.metadata.uid.as_deref() == Some(held.uid.as_str())
            && request
                .status
                .as_ref()
                .and_then(|status| status.bound_to.as_ref())
                .is_some_and(|bound| Some(&bound.uid) == sandbox.metadata.uid.as_ref())
    };
    let cached = context.sandboxes.get(&ObjectRef::new(&held.name).within(&namespace));
    if cached.as_ref().and_then(|guarded| guarded.0.as_deref().ok()).is_some_and(here) {
        return Ok(RequestFact::Exists);
    }
    let api: Api<Sandbox> = Api::namespaced(context.client.clone(), &namespace);
    match api.get_opt(&held.name).await {
        Ok(Some(request)) if here(&request) => Ok(RequestFact::Exists),
        Ok(_) => Ok(RequestFact::Gone),
        // An object that cannot be read still exists.
        Err(kube::Error::SerdeError(_)) => Ok(RequestFact::Unknown),
        Err(source) => Err(ObserveError::Api { what: "the request that the claim was made for", source }),
    }
}
