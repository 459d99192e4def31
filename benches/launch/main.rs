//! What a launch costs, as ratios from one run: `make launch`.
//!
//! First the agent alone: commands and files, against the same without it.
//! Then a real control plane and a real gateway without operator: ten thousand
//! listeners, and launches that nobody carries out. Then the operator with the
//! timings it ships with, sandboxes that are processes of this machine, and
//! Snake out of a snapshot in a local store. Each measure and its yardstick
//! take turns. Nothing here is a test: what is not met is said so.

mod alone;
#[path = "../common/mod.rs"]
mod common;
mod copies;
mod exec;
mod launches;
mod listeners;
mod plain;
mod program;
mod world;

use common::Result;
use common::table::Table;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use world::World;

fn main() -> Result<()> {
    // Two TLS users share one process: the provider is chosen here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A listener is a file descriptor here and one in the gateway, which inherits this.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match plain::wanted() {
        Some(folder) => runtime.block_on(plain::serve(folder)),
        None => runtime.block_on(run()),
    }
}

/// How much is measured, in percent, or `SANDBAR_BENCH_SIZE` for a quick look, the bars then being those of another
/// size.
fn size() -> usize {
    std::env::var("SANDBAR_BENCH_SIZE").ok().and_then(|size| size.parse().ok()).filter(|size| *size > 0).unwrap_or(100)
}

async fn run() -> Result<()> {
    let began = std::time::Instant::now();
    let folder = tempfile::Builder::new().prefix("sandbar-launch-").tempdir()?;
    let mut table = Table::default();
    exec::exec(folder.path(), &mut table).await?;
    copies::copies(folder.path(), &mut table).await?;
    let mut world = World::start(&folder.path().join("world")).await?;
    let measured = measure(&mut world, &mut table).await;
    if measured.is_err() {
        eprintln!("{}", world.last_words());
    }
    world.stop().await;
    table.print("make launch", began.elapsed());
    measured
}

async fn measure(world: &mut World, table: &mut Table) -> Result<()> {
    // First: the gateway's memory is what starting took, and nothing that was freed.
    listeners::listen(world, table).await?;
    launches::make_pool(world).await?;
    launches::unanswered(world, table).await?;
    world.start_operator().await?;
    launches::launch(world, table).await
}
