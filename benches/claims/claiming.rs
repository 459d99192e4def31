//! Claims against bare writes, alone and by ten at once.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use sandbar::api::Sandbox;
use sandbar::claims::{ClaimWish, Claims, RequestWish, fresh_id};
use serde_json::json;

use crate::common::Result;
use crate::common::meter::{OBJECTS, Writes, p50};
use crate::common::table::Table;
use crate::scale::{name, size};
use crate::world::Bench;

/// Claimers at once.
const CROWD: usize = 10;
/// Pools whose members one measure claims: a thousand.
const PART: usize = 10;
/// Requests that are measured.
const REQUESTS: usize = 10;

fn wish() -> ClaimWish {
    ClaimWish { holder: "bench".to_owned(), ttl: None, id: None }
}

/// One merge patch of a ConfigMap of 1 KB.
async fn bare(maps: &Api<ConfigMap>, map: &str, number: usize) -> Result<Duration> {
    let patch = json!({"data": {"value": format!("{number:01000}")}});
    let started = Instant::now();
    maps.patch(map, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(started.elapsed())
}

/// Claims a member that is known: no read.
async fn known(claims: &Claims, member: &Sandbox) -> Result<Duration> {
    let started = Instant::now();
    claims.claim_from(&member.spec.pool_ref.name, &[member], &wish()).await?;
    Ok(started.elapsed())
}

/// One claimer; a bare write after each claim.
pub async fn one(bench: &Bench, table: &mut Table) -> Result<()> {
    bench.config_map("alone").await?;
    let (claims, maps) = (bench.claims(), bench.claimer_api::<ConfigMap>());
    let (mut claimed, mut written) = (Vec::new(), Vec::new());
    let before = bench.quiet().await?;
    let (mut sent, mut count) = (0, 0);
    for pool in 0..PART {
        for member in bench.members(&name(pool)).await? {
            let already = bench.sent();
            claimed.push(known(&claims, &member).await?);
            sent += bench.sent() - already;
            written.push(bare(&maps, "alone", count).await?);
            count += 1;
        }
    }
    let after = bench.quiet().await?;
    let each = |writes: u64| writes as f64 / count as f64;
    table.at_most(&format!("writes before the claimer has it ({count} claims)"), 1.0, each(sent), "");
    table.at_most("writes per claim in all, Events counted", 3.0, each(after.since(&before, &OBJECTS)), "");
    let (claim, bare) = (p50(&mut claimed), p50(&mut written));
    table.at_most("claim p50 ÷ bare PATCH p50, one claimer", 1.5, claim / bare, "");
    table.figure("the same in ms", format!("{claim:.2} ÷ {bare:.2}"));
    Ok(())
}

/// Ten claimers and ten bare writers, turn by turn.
pub async fn ten(bench: &Bench, table: &mut Table) -> Result<()> {
    for worker in 0..CROWD {
        bench.config_map(&format!("crowd-{worker}")).await?;
    }
    let claims = bench.claims();
    let (mut claimed, mut written) = (Vec::new(), Vec::new());
    let (mut claiming, mut writing) = (Duration::ZERO, Duration::ZERO);
    for pool in PART..2 * PART {
        let members = bench.members(&name(pool)).await?;
        let started = Instant::now();
        let crowd = members.chunks(members.len().div_ceil(CROWD)).map(|members| {
            let claims = claims.clone();
            async move {
                let mut times = Vec::new();
                for member in members {
                    times.push(known(&claims, member).await?);
                }
                Result::Ok(times)
            }
        });
        claimed.extend(futures::future::try_join_all(crowd).await?.concat());
        claiming += started.elapsed();
        let started = Instant::now();
        written.extend(bare_crowd(bench, members.len() / CROWD).await?);
        writing += started.elapsed();
    }
    let rate = |count: usize, time: Duration| count as f64 / time.as_secs_f64();
    let (per_second, bare_per_second) = (rate(claimed.len(), claiming), rate(written.len(), writing));
    let samples = claimed.len();
    let (claim, bare) = (p50(&mut claimed), p50(&mut written));
    table.at_most(&format!("claim p50 ÷ bare PATCH p50, ten at once ({samples} claims)"), 1.5, claim / bare, "");
    table.figure("the same in ms", format!("{claim:.2} ÷ {bare:.2}"));
    table.at_least("claims/s ÷ bare writes/s, ten at once", 0.7, per_second / bare_per_second, "");
    table.figure("the same per second", format!("{per_second:.0} ÷ {bare_per_second:.0}"));
    Ok(())
}

async fn bare_crowd(bench: &Bench, each: usize) -> Result<Vec<Duration>> {
    let crowd = (0..CROWD).map(|worker| {
        let maps = bench.claimer_api::<ConfigMap>();
        async move {
            let mut times = Vec::new();
            for number in 0..each {
                times.push(bare(&maps, &format!("crowd-{worker}"), number).await?);
            }
            Result::Ok(times)
        }
    });
    Ok(futures::future::try_join_all(crowd).await?.concat())
}

/// Claims as the command line makes them: a list of the pool's hundred members first.
pub async fn listed(bench: &Bench, table: &mut Table) -> Result<()> {
    let (claims, pool) = (bench.claims(), name(2 * PART));
    let mut times = Vec::new();
    for _ in 0..size() {
        let started = Instant::now();
        claims.claim_warm(&pool, &wish()).await?;
        times.push(started.elapsed());
    }
    let what = format!("claim p50 with a list of {} members first, one claimer", size());
    table.figure(&what, format!("{:.2} ms", p50(&mut times)));
    let (pool, sent) = (name(2 * PART + 1), bench.sent());
    let crowd = (0..CROWD).map(|_| async {
        let mut times = Vec::new();
        for _ in 0..size() / CROWD {
            let started = Instant::now();
            claims.claim_warm(&pool, &wish()).await?;
            times.push(started.elapsed());
        }
        Result::Ok(times)
    });
    let mut times = futures::future::try_join_all(crowd).await?.concat();
    let writes = (bench.sent() - sent) as f64 / times.len() as f64;
    let figure = format!("{:.2} ms, {writes:.2} writes each", p50(&mut times));
    table.figure("the same, ten for the same members until none is left", figure);
    Ok(())
}

/// The same claims while no operator runs: what of a claim's time is the API server's own.
pub async fn server(bench: &Bench, table: &mut Table) -> Result<()> {
    let (claims, maps) = (bench.claims(), bench.claimer_api::<ConfigMap>());
    let (mut claimed, mut written) = (Vec::new(), Vec::new());
    for (count, member) in bench.members(&name(2 * PART + 3)).await?.iter().enumerate() {
        claimed.push(known(&claims, member).await?);
        written.push(bare(&maps, "alone", count).await?);
    }
    let (claim, bare) = (p50(&mut claimed), p50(&mut written));
    let figure = format!("{:.2} = {claim:.2} ms ÷ {bare:.2} ms", claim / bare);
    table.figure(&format!("claim p50 ÷ bare PATCH p50 without operator ({} claims)", claimed.len()), figure);
    Ok(())
}

/// Requests, one after the other.
pub async fn requests(bench: &Bench, table: &mut Table) -> Result<()> {
    let (claims, pool) = (bench.claims(), name(2 * PART + 2));
    let mut writes = 0;
    for _ in 0..REQUESTS {
        let before = bench.quiet().await?;
        let (pool, holder) = (pool.clone(), "bench".to_owned());
        let wish = RequestWish { id: fresh_id(), pool, holder, ttl: None, snapshot: None, app: None, keep_ended: None };
        let request = claims.request(&wish).await?;
        claims.wait_ready(&request, Duration::from_secs(60), |_| {}).await?;
        writes += Writes::read(&bench.client).await?.since(&before, &OBJECTS);
    }
    let each = writes as f64 / REQUESTS as f64;
    table.at_most(&format!("API writes per request until it is ready ({REQUESTS} requests)"), 4.0, each, "");
    Ok(())
}
