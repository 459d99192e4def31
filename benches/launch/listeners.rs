//! Ten thousand listeners on a hundred runs.
//!
//! Nobody reconciles here: the runs are requests whose timeline the bench writes itself. When an event is in the
//! gateway is not seen from outside; it counts from the first moment at which anybody has it: a watch of the API
//! server's like the gateway's own, or the first of the run's listeners. From the write on is told as well, which is
//! the whole way.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use nix::sys::resource::{Resource, getrlimit};
use sandbar::api::Sandbox;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::common::Result;
use crate::common::meter::{cpu, peak, resident};
use crate::common::table::Table;
use crate::size;
use crate::world::World;

const RUNS: usize = 100;
/// Events of each run while one comes after the other.
const EVENTS: usize = 3;
/// File descriptors that are for something else.
const KEPT: usize = 300;
/// Between two of them.
const PACE: Duration = Duration::from_millis(50);
/// Numbers of the entry that each run begins with, and of the one that all get at once.
const FIRST: usize = 1;
const LAST: usize = FIRST + EVENTS + 1;
/// Connections that are made at once, and writes that are sent at once.
const AT_ONCE: usize = 100;
/// A listener that has not heard everything by then never does.
const WITHIN: Duration = Duration::from_secs(120);

/// A run and the number of its event.
type Event = (usize, usize);
type Times = HashMap<Event, Instant>;

/// Who hears what, when.
pub async fn listen(world: &World, table: &mut Table) -> Result<()> {
    let (api, each) = (world.api::<Sandbox>(), each()?);
    let runs: Vec<usize> = (0..RUNS).collect();
    stream::iter(&runs).map(|run| seed(&api, *run)).buffer_unordered(8).try_collect::<()>().await?;
    let address = world.gateway()?.trim_start_matches("http://").parse()?;
    let seen = Arc::new(Mutex::new(Times::new()));
    let watching = tokio::spawn(watch(api.clone(), Arc::clone(&seen)));
    // The program's own pages are no listener's.
    connect(address, 1, FIRST).await?.all_heard().await?;
    let before = resident(world.gateway_pid()?)?;
    let crowd = connect(address, each, LAST).await?;
    crowd.all_greeted(each * RUNS).await?;
    let idle = resident(world.gateway_pid()?)?;
    let used = cpu(world.gateway_pid()?)?;
    let (mut sent, pace) = paced(&api).await?;
    stream::iter(&runs)
        .map(|run| tell(&api, *run, LAST))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|(event, at)| {
            std::future::ready({
                sent.insert(event, at);
                Ok(())
            })
        })
        .await?;
    let heard = crowd.all_heard().await?;
    let used = (cpu(world.gateway_pid()?)? - used).as_secs_f64() * 1e6 / (RUNS * each * (EVENTS + 1)) as f64;
    let after = resident(world.gateway_pid()?)?;
    watching.abort();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let delays = Delays::of(&heard, &seen, &sent);
    let who = format!("{} listeners on {RUNS} runs", each * RUNS);
    table.at_most(&format!("{who}, {pace:.0} events/s: p99 delivery"), 50.0, delays.paced.at(99), " ms");
    table.figure("the same, half of them and the last", delays.paced.told());
    table.figure("the same from the write's begin on", delays.from_write.told());
    table.figure("the same, an event in every run at once", delays.at_once.told());
    table.figure("gateway CPU per delivery", format!("{used:.0} µs"));
    let kb = |mib: f64| (mib - before) * 1048.576 / (each * RUNS) as f64;
    table.at_most("gateway memory per listener, when all has been told", 30.0, kb(after), " KB");
    let most = peak(world.gateway_pid()?)?;
    let figure = format!("{:.1} KB; {before:.0}, {idle:.0}, {most:.0} MiB", kb(idle));
    table.figure("the same before it is; the gateway before, then, at most", figure);
    drop(heard);
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}

/// Listeners of each run: a hundred, or as many as there are file descriptors for. A gateway keeps two for each.
fn each() -> Result<usize> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(size().min(usize::try_from(most)?.saturating_sub(KEPT) / 2 / RUNS))
}

fn name(run: usize) -> String {
    format!("listened-{run}")
}

/// The timeline up to an entry, as a status.
fn timeline(until: usize) -> Value {
    let entry = |number| {
        let message = format!("Pool acquisition: {number}82ms (pool hit)");
        json!({"number": number, "time": "2026-01-01T00:00:00.000000Z", "message": message})
    };
    json!({"status": {"phase": "Launching", "timeline": (FIRST..=until).map(entry).collect::<Vec<_>>()}})
}

/// A request as the gateway makes it for somebody without a token.
async fn seed(api: &Api<Sandbox>, run: usize) -> Result<()> {
    let request = json!({
        "apiVersion": "sandbar.dev/v1alpha1", "kind": "Sandbox", "metadata": {"name": name(run)},
        "spec": {"poolRef": {"name": "nobody"},
            "claim": {"id": name(run), "holder": "sandbar:anonymous", "app": {"name": "snake"}, "keepEnded": "1h"}},
    });
    api.create(&PostParams::default(), &serde_json::from_value(request)?).await?;
    tell(api, run, FIRST).await.map(drop)
}

/// Writes an event; gives when that began.
async fn tell(api: &Api<Sandbox>, run: usize, number: usize) -> Result<(Event, Instant)> {
    let began = Instant::now();
    api.patch_status(&name(run), &PatchParams::default(), &Patch::Merge(timeline(number))).await?;
    Ok(((run, number), began))
}

/// One event after the other, each in another run; gives when, and how many there were in a second.
async fn paced(api: &Api<Sandbox>) -> Result<(Times, f64)> {
    let (mut sent, mut pace, began) = (Times::new(), interval(PACE), Instant::now());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in FIRST + 1..LAST {
        for run in 0..RUNS {
            pace.tick().await;
            let (event, at) = tell(api, run, number).await?;
            sent.insert(event, at);
        }
    }
    let rate = sent.len() as f64 / began.elapsed().as_secs_f64();
    // The last of them is everywhere before all come at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok((sent, rate))
}

/// Notes when every event is seen.
async fn watch(api: Api<Sandbox>, seen: Arc<Mutex<Times>>) {
    let mut objects = Box::pin(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    while let Some(object) = objects.next().await {
        let at = Instant::now();
        let Ok(Sandbox { metadata, status: Some(status), .. }) = object else { continue };
        let run = metadata.name.as_deref().and_then(|name| name.strip_prefix("listened-")?.parse().ok());
        let (Some(run), Some(last)) = (run, status.timeline.last()) else { continue };
        let number = usize::try_from(last.number).unwrap_or_default();
        seen.lock().unwrap_or_else(PoisonError::into_inner).entry((run, number)).or_insert(at);
    }
}

/// What one listener heard; its connection stays open.
struct Heard {
    run: usize,
    events: Vec<(usize, Instant)>,
    _connection: BufReader<TcpStream>,
}

/// All listeners.
struct Crowd {
    listeners: JoinSet<Result<Heard>>,
    greeted: Arc<AtomicUsize>,
}

/// Connects so many listeners to each run, who listen until they have heard this number.
async fn connect(address: SocketAddr, each: usize, until: usize) -> Result<Crowd> {
    let (mut listeners, greeted) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let connections = stream::iter((0..each).flat_map(|_| 0..RUNS))
        .map(async |run| Result::Ok((run, TcpStream::connect(address).await?)))
        .buffer_unordered(AT_ONCE);
    let mut connections = Box::pin(connections);
    while let Some((run, connection)) = connections.try_next().await? {
        listeners.spawn(hear(connection, run, until, Arc::clone(&greeted)));
    }
    drop(connections);
    Ok(Crowd { listeners, greeted })
}

impl Crowd {
    async fn all_greeted(&self, count: usize) -> Result<()> {
        let all = async {
            while self.greeted.load(Ordering::Relaxed) < count {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // What accepting them left to do is done.
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        Ok(timeout(WITHIN, all).await.map_err(|_| "not every listener got its first event")?)
    }

    async fn all_heard(mut self) -> Result<Vec<Heard>> {
        let all = async {
            let mut heard = Vec::new();
            while let Some(listener) = self.listeners.join_next().await {
                heard.push(listener??);
            }
            Result::Ok(heard)
        };
        timeout(WITHIN, all).await.map_err(|_| "not every listener got every event")?
    }
}

/// Listens to a run, with no more than it takes: what is spent here is missing there.
async fn hear(mut connection: TcpStream, run: usize, until: usize, greeted: Arc<AtomicUsize>) -> Result<Heard> {
    let ask = format!("GET /api/stream/{} HTTP/1.1\r\nHost: bench\r\n\r\n", name(run));
    connection.write_all(ask.as_bytes()).await?;
    let (mut connection, mut line, mut events) = (BufReader::with_capacity(512, connection), Vec::new(), Vec::new());
    loop {
        line.clear();
        if connection.read_until(b'\n', &mut line).await? == 0 {
            return Err(format!("the stream of {} ended", name(run)).into());
        }
        if line.starts_with(b"HTTP/1.1") && !line.starts_with(b"HTTP/1.1 200") {
            return Err(format!("{}: {}", name(run), String::from_utf8_lossy(&line)).into());
        }
        let Some(number) = line.strip_prefix(b"id: ") else { continue };
        let at = Instant::now();
        let number = std::str::from_utf8(number)?.trim().parse()?;
        events.push((number, at));
        if number == FIRST {
            greeted.fetch_add(1, Ordering::Relaxed);
        }
        if number == until {
            return Ok(Heard { run, events, _connection: connection });
        }
    }
}

/// Delays in ms, the shortest first.
#[derive(Default)]
struct Sorted(Vec<f64>);

impl Sorted {
    fn at(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((self.0.len() * percent / 100).min(last)).copied().unwrap_or(f64::NAN)
    }

    fn told(&self) -> String {
        format!("p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms", self.at(50), self.at(99), self.at(100))
    }
}

#[derive(Default)]
struct Delays {
    paced: Sorted,
    from_write: Sorted,
    at_once: Sorted,
}

impl Delays {
    fn of(heard: &[Heard], seen: &Times, sent: &Times) -> Self {
        let mut first = seen.clone();
        for listener in heard {
            for (number, at) in &listener.events {
                let known = first.entry((listener.run, *number)).or_insert(*at);
                *known = (*known).min(*at);
            }
        }
        let mut delays = Self::default();
        let ms = |from: Option<&Instant>, at: &Instant| {
            from.map_or(f64::NAN, |from| at.saturating_duration_since(*from).as_secs_f64() * 1000.0)
        };
        for listener in heard {
            for (number, at) in listener.events.iter().filter(|(number, _)| *number != FIRST) {
                let event = (listener.run, *number);
                let of = if *number == LAST { &mut delays.at_once } else { &mut delays.paced };
                of.0.push(ms(first.get(&event), at));
                if *number != LAST {
                    delays.from_write.0.push(ms(sent.get(&event), at));
                }
            }
        }
        for sorted in [&mut delays.paced, &mut delays.from_write, &mut delays.at_once] {
            sorted.0.sort_unstable_by(f64::total_cmp);
        }
        delays
    }
}
