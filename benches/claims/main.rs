//! What Sandbar costs, as ratios from one run: `make bench`.
//!
//! A real control plane, a simulated cloud with virtual apps that works 20
//! times faster than the real one, and the operator with the timings it ships
//! with. Writes are counted by the API server itself. Bare writes, the
//! yardstick, are merge patches of a ConfigMap of 1 KB by the same client at
//! the same time. Nothing here is a test: what is not met is said so.

mod claiming;
#[path = "../common/mod.rs"]
mod common;
mod life;
mod scale;
mod world;

use common::Result;
use common::table::Table;
use world::Bench;

fn main() -> Result<()> {
    // Two TLS users share one process: the provider is chosen here, once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let began = std::time::Instant::now();
    let folder = tempfile::Builder::new().prefix("sandbar-bench-").tempdir()?;
    let mut bench = Bench::start(folder.path()).await?;
    let mut table = Table::default();
    let measured = measure(&mut bench, &mut table).await;
    if measured.is_err() {
        eprintln!("the operator's last words:\n{}", bench.operator_log());
    }
    bench.stop().await;
    table.print("make bench", began.elapsed());
    measured
}

async fn measure(bench: &mut Bench, table: &mut Table) -> Result<()> {
    life::refill(bench, table).await?;
    scale::levels(bench, table).await?;
    claiming::one(bench, table).await?;
    claiming::ten(bench, table).await?;
    claiming::listed(bench, table).await?;
    claiming::requests(bench, table).await?;
    bench.stop_operator().await;
    claiming::server(bench, table).await
}
