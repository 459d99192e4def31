//! Reads everything that a plan for one pool needs.

mod refs;

use super::facts::{Failure, Lost, Member, Observed};
use super::siblings;
use crate::api::conditions::{Reason, Type};
use crate::api::{Phase, Sandbox, SandboxPool, SandboxStatus, Template, Usd};
use crate::controllers::context::Context;
use crate::controllers::index::readable;
use crate::controllers::sandbox::Guarded;
use crate::controllers::sandbox::facts::ProviderFact;
use crate::controllers::sandbox::observe::queue;
use crate::providers::ErrorClass;
use crate::providers::accounts::{AccountLimits, Connection};
use crate::providers::inventory::Urgency;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// Observes one pool. Reads caches, the credentials and the price only: what is written upon it is
/// guarded by names and versions. Where the account is bounded, the turn is to be kept until the plan is carried out.
pub async fn observe(context: &Context, pool: &Arc<SandboxPool>) -> (Observed, Option<Turn>) {
    let namespace = pool.namespace().unwrap_or_default();
    let (name, uid) = (pool.name_any(), pool.uid().unwrap_or_default());
    let (provider, connection) = connect(context, pool, &namespace).await;
    let price = price(pool, connection.as_ref()).await;
    let refs = refs::read(context, pool, &namespace, &provider, connection.as_ref()).await;
    let turn = turn(context, pool, connection.as_ref()).await;
    let all = context.index.sandboxes(&context.sandboxes, &namespace, &name);
    let bound: HashSet<&str> = readable(&all).filter_map(binding).collect();
    let template = pool.spec.template(&uid, pool.metadata.generation.unwrap_or_default());
    let mut members: Vec<Member> = readable(&all).filter_map(|sandbox| member(sandbox, &bound, &template)).collect();
    tell_asked(&mut members, readable(&all));
    let unreadable: Vec<&Arc<Guarded>> = all.iter().filter(|guarded| guarded.0.is_err()).collect();
    let seen: HashSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut hidden_slots = context.pool_memory.unseen(&uid, &seen);
    let unseen = hidden_slots.len();
    hidden_slots.extend(unreadable.iter().filter_map(|guarded| slot_of(&name, &guarded.name_any())));
    let hidden = unseen + unreadable.len();
    let empty = members.is_empty() && hidden == 0;
    let proved_empty = proved_empty(context, &uid, empty, pool, connection.as_ref());
    let secret_held = siblings::place(pool).is_some_and(|secret| context.pool_memory.is_secret_held(&secret));
    let account = connection
        .as_ref()
        .zip(turn.as_ref())
        .map(|(connection, turn)| siblings::observe(context, pool, connection, turn.limits.clone(), &turn.prices));
    let observed = Observed {
        account,
        now: context.clock.now(),
        queue: queue(readable(&all)).iter().filter_map(|request| made(request)).collect(),
        lost: lost(readable(&all), context.clock.now()),
        blocked_slots: blocked(context, pool, &namespace, &members, &hidden_slots),
        undecodable: unreadable.len(),
        present: all.iter().filter_map(|guarded| guarded.uid()).collect(),
        usd_per_hour: price,
        status_written_ago: context.pool_memory.status_written_ago(&uid),
        clock_skew: context.clock.skew().unsigned_abs(),
        pool: Arc::clone(pool),
        members,
        hidden,
        hidden_slots,
        provider,
        refs,
        secret_held,
        proved_empty,
    };
    (observed, turn)
}

/// This pool's turn in an account that is bounded.
pub struct Turn {
    limits: AccountLimits,
    prices: HashMap<String, Usd>,
    _held: OwnedMutexGuard<()>,
}

async fn turn(context: &Context, pool: &Arc<SandboxPool>, connection: Option<&Connection>) -> Option<Turn> {
    let Some(connection) = connection else {
        // What its Secret's owner allows in the account holds whether or not the token still works.
        siblings::look_at(context, pool).await;
        return None;
    };
    let secret = (connection.secret_namespace.clone(), connection.secret_name.clone());
    context.bounded.note(&connection.account.0, secret, connection.limits.clone());
    siblings::look_at_all(context).await;
    let limits = context.bounded.limits(&connection.account.0);
    if !limits.any() {
        return None;
    }
    let prices = match limits.hourly_usd {
        Some(_) => siblings::prices(context, pool, connection).await,
        None => HashMap::new(),
    };
    let _held = context.bounded.turn(&connection.account.0).await;
    Some(Turn { limits, prices, _held })
}

async fn connect(context: &Context, pool: &SandboxPool, namespace: &str) -> (ProviderFact, Option<Connection>) {
    match context.accounts.resolve(namespace, &pool.spec.provider).await {
        Ok(connection) => (listing_fact(context, &connection), Some(connection)),
        Err(error) => (ProviderFact::Shut { reason: error.reason(), message: error.to_string() }, None),
    }
}

/// What one more sandbox would cost, where a budget asks for it.
async fn price(pool: &SandboxPool, connection: Option<&Connection>) -> Option<Usd> {
    pool.spec.budget.as_ref()?;
    let size = &pool.spec.provider.digital_ocean.as_ref()?.size;
    connection?.provider.usd_per_second(size).await.ok().map(Usd::per_hour)
}

/// An account that cannot be listed is as good as shut: nothing is made that nobody could find again.
fn listing_fact(context: &Context, connection: &Connection) -> ProviderFact {
    let Some(error) = context.inventory.last_error(&connection.account) else {
        return ProviderFact::Open { account: connection.account.clone() };
    };
    let reason = match error.class {
        ErrorClass::Auth => {
            context.accounts.forget(connection);
            Reason::CredentialsRejected
        }
        ErrorClass::Limited { .. } => Reason::RateLimited,
        _ => Reason::ProviderUnavailable,
    };
    ProviderFact::Shut { reason, message: format!("the account cannot be listed: {error}") }
}

fn made(sandbox: &Sandbox) -> Option<jiff::Timestamp> {
    sandbox.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

pub(super) fn binding(sandbox: &Sandbox) -> Option<&str> {
    let live = !sandbox.is_member() && sandbox.phase() != Phase::Ended && !sandbox.is_deleting();
    sandbox.status.as_ref().filter(|_| live)?.bound_to.as_ref().map(|bound| bound.uid.as_str())
}

/// Ended requests older than this say nothing about the demand of today.
const LOST_LATELY: jiff::SignedDuration = jiff::SignedDuration::from_hours(2);

/// Requests that ended without a sandbox because none was there.
fn lost<'all>(all: impl Iterator<Item = &'all Sandbox>, now: jiff::Timestamp) -> Vec<Lost> {
    let unserved = [Reason::WaitTimeout, Reason::NoneWarm].map(Reason::as_str);
    all.filter(|sandbox| !sandbox.is_member() && sandbox.phase() == Phase::Ended)
        .filter_map(|request| {
            let status = request.status.as_ref()?;
            let lately = now.duration_since(status.ended_at.as_ref()?.0) < LOST_LATELY;
            let unserved = status.reason.as_deref().is_some_and(|reason| unserved.contains(&reason));
            (lately && unserved && status.claimed_at.is_none()).then_some(())?;
            Some(Lost { uid: request.uid()?, asked: made(request)? })
        })
        .collect()
}

/// Notes when the requests were made that hold these members.
fn tell_asked<'all>(members: &mut [Member], all: impl Iterator<Item = &'all Sandbox> + Clone) {
    let requests = all.filter(|sandbox| !sandbox.is_member());
    let asked: HashMap<&str, jiff::Timestamp> = requests
        .filter_map(|request| Some((request.status.as_ref()?.bound_to.as_ref()?.uid.as_str(), made(request)?)))
        .collect();
    for member in members {
        member.asked_at = asked.get(member.uid.as_str()).copied().filter(|_| member.claimed);
    }
}

/// A member made of a newer pool than this view shows is up to date, whatever the view says.
fn is_updated(sandbox: &Sandbox, template: &Template) -> bool {
    sandbox
        .spec
        .template
        .as_ref()
        .is_some_and(|has| has.pool_generation > template.pool_generation || has.is_like(template))
}

pub(super) fn member(sandbox: &Sandbox, bound: &HashSet<&str>, template: &Template) -> Option<Member> {
    let slot = sandbox.spec.slot?;
    let nothing = SandboxStatus::default();
    let status = sandbox.status.as_ref().unwrap_or(&nothing);
    let instance = status.instance.as_ref();
    let uid = sandbox.uid()?;
    let time = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    let failure = (status.phase == Some(Phase::Failed)).then(|| {
        let attempt = instance.and_then(|instance| instance.failure.as_ref());
        Failure {
            reason: status.reason.clone().unwrap_or_default(),
            message: attempt.map(|failure| failure.message.clone()).unwrap_or_default(),
            time: time(&status.ended_at).or_else(|| made(sandbox)).unwrap_or_default(),
            terminal: attempt.is_some_and(|failure| failure.terminal),
        }
    });
    let lacking = |condition: &Condition| {
        condition.type_ == Type::ResolvedRefs.as_str() && condition.reason == Reason::SecretMissing.as_str()
    };
    let ready_at = instance.and_then(|instance| time(&instance.ready_at));
    Some(Member {
        name: sandbox.name_any(),
        bound: bound.contains(uid.as_str()),
        uid,
        resource_version: sandbox.resource_version().unwrap_or_default(),
        slot,
        phase: sandbox.phase(),
        claimed: sandbox.spec.claim.is_some(),
        deleting: sandbox.is_deleting(),
        created: made(sandbox),
        lacks_refs: ready_at.is_none() && status.conditions.iter().any(lacking),
        ready_at,
        requested_at: instance.map(|instance| instance.requested_at.0),
        claimed_at: time(&status.claimed_at),
        asked_at: None,
        expires_at: time(&status.expires_at),
        start_kind: status.start_kind,
        generation: sandbox.spec.template.as_ref().map(|template| template.pool_generation).unwrap_or_default(),
        updated: is_updated(sandbox, template),
        cost: status.cost.clone().unwrap_or_default(),
        failure,
        restoring: sandbox.spec.claim.is_some()
            && instance.is_some_and(|instance| {
                let comes = instance.restore_began_at.is_some() && instance.ready_at.is_none();
                comes && instance.failure.is_none()
            }),
    })
}

fn slot_of(pool: &str, name: &str) -> Option<i32> {
    name.strip_prefix(pool)?.strip_prefix('-')?.parse().ok()
}

/// Slots whose name an object has that is no member of this pool.
fn blocked(
    context: &Context,
    pool: &SandboxPool,
    namespace: &str,
    members: &[Member],
    hidden: &BTreeSet<i32>,
) -> BTreeSet<i32> {
    let used: HashSet<i32> = members.iter().map(|member| member.slot).chain(hidden.iter().copied()).collect();
    let taken = |slot: &i32| {
        let name = format!("{}-{slot}", pool.name_any());
        context.sandboxes.get(&ObjectRef::new(&name).within(namespace)).is_some()
    };
    let mut blocked = context.pool_memory.blocked_slots(&pool.uid().unwrap_or_default());
    blocked.extend((0..pool.spec.limits.max_sandboxes).filter(|slot| !used.contains(slot)).filter(taken));
    blocked
}

/// Whether a complete listing, begun after the last member went, shows nothing of this pool.
fn proved_empty(
    context: &Context,
    uid: &str,
    empty: bool,
    pool: &SandboxPool,
    connection: Option<&Connection>,
) -> bool {
    let since = context.pool_memory.empty_since(uid, empty);
    let Some(connection) = connection else { return false };
    let ending = pool.metadata.deletion_timestamp.is_some();
    let urgency = if ending && empty { Urgency::InFlight } else { Urgency::Level };
    context.inventory.want(&connection.account, Arc::clone(&connection.provider), urgency);
    let Some((since, view)) = since.zip(context.inventory.view(&connection.account)) else { return false };
    ending && view.listing.began > since && view.with_pool_uid(uid).next().is_none()
}

/// Names of the requests that wait for a member.
pub(super) fn waiting(all: &[Arc<Guarded>]) -> Vec<String> {
    queue(readable(all)).into_iter().map(ResourceExt::name_any).collect()
}
