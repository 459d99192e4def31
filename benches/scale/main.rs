//! How Sandbar grows, as figures from one run: `make scale`.
//!
//! A real control plane, and a simulated cloud with virtual apps and the real
//! rate limits at the real speed. To get to 10,000 members in minutes they are
//! not grown but laid down: the operator grows one, and every other is written
//! like it, with an app that has the right name and the right marks. That they
//! are right is measured too: the operator must find everything level and
//! write nothing. Then it is restarted, at several sizes. What is not met is
//! said so.

#[path = "../common/mod.rs"]
mod common;
mod growth;
mod plot;
mod restart;
mod seed;
mod storm;
mod world;

use common::Result;
use common::table::Table;
use std::time::Instant;
use world::World;

fn main() -> Result<()> {
    // Two TLS users share one process: the provider is chosen here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let began = Instant::now();
    let folder = tempfile::Builder::new().prefix("sandbar-scale-").tempdir()?;
    let mut world = World::start(folder.path()).await?;
    let mut table = Table::default();
    let measured = measure(&mut world, &mut table).await;
    if measured.is_err() {
        eprintln!("the operator's last words:\n{}", world.operator_log());
    }
    world.stop().await;
    table.print("make scale", began.elapsed());
    measured
}

async fn measure(world: &mut World, table: &mut Table) -> Result<()> {
    let grown = growth::grow(world, table).await?;
    storm::storm(world, table).await?;
    growth::print(&grown);
    plot::draw(&grown)
}
