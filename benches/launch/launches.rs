//! Launches of Snake over HTTP, warm and from a snapshot.

use std::path::Path;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use sandbar::api::{Sandbox, SandboxPool};
use sandbar::artifacts::{Snapshots, Store, publish};
use sandbar::dev::gateway::SERVES;
use serde_json::{Value, json};

use crate::alone::alone;
use crate::common::Result;
use crate::common::meter::{OBJECTS, p50};
use crate::common::table::Table;
use crate::size;
use crate::world::World;

/// What is launched.
pub const APP: &str = "snake";
/// What it is launched from.
pub const SNAPSHOT: &str = "snake-python";
const POOL: &str = include_str!("../../deploy/examples/pool-games-python.yaml");
const MAP: &str = "bare";
/// The steps of a launch, as its status tells them.
const STEPS: [&str; 4] = ["acquire_ms", "files_ms", "start_ms", "answer_ms"];

/// How many are carried out.
fn launches() -> usize {
    (3 * size() / 10).max(2)
}

/// Publishes Snake and makes the pool that ships, with as many warm ones as are launched: none is replaced while
/// others are measured, as none would be at a cloud that takes a minute.
pub async fn make_pool(world: &World) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/apps").join(APP);
    publish(&folder, APP, &snapshots(world)?, SNAPSHOT, None).await?;
    let mut pool: Value = serde_yaml::from_str(POOL)?;
    pool["spec"]["warm"]["target"] = json!(launches());
    pool["spec"]["limits"] = json!({"maxSandboxes": launches(), "maxConcurrentCreates": 4});
    world.api::<SandboxPool>().create(&PostParams::default(), &serde_json::from_value(pool)?).await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MAP}, "data": {"value": "."}});
    world.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    world
        .until("the app at the gateway", async || {
            let apps: Value = world.http.get(format!("{}/v1/apps", world.gateway()?)).send().await?.json().await?;
            Ok(apps.to_string().contains(APP).then_some(()))
        })
        .await
}

fn snapshots(world: &World) -> Result<Snapshots> {
    Ok(Store::open(&world.snapshot_url())?.of(SERVES))
}

/// Asks for a launch; what was answered, and how long that took.
async fn ask(world: &World) -> Result<(Value, Duration)> {
    let (url, wish) = (format!("{}/api/launch/warm", world.gateway()?), json!({"game": APP, "use_snapshot": true}));
    let started = Instant::now();
    let answer = world.http.post(url).json(&wish).send().await?.error_for_status()?.bytes().await?;
    Ok((serde_json::from_slice(&answer)?, started.elapsed()))
}

/// One merge patch of a ConfigMap of 1 KB.
async fn bare(maps: &Api<ConfigMap>, number: usize) -> Result<Duration> {
    let patch = json!({"data": {"value": format!("{number:01000}")}});
    let started = Instant::now();
    maps.patch(MAP, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(started.elapsed())
}

/// Launches that nobody carries out: the gateway's and the API server's own part of the answer.
pub async fn unanswered(world: &World, table: &mut Table) -> Result<()> {
    let (maps, mut answered, mut written) = (world.api(), Vec::new(), Vec::new());
    for number in 0..2 * size() {
        answered.push(ask(world).await?.1);
        written.push(bare(&maps, number).await?);
    }
    let (count, answer, bare) = (answered.len(), p50(&mut answered), p50(&mut written));
    let figure = format!("{:.2} = {answer:.2} ms ÷ {bare:.2} ms", answer / bare);
    table.figure(&format!("launch-warm answer p50 ÷ bare PATCH p50 without operator ({count} launches)"), figure);
    world.api::<Sandbox>().delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}

/// One launch that was carried out.
struct Launch {
    answered: Duration,
    ready: Duration,
    took: Value,
}

/// Launches, one after the other; after each some bare writes, and its yardstick.
pub async fn launch(world: &World, table: &mut Table) -> Result<()> {
    let pools = world.api::<SandboxPool>();
    let warm = async || {
        let pool = pools.list(&ListParams::default()).await?.items.pop();
        let warm = pool.and_then(|pool| pool.status).map(|status| status.warm).unwrap_or_default();
        Ok((usize::try_from(warm)? == launches()).then_some(()))
    };
    world.until("warm sandboxes", warm).await?;
    let (maps, folder, snapshots) = (world.api(), tempfile::tempdir()?, snapshots(world)?);
    let (mut done, mut written, mut unpacked, mut started) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let before = world.quiet().await?;
    for number in 0..launches() {
        done.push(carried_out(world).await?);
        // What follows a launch is over then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        written.push(bare(&maps, number).await?);
        let (unpack, start) = alone(&folder.path().join(number.to_string()), &snapshots, &world.http).await?;
        unpacked.push(unpack);
        started.push(start);
    }
    let after = world.quiet().await?;
    let (count, mut answered) = (done.len(), done.iter().map(|launch| launch.answered).collect::<Vec<_>>());
    let (answer, bare) = (p50(&mut answered), p50(&mut written));
    table.at_most(&format!("launch-warm answer p50 ÷ bare PATCH p50 ({count} launches)"), 2.0, answer / bare, "");
    table.figure("the same in ms", format!("{answer:.2} ÷ {bare:.2}"));
    let mut ready: Vec<Duration> = done.iter().map(|launch| launch.ready).collect();
    let (ready, unpack, start) = (p50(&mut ready), p50(&mut unpacked), p50(&mut started));
    table.at_most("Snake, launch to AppReady p50 ÷ (unpack p50 + own start p50)", 1.5, ready / (unpack + start), "");
    table.figure("the same in ms", format!("{ready:.0} ÷ ({unpack:.0} + {start:.0})"));
    table.figure("steps of the launch in ms: sandbox, files, start, answer", steps(&done));
    let each = |writes: u64| writes as f64 / count as f64;
    let (ours, all) = (each(after.since(&before, &OBJECTS)), each(after.all_since(&before) - count as u64));
    table.figure("API writes per launch: Sandboxes, Secrets, Events; all", format!("{ours:.1}; {all:.1}"));
    Ok(())
}

/// Launches, and listens until the app answers.
async fn carried_out(world: &World) -> Result<Launch> {
    let started = Instant::now();
    let (launched, answered) = ask(world).await?;
    let address = |name: &str| -> Result<String> {
        Ok(format!("{}{}", world.gateway()?, launched[name].as_str().ok_or("an answer without an address")?))
    };
    let stream = format!("{}?until=ready", address("stream_url")?);
    let told = world.http.get(stream).send().await?.error_for_status()?.text().await?;
    let ready = started.elapsed();
    let mut status: Value = world.http.get(address("status_url")?).send().await?.json().await?;
    // A launch by another way is not what is measured.
    if (&status["status"], &status["start"]) != (&json!("running"), &json!("Warm")) {
        return Err(format!("not a warm launch from a snapshot: {status}\n{told}").into());
    }
    Ok(Launch { answered, ready, took: status["timings"].take() })
}

fn steps(done: &[Launch]) -> String {
    let middle = |step: &str| {
        let mut times: Vec<i64> = done.iter().filter_map(|launch| launch.took[step].as_i64()).collect();
        times.sort_unstable();
        times.get(times.len() / 2).map_or("–".to_owned(), i64::to_string)
    };
    STEPS.map(middle).join(", ")
}
