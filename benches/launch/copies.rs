//! Files through an agent against a plain HTTP copy of the same bytes to the same disk.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use reqwest::Body;

use crate::common::Result;
use crate::common::meter::p50;
use crate::common::table::Table;
use crate::program::Agent;
use crate::{plain, size};

const MIB: usize = 1024 * 1024;
/// What a sender reads at once.
const PIECE: usize = 64 * 1024;
/// Copies each way of each kind.
const ROUNDS: usize = 7;
/// The file in the sandbox.
const FILE: &str = "/workspace/file";

/// Uploads and downloads, by turns with the plain ones.
pub async fn copies(folder: &Path, table: &mut Table) -> Result<()> {
    let agent = Agent::start(&folder.join("copies")).await?;
    let (here, there) = (agent.workspace().join("plain"), agent.workspace().join("file"));
    let (http, plain) = (reqwest::Client::new(), plain::start(&here).await?);
    let client = agent.client(&http)?;
    let mib = (256 * size() / 100).max(1);
    let bytes: Bytes = (0..mib * MIB).map(|at| (at % 251) as u8).collect::<Vec<u8>>().into();
    let [mut up, mut plain_up, mut down, mut plain_down] = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let started = Instant::now();
        client.upload(FILE, None, body(&bytes)).await?;
        up.push(started.elapsed());
        let started = Instant::now();
        http.put(&plain.url).body(body(&bytes)).send().await?.error_for_status()?;
        plain_up.push(started.elapsed());
        for path in [&there, &here] {
            let written = std::fs::metadata(path)?.len();
            (written == bytes.len() as u64).then_some(()).ok_or(format!("{written} bytes were written"))?;
        }
        let started = Instant::now();
        read(client.download(FILE).await?, bytes.len()).await?;
        down.push(started.elapsed());
        let started = Instant::now();
        read(http.get(&plain.url).send().await?.error_for_status()?.bytes_stream(), bytes.len()).await?;
        plain_down.push(started.elapsed());
        // What lies there would have to be removed in the next copy's time.
        std::fs::remove_file(&there)?;
        std::fs::remove_file(&here)?;
    }
    tell(table, &format!("upload of {mib} MiB"), mib, &mut up, &mut plain_up);
    tell(table, &format!("download of {mib} MiB"), mib, &mut down, &mut plain_down);
    Ok(())
}

fn tell(table: &mut Table, what: &str, mib: usize, times: &mut [Duration], plain: &mut [Duration]) {
    let speed = |ms: f64| mib as f64 * 1000.0 / ms;
    let (own, plain) = (speed(p50(times)), speed(p50(plain)));
    table.at_least(&format!("{what}: speed ÷ that of a plain HTTP copy, p50 of {ROUNDS}"), 0.7, own / plain, "");
    table.figure("the same in MiB/s", format!("{own:.0} ÷ {plain:.0}"));
}

/// The bytes as a program sends a file that it reads.
fn body(bytes: &Bytes) -> Body {
    let bytes = bytes.clone();
    let pieces = (0..bytes.len()).step_by(PIECE).map(move |at| bytes.slice(at..bytes.len().min(at + PIECE)));
    Body::wrap_stream(stream::iter(pieces.map(Ok::<_, io::Error>)))
}

async fn read<E>(mut pieces: impl Stream<Item = std::result::Result<Bytes, E>> + Unpin, length: usize) -> Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut came = 0;
    while let Some(piece) = pieces.try_next().await? {
        came += piece.len();
    }
    if came == length { Ok(()) } else { Err(format!("{came} bytes came").into()) }
}
