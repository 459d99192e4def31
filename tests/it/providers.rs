//! The DigitalOcean provider against the simulated cloud, over real HTTP.

use sandbar::api::Template;
use sandbar::cloudsim::admin::{AccountSettings, Fault, Op, Rule, Seconds, Shape, SimAdmin, Timings};
use sandbar::cloudsim::{CloudSim, Options, Running};
use sandbar::providers::budget::Budget;
use sandbar::providers::digitalocean::DigitalOcean;
use sandbar::providers::{
    Account, CreateRequest, ErrorClass, Inputs, Instance, InstancePhase, Inventory, Marks, Provider, Timing, Urgency,
    instance_name,
};
use sandbar::telemetry::secret::Secret;
use serde_json::json;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const TOKEN: &str = "dop_v1_it";
const INSTALLATION: &str = "it";
/// Bound of every wait.
const WITHIN: Duration = Duration::from_secs(30);

/// A cloud with the accounts `default`, which the token opens, and `other`.
struct World {
    cloud: Running,
    admin: SimAdmin,
    client: Arc<DigitalOcean>,
}

impl World {
    async fn start(speed: f64) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let timings =
            Timings { ready_seconds: Seconds::Fixed(5.0), fail_seconds: Seconds::Fixed(5.0), ..Timings::default() };
        let mine = AccountSettings { timings, ..AccountSettings::with_token(TOKEN) };
        let accounts = BTreeMap::from([
            ("default".to_owned(), mine),
            ("other".to_owned(), AccountSettings::with_token("dop_v1_other")),
        ]);
        let cloud = CloudSim::start(Options { speed, accounts, ..Options::for_tests(TOKEN) }).await.expect("a cloud");
        let admin = SimAdmin::new(cloud.url());
        let client = Arc::new(client(&cloud));
        Self { cloud, admin, client }
    }

    async fn rules(&self, rules: impl Into<Vec<Rule>>) {
        self.admin.set_rules("default", rules).await.expect("the rules fit");
    }

    /// How many apps were ever made, and how many of them still cost.
    async fn made(&self) -> usize {
        self.admin.ledger().await.expect("the books").apps.len()
    }
}

fn client(cloud: &Running) -> DigitalOcean {
    let timing = Timing { create_timeout: Duration::from_secs(5), ..Timing::default() };
    DigitalOcean::new(cloud.url(), Secret::new(TOKEN.to_owned()), Arc::new(Budget::new()), &timing).expect("a client")
}

fn request(uid: &str) -> CreateRequest {
    let template: Template = serde_json::from_value(json!({
        "poolUid": "pool-uid", "poolGeneration": 1,
        "provider": {"digitalOcean": {"credentialsRef": {"name": "do", "key": "token"}, "region": "nyc"}},
        "image": {"registryType": "GHCR", "registry": "example", "repository": "sandbox-python", "tag": "1"},
        "env": [{"name": "GREETING", "value": "hello"}],
        "ports": [5000],
    }))
    .expect("a template");
    let marks = Marks {
        installation: INSTALLATION.to_owned(),
        namespace: "team".to_owned(),
        name: format!("python-{uid}"),
        uid: uid.to_owned(),
        attempt: 1,
        pool_uid: "pool-uid".to_owned(),
        spec_hash: "hash".to_owned(),
    };
    let name = instance_name(INSTALLATION, uid, 1);
    CreateRequest { name, marks, template, agent_token: Secret::new("hush".to_owned()), inputs: Inputs::default() }
}

/// Asks until the answer is good, with a bound.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, asking).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

async fn until_phase(world: &World, id: &str, good: impl Fn(&InstancePhase) -> bool) -> Instance {
    until("another phase", async || world.client.get(id).await.ok().filter(|found| good(&found.phase))).await
}

fn class<T>(result: Result<T, sandbar::providers::ProviderError>) -> &'static str {
    result.map_or_else(|error| error.class.label(), |_| "ok")
}

#[tokio::test]
async fn an_instance_lives_from_create_to_gone_s4() {
    let world = World::start(20.0).await;
    let account = world.client.account().await.expect("an account");
    assert!(!account.0.is_empty());
    let request = request("one");
    let made = world.client.create(&request).await.expect("made");
    assert_eq!((made.name.as_str(), made.marks.as_ref()), (request.name.as_str(), Some(&request.marks)));
    assert!(!world.client.name_available(&request.name).await.expect("told"));
    let before = Instant::now();
    let listing = world.client.list().await.expect("complete");
    assert!(listing.began >= before);
    assert_eq!(listing.instances.len(), 1);
    assert_eq!(listing.instances[0].marks, Some(request.marks.clone()));
    let running = until_phase(&world, &made.id, |phase| *phase == InstancePhase::Running).await;
    assert!(running.url.is_some_and(|url| url.starts_with("http://127.0.0.1")));
    assert!(running.created_at.is_some() && running.deployment_id.is_some());
    until("gone", async || (class(world.client.delete(&made.id).await) == "gone").then_some(())).await;
    assert_eq!(class(world.client.get(&made.id).await), "gone");
    assert!(world.client.list().await.expect("complete").instances.is_empty());
    until("a free name", async || world.client.name_available(&request.name).await.ok().filter(|free| *free)).await;
}

#[tokio::test]
async fn a_lost_reply_leaves_one_app_whose_name_is_taken_s1() {
    for shape in [Shape::Reset {}, Shape::Html { status: 504 }, Shape::server_error()] {
        let world = World::start(20.0).await;
        world.rules([Rule::new(Fault::ErrorAfter(shape.clone())).on([Op::Create]).times(1)]).await;
        let request = request("lost");
        assert_eq!(class(world.client.create(&request).await), "unknown", "{shape:?}");
        assert_eq!(class(world.client.create(&request).await), "name_taken", "{shape:?}");
        let listing = world.client.list().await.expect("complete");
        assert_eq!(listing.instances.iter().filter(|found| found.name == request.name).count(), 1);
        assert_eq!(world.made().await, 1, "{shape:?}");
    }
}

#[tokio::test]
async fn a_create_that_hangs_ends_by_its_time_out_and_is_not_sent_again_s1() {
    let world = World::start(1.0).await;
    world.rules([Rule::new(Fault::ErrorAfter(Shape::Hang { seconds: 60.0 })).on([Op::Create])]).await;
    let began = Instant::now();
    assert_eq!(class(world.client.create(&request("slow")).await), "unknown");
    assert!(began.elapsed() < Duration::from_secs(20));
    let calls = world.admin.calls("default", 0).await.expect("the calls");
    assert_eq!(calls.iter().filter(|call| call.op == Op::Create).count(), 1);
}

#[tokio::test]
async fn an_error_before_the_effect_proves_nothing_either_s3() {
    let world = World::start(20.0).await;
    world.rules([Rule::new(Fault::ErrorBefore(Shape::Html { status: 504 })).on([Op::Create])]).await;
    let request = request("none");
    assert_eq!(class(world.client.create(&request).await), "unknown");
    assert!(world.client.name_available(&request.name).await.expect("told"));
    assert!(world.client.list().await.expect("complete").instances.is_empty());
}

#[tokio::test]
async fn a_limit_is_waited_for_without_a_call_s12() {
    for retry_after in [Some(30), None] {
        let world = World::start(1.0).await;
        world.rules([Rule::new(Fault::TooManyRequests { retry_after }).on([Op::Get]).times(1)]).await;
        let error = world.client.get("x").await.expect_err("limited");
        let ErrorClass::Limited { until } = error.class else { panic!("{error}") };
        assert!(until > Instant::now() + Duration::from_secs(5), "{retry_after:?}");
        assert_eq!(class(world.client.list().await), "limited");
        assert_eq!(world.admin.calls("default", 0).await.expect("the calls").len(), 1);
    }
}

#[tokio::test]
async fn a_busy_client_is_never_refused_by_the_cloud_s12() {
    let world = World::start(1.0).await;
    let tasks = (0..300).map(|_| async { class(world.client.get("no-such-app").await) });
    let outcomes = futures::future::join_all(tasks).await;
    assert!(outcomes.contains(&"limited"), "its own budget said no");
    let calls = world.admin.calls("default", 0).await.expect("the calls");
    assert!(calls.len() <= 250, "{}", calls.len());
    assert!(calls.iter().all(|call| call.status != Some(429)));
}

#[tokio::test]
async fn a_read_outage_changes_nothing_that_is_known_s3() {
    let world = World::start(20.0).await;
    let timing = Timing { listing_period: Duration::from_millis(200), ..Timing::default() };
    let inventory = Inventory::new(INSTALLATION, &timing);
    let account = world.client.account().await.expect("an account");
    let made = world.client.create(&request("kept")).await.expect("made");
    let want = || inventory.want(&account, world.client.clone(), Urgency::InFlight);
    want();
    let first = until("a view", async || inventory.view(&account)).await;
    let reads = [Op::List, Op::Get];
    world.rules([Rule::new(Fault::ErrorBefore(Shape::Html { status: 502 })).on(reads)]).await;
    let error = until("an error", async || inventory.last_error(&account)).await;
    assert_eq!(error.class, ErrorClass::Unknown, "{error}");
    assert_eq!(class(world.client.get(&made.id).await), "unknown");
    assert!(inventory.view(&account).is_some_and(|view| view.listing.began >= first.listing.began));
    assert!(!inventory.absent_since(&account, &made.name, first.listing.began));
    world.admin.clear_faults("default").await.expect("cleared");
    until("a newer view", async || {
        want();
        inventory.view(&account).filter(|view| view.listing.began > first.listing.began)
    })
    .await;
    assert!(inventory.last_error(&account).is_none());
}

#[tokio::test]
async fn a_lagging_listing_does_not_show_what_propose_knows_s2() {
    let world = World::start(1.0).await;
    world.rules([Rule::new(Fault::ListingLag { seconds: 60.0 })]).await;
    let request = request("lagging");
    world.client.create(&request).await.expect("made");
    assert!(world.client.list().await.expect("complete").instances.is_empty());
    assert!(!world.client.name_available(&request.name).await.expect("told"), "absence takes both");
}

#[tokio::test]
async fn a_token_that_moved_proves_nothing_and_makes_nothing_s4() {
    let world = World::start(20.0).await;
    let mine = world.client.account().await.expect("an account");
    let made = world.client.create(&request("mine")).await.expect("made");
    world.admin.move_token(TOKEN, "other").await.expect("moved");
    assert_eq!(class(world.client.get(&made.id).await), "auth", "another account's 404");
    assert_eq!(class(world.client.list().await), "auth");
    assert_eq!(class(world.client.create(&request("theirs")).await), "auth");
    assert_eq!(class(world.client.delete(&made.id).await), "auth");
    assert_ne!(client(&world.cloud).account().await.expect("an account"), mine);
    assert_eq!(world.admin.ledger_of("other").await.expect("the books").apps.len(), 0);
}

#[tokio::test]
async fn a_revoked_token_is_an_error_of_its_own_class() {
    let world = World::start(20.0).await;
    world.admin.revoke_token(TOKEN).await.expect("revoked");
    assert_eq!(class(world.client.account().await), "auth");
    assert_eq!(class(world.client.list().await), "auth");
}

#[tokio::test]
async fn a_large_account_lists_completely_or_not_at_all_s3() {
    let world = World::start(20.0).await;
    for n in 0..120 {
        world.client.create(&request(&n.to_string())).await.expect("made");
    }
    // A client of its own: the minute of the first one is used up.
    let reader = client(&world.cloud);
    let listing = reader.list().await.expect("complete");
    assert_eq!((listing.instances.len(), listing.pages), (120, 4));
    world.rules([Rule::new(Fault::ShiftingPages {})]).await;
    assert_eq!(class(reader.list().await), "unknown");
}

#[tokio::test]
async fn nulls_and_zero_times_say_nothing_new() {
    let world = World::start(20.0).await;
    let made = world.client.create(&request("odd")).await.expect("made");
    let plain = until_phase(&world, &made.id, |phase| *phase == InstancePhase::Running).await;
    world.rules([Rule::new(Fault::NullInsteadOfAbsent {}), Rule::new(Fault::ZeroTimestamps {})]).await;
    assert_eq!(world.client.get(&made.id).await.expect("found"), plain);
    assert_eq!(world.client.list().await.expect("complete").instances, [plain]);
}

#[tokio::test]
async fn a_failed_first_deployment_shows_its_reason_s13() {
    let world = World::start(20.0).await;
    let failure = Fault::FailedDeployment { code: "HealthChecksFailed".into(), message: "no answer".into() };
    world.rules([Rule::new(failure)]).await;
    let made = world.client.create(&request("bad")).await.expect("made");
    let failed = until_phase(&world, &made.id, |phase| matches!(phase, InstancePhase::Failed { .. })).await;
    let InstancePhase::Failed { message } = failed.phase else { unreachable!("waited for it") };
    assert!(message.contains("HealthChecksFailed") && message.contains("no answer"), "{message}");
}

#[tokio::test]
async fn a_maintenance_redeploy_shows_as_another_deployment() {
    let world = World::start(20.0).await;
    let made = world.client.create(&request("moved")).await.expect("made");
    let before = until_phase(&world, &made.id, |phase| *phase == InstancePhase::Running).await;
    let next = world.admin.maintenance(&made.id).await.expect("started");
    let after = until("the next deployment", async || {
        world.client.get(&made.id).await.ok().filter(|found| found.deployment_id != before.deployment_id)
    })
    .await;
    assert_eq!(after.deployment_id, Some(next));
}

#[tokio::test]
async fn a_size_has_its_price() {
    let world = World::start(20.0).await;
    let price = world.client.usd_per_second("apps-s-1vcpu-1gb").await.expect("known");
    assert!((price - 0.000_004_96).abs() < 1e-8, "{price}");
}

#[tokio::test]
async fn two_clients_of_one_token_see_one_account() {
    let world = World::start(20.0).await;
    let first: Account = world.client.account().await.expect("an account");
    assert_eq!(client(&world.cloud).account().await.expect("an account"), first);
}
