//! A storm of claims, by turns with as many bare writes.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use sandbar::api::{Phase, Sandbox};
use sandbar::claims::{ClaimWish, Claims};
use serde_json::json;

use crate::common::Result;
use crate::common::meter::{cpu, p50};
use crate::common::table::Table;
use crate::seed::pool_name;
use crate::world::{NAMESPACE, World};

/// Claimers at once.
const CROWD: usize = 50;
/// Claims in all, as far as there are members.
const CLAIMS: usize = 1_000;
/// Claims before the bare writers have their turn.
const TURN: usize = 250;

/// What a storm showed.
struct Rates {
    claims: usize,
    per_second: f64,
    bare_per_second: f64,
    /// p50 of a claim and of a bare write, in ms.
    p50: (f64, f64),
}

/// Claims a thousand members of all pools, and writes as often; then again while no operator runs, which is the API
/// server's own part.
pub async fn storm(world: &mut World, table: &mut Table) -> Result<()> {
    let maps = world.api::<ConfigMap>();
    for writer in 0..CROWD {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("bare-{writer}")}});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    }
    let before = cpu(world.operator()?)?;
    let rates = by_turns(world, &maps).await?;
    let used = (cpu(world.operator()?)? - before).as_secs_f64() * 1000.0 / rates.claims as f64;
    let Rates { claims, per_second, bare_per_second, p50: (claim, bare) } = rates;
    let what = format!("storm of {claims} claims, {CROWD} at once: claims/s ÷ bare writes/s");
    table.at_least(&what, 0.7, per_second / bare_per_second, "");
    table.figure("the same per second", format!("{per_second:.0} ÷ {bare_per_second:.0}"));
    table.figure("p50 in the storm in ms", format!("{claim:.1} ÷ {bare:.1}"));
    table.figure("operator CPU per claim in the storm", format!("{used:.2} ms"));
    world.quiet().await?;
    world.stop_operator().await;
    let Rates { per_second, bare_per_second, .. } = by_turns(world, &maps).await?;
    let figure = format!("{:.2} = {per_second:.0} ÷ {bare_per_second:.0}", per_second / bare_per_second);
    table.figure("storm: claims/s ÷ bare writes/s while no operator runs", figure);
    Ok(())
}

async fn by_turns(world: &World, maps: &Api<ConfigMap>) -> Result<Rates> {
    let members = spread(world).await?;
    let claims = Claims::new(world.client.clone(), NAMESPACE);
    let (mut claimed, mut written) = (Vec::new(), Vec::new());
    let (mut claiming, mut writing) = (Duration::ZERO, Duration::ZERO);
    for turn in members.chunks(TURN) {
        let started = Instant::now();
        let took = stream::iter(turn).map(|member| claim(&claims, member)).buffer_unordered(CROWD);
        claimed.extend(took.try_collect::<Vec<_>>().await?);
        claiming += started.elapsed();
        let started = Instant::now();
        let took = stream::iter(0..turn.len()).map(|number| bare(maps, number)).buffer_unordered(CROWD);
        written.extend(took.try_collect::<Vec<_>>().await?);
        writing += started.elapsed();
    }
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    Ok(Rates {
        claims: claimed.len(),
        per_second: rate(claimed.len(), claiming),
        bare_per_second: rate(written.len(), writing),
        p50: (p50(&mut claimed), p50(&mut written)),
    })
}

/// Warm members, one of each pool in turn.
async fn spread(world: &World) -> Result<Vec<Sandbox>> {
    let mut pools = Vec::new();
    for pool in 0.. {
        let of = ListParams::default().fields(&format!("spec.poolRef.name={}", pool_name(pool)));
        let list = world.api::<Sandbox>().list(&of).await?.items;
        if list.is_empty() {
            break;
        }
        pools.push(list.into_iter().filter(|member| member.phase() == Phase::Warm && member.spec.claim.is_none()));
    }
    let mut members = Vec::new();
    while members.len() < CLAIMS {
        let before = members.len();
        members.extend(pools.iter_mut().filter_map(Iterator::next));
        if members.len() == before {
            break;
        }
    }
    members.truncate(CLAIMS);
    Ok(members)
}

async fn claim(claims: &Claims, member: &Sandbox) -> Result<Duration> {
    let wish = ClaimWish { holder: "scale".to_owned(), ttl: None, id: None };
    let started = Instant::now();
    claims.claim_from(&member.spec.pool_ref.name, &[member], &wish).await?;
    Ok(started.elapsed())
}

/// One merge patch of a ConfigMap of 1 KB.
async fn bare(maps: &Api<ConfigMap>, number: usize) -> Result<Duration> {
    let patch = json!({"data": {"value": format!("{number:01000}")}});
    let started = Instant::now();
    maps.patch(&format!("bare-{}", number % CROWD), &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(started.elapsed())
}
