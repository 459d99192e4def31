//! One operator, life after life: waits for the Lease, works, and ends by a crash or when the Lease is lost.

use crate::doors::{Road, agents, client, depot};
use crate::feed::Feed;
use crate::mutation::Mutation;
use crate::net::Caller;
use crate::queue::{self, Name, Pass};
use crate::world::{INSTALLATION, SYSTEM, World};
use futures::StreamExt;
use kube::runtime::reflector::{ObjectRef, Store};
use sandbar::api::orphans::DEFAULT_LEASE;
use sandbar::controllers::context::Context;
use sandbar::controllers::orphans::Sweeper;
use sandbar::controllers::orphans::facts::OrphanMode;
use sandbar::controllers::run::start::{Assembled, Outside, assemble};
use sandbar::controllers::run::{Settings, forward};
use sandbar::controllers::runtime::client::OutboundLayer;
use sandbar::controllers::runtime::clock::ServerClock;
use sandbar::controllers::runtime::election::Timings;
use sandbar::controllers::runtime::lease::{Leadership, LeaseHandle};
use sandbar::controllers::runtime::ticks::Ticks;
use sandbar::controllers::{leftovers, sandbox, sandbox_pool};
use sandbar::providers::Timing;
use sandbar::providers::accounts::{Accounts, Detour, Endpoints};
use sandbar::telemetry::metrics::Metrics;
use sandbar::wall::Wall;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

/// How long a lease holds. Renewals are most of what happens in a quiet hour, so it is longer than by default.
const LEASE: Duration = Duration::from_secs(90);

/// What hibernation leaves in the store stays so long: as long as a script, so that sweeps meet its troubles.
const KEEP: Duration = Duration::from_secs(1800);

/// How an operator is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub index: usize,
    /// Seconds by which its wall clock is ahead.
    pub skew: i64,
}

fn settings() -> Settings {
    Settings {
        console: sandbar::console::ConsoleArgs::default(),
        namespace: SYSTEM.to_owned(),
        watch_namespace: None,
        lease_name: DEFAULT_LEASE.to_owned(),
        lease_duration: LEASE,
        installation_id: Some(INSTALLATION.to_owned()),
        orphan_mode: OrphanMode::Delete,
        digitalocean_url: "http://cloud.invalid".to_owned(),
        snapshot_url: None,
        metrics_listen: ([127, 0, 0, 1], 0).into(),
        timing: Timing { snapshot_keep: KEEP, snapshot_sweep: KEEP / 4, ..Timing::default() },
    }
}

/// Lives for ever.
pub async fn live(world: Arc<World>, setup: Setup) {
    loop {
        let caller = {
            let mut net = world.net();
            let standing = &mut net.operators[setup.index];
            standing.life += 1;
            standing.dead = false;
            Caller::Operator { index: setup.index, life: standing.life }
        };
        world.note(&format!("{caller} starts"));
        tokio::select! {
            biased;
            () = world.died[setup.index].notified() => {}
            () = one_life(&world, caller, setup) => {}
        }
        let pause = {
            let mut net = world.net();
            net.operators[setup.index].dead = true;
            net.chance(&format!("{caller} is over")).millis(500, 20_000)
        };
        tokio::time::sleep(pause).await;
    }
}

/// From start to the loss of the Lease.
async fn one_life(world: &Arc<World>, caller: Caller, setup: Setup) {
    let skewed = world.wall.now().saturating_add(jiff::SignedDuration::from_secs(setup.skew));
    let wall = Wall::starting_at(skewed.unwrap_or_default());
    let ticks = Ticks::real().with_wall(wall);
    let clock = ServerClock::new(ticks.clone());
    let lease_client = client(world, caller, Some(OutboundLayer::new(clock.clone())));
    let (identity, timings) = (caller.to_string(), Timings::of(LEASE));
    let leadership = Leadership::acquire_at(ticks, lease_client, SYSTEM, DEFAULT_LEASE, &identity, timings).await;
    world.note(&format!("{caller} leads"));
    world.judge().trouble(Duration::ZERO);
    let handle = if world.mutates(Mutation::NoFence) { LeaseHandle::unfenced() } else { leadership.handle() };
    let assembled = assembled(world, caller, clock, handle);
    let context = Arc::clone(&assembled.context);
    let mut tasks = JoinSet::new();
    run(world, caller, assembled, &mut tasks);
    // Dropping the tasks is how they end, whatever they were at.
    let _silence = Silence(context);
    leadership.lost().await;
    // A process that stood still learns of it only when it goes on, together with everything else in it.
    world.awake(caller).await;
    let race = world.net().chance(&format!("{caller} stops")).millis(0, 60);
    tokio::time::sleep(race).await;
    world.note(&format!("{caller} lost the lease"));
}

/// Ends probes and transfers with the process.
struct Silence(Arc<Context>);

impl Drop for Silence {
    fn drop(&mut self) {
        self.0.probes.retain(&HashSet::new());
        self.0.transfers.retain(&HashSet::new());
        self.0.launches.retain(&HashSet::new());
    }
}

fn assembled(world: &Arc<World>, caller: Caller, clock: ServerClock, lease: LeaseHandle) -> Assembled {
    let layer = OutboundLayer::new(clock.clone()).fence(lease.clone());
    let client = client(world, caller, Some(layer));
    let settings = settings();
    let detour = Detour { transport: Arc::new(Road { world: world.clone(), caller }), wall: world.wall };
    let endpoints = Endpoints { digitalocean_url: settings.digitalocean_url.clone() };
    let outside = Outside {
        accounts: Accounts::by_detour(client.clone(), endpoints, detour, &settings.timing),
        client,
        clock,
        lease,
        installation: INSTALLATION.to_owned(),
        identity: caller.to_string(),
        agents: Some(agents(world, caller)),
        depot: Some(depot(world, caller)),
        metrics: Metrics::new(),
    };
    assemble(&settings, outside).unwrap_or_else(|error| panic!("an operator cannot be assembled: {error}"))
}

fn run(world: &Arc<World>, caller: Caller, assembled: Assembled, tasks: &mut JoinSet<()>) {
    let Assembled { context, sandboxes, pools, sandbox_pokes, pool_pokes } = assembled;
    let (saw_sandbox, seen_sandboxes) = unbounded_channel();
    let (saw_pool, seen_pools) = unbounded_channel();
    tasks.spawn(
        Feed {
            world: world.clone(),
            caller,
            plural: "sandboxes",
            writer: sandboxes,
            context: context.clone(),
            note: sandbox::note,
            seen: saw_sandbox,
        }
        .run(),
    );
    tasks.spawn(
        Feed {
            world: world.clone(),
            caller,
            plural: "sandboxpools",
            writer: pools,
            context: context.clone(),
            note: sandbox_pool::note,
            seen: saw_pool,
        }
        .run(),
    );
    let shared = context.clone();
    let pass: Pass = Box::new(move |name| {
        let context = shared.clone();
        Box::pin(async move {
            let object = found(&context.sandboxes, &name)?;
            Some(sandbox::look(object, context).await)
        })
    });
    tasks.spawn(queue::work(seen_sandboxes, sandbox_pokes.map(name_of).boxed(), sandbox::CONCURRENCY, pass));
    let shared = context.clone();
    let pass: Pass = Box::new(move |name| {
        let context = shared.clone();
        Box::pin(async move {
            let object = found(&context.pools, &name)?;
            Some(sandbox_pool::look(object, context).await)
        })
    });
    tasks.spawn(queue::work(seen_pools, pool_pokes.map(name_of).boxed(), sandbox_pool::CONCURRENCY, pass));
    tasks.spawn(forward(context.clone()));
    tasks.spawn(sweep_store(context.clone()));
    tasks.spawn(sweep(world.clone(), context));
}

fn name_of<K: kube::Resource<DynamicType = ()>>(object: ObjectRef<K>) -> Name {
    (object.namespace.clone().unwrap_or_default(), object.name.clone())
}

fn found<K>(store: &Store<K>, (namespace, name): &Name) -> Option<Arc<K>>
where
    K: kube::Resource<DynamicType = ()> + Clone + 'static,
{
    store.get(&ObjectRef::new(name).within(namespace))
}

async fn sweep(world: Arc<World>, context: Arc<Context>) {
    let mut sweeper = Sweeper::default();
    loop {
        tokio::time::sleep(context.timing.orphan_sweep).await;
        world.judge().sweeping(true);
        sweeper.sweep(&context).await;
        world.judge().sweeping(false);
    }
}

async fn sweep_store(context: Arc<Context>) {
    let mut sweeper = leftovers::Sweeper::default();
    loop {
        tokio::time::sleep(context.timing.snapshot_sweep).await;
        sweeper.sweep(&context).await;
    }
}
