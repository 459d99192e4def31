//! `sandbar claim`.

use super::cluster::ClusterArgs;
use super::names;
use super::output::{Format, OutputArgs, from_now, print};
use super::waiting::Waiting;
use crate::agent::client::{AgentError, probe};
use crate::api::{AppRef, Sandbox, SnapshotRef, Span};
use crate::claims::{ClaimError, ClaimWish, Claims, RequestWish, WaitError, fresh_id};
use crate::failure::Failure;
use clap_complete::engine::ArgValueCandidates;
use jiff::Timestamp;
use kube::ResourceExt;
use std::process::ExitCode;
use std::time::Instant;

/// Take a sandbox of a pool: a warm one in one write, else the next that is ready.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pool
    #[arg(add = ArgValueCandidates::new(names::pools))]
    pool: String,
    /// How long the run lives, such as 30m; else the pool's claims.defaultTTL
    #[arg(long, value_name = "SPAN")]
    ttl: Option<Span>,
    /// Who holds it, for people
    #[arg(long, env = "USER", value_name = "NAME", default_value = "unknown")]
    holder: String,
    /// Id of the run: makes it a request that may be repeated safely
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Begin with the files of this snapshot: makes it a request
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::snapshots))]
    snapshot: Option<String>,
    /// Launch this app of the pool, and wait until it answers: makes it a request
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(names::apps))]
    app: Option<String>,
    /// How long to wait when none is warm
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    wait: Span,
    /// Do not wait: fail if none is warm; with --id, --snapshot or --app leave the request in the queue
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    /// Do not ask the sandbox whether it answers: for machines that cannot reach it
    #[arg(long)]
    no_probe: bool,
    /// Tell how it went
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Sandboxes that are tried after a first one that does not answer.
const REPLACEMENTS: u32 = 2;

/// What was got, and what it took.
struct Got {
    id: String,
    sandbox: Sandbox,
    writes: u32,
    ready: bool,
}

/// Claims and prints.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let started = Instant::now();
    let claims = args.cluster.connect().await?.claims();
    // Only an object can say that it is not ready before its files are there, or its app.
    let got = match args.id.clone().or_else(|| (args.snapshot.is_some() || args.app.is_some()).then(fresh_id)) {
        Some(id) => {
            claims.pool_exists(&args.pool).await?;
            by_request(&args, &claims, id, 0).await?
        }
        None => direct(&args, &claims).await?,
    };
    report(&args, &got, started)?;
    Ok(ExitCode::SUCCESS)
}

/// Takes a warm one. One that does not answer is given back, and another one is taken under a new id.
async fn direct(args: &Args, claims: &Claims) -> Result<Got, Failure> {
    let mut writes = 0;
    for _ in 0..=REPLACEMENTS {
        let id = fresh_id();
        let wish = ClaimWish { holder: args.holder.clone(), ttl: args.ttl, id: Some(id.clone()) };
        let taken = tokio::select! {
            taken = claims.claim_warm(&args.pool, &wish) => taken,
            _ = tokio::signal::ctrl_c() => return Err(interrupted(&id)),
        };
        let claimed = match taken {
            // A waiter is always an object: it keeps its place, and can be seen and ended by others.
            Err(ClaimError::NoneWarm { .. }) if !args.no_wait => return by_request(args, claims, id, writes).await,
            claimed => claimed?,
        };
        writes += claimed.writes;
        let Err(why) = answers(args, &claimed.sandbox).await else {
            return Ok(Got { id, sandbox: claimed.sandbox, writes, ready: true });
        };
        eprintln!("sandbox {} does not answer ({why}); giving it back", claimed.sandbox.name_any());
        claims.release(&id).await?;
        writes += 1;
    }
    Err(Failure::new(format!("{} sandboxes of pool {} in a row do not answer", REPLACEMENTS + 1, args.pool))
        .advice("see whether this machine can reach their URLs; --no-probe claims without asking"))
}

/// A write may be on its way: only the id finds what becomes of it.
fn interrupted(id: &str) -> Failure {
    Failure::new(format!("interrupted; a sandbox may be held as run {id}"))
        .advice(format!("sandbar release {id} makes sure that nothing is held"))
        .code(130)
}

/// Asks the agent, once more after a silence: the first connection to an address may be slow.
async fn answers(args: &Args, sandbox: &Sandbox) -> Result<(), AgentError> {
    let url = sandbox.status.as_ref().and_then(|status| status.url.as_deref());
    let (Some(url), false) = (url, args.no_probe) else { return Ok(()) };
    let http = reqwest::Client::new();
    match probe(&http, url).await {
        Ok(()) => Ok(()),
        Err(_) => probe(&http, url).await,
    }
}

async fn by_request(args: &Args, claims: &Claims, id: String, writes: u32) -> Result<Got, Failure> {
    let (pool, holder) = (args.pool.clone(), args.holder.clone());
    let snapshot = args.snapshot.clone().map(|name| SnapshotRef { name });
    let app = args.app.clone().map(|name| AppRef { name, source: None });
    let wish = RequestWish { id: id.clone(), pool, holder, ttl: args.ttl, snapshot, app, keep_ended: None };
    let request = claims.request(&wish).await?;
    let writes = writes + 1;
    if args.no_wait {
        return Ok(Got { id, sandbox: request, writes, ready: false });
    }
    let waiting = Waiting::new();
    let end = tokio::select! {
        end = claims.wait_ready(&request, args.wait.duration(), |progress| waiting.tell(progress)) => Some(end),
        _ = tokio::signal::ctrl_c() => None,
    };
    waiting.end();
    match end {
        Some(Ok(sandbox)) => Ok(Got { id, sandbox, writes, ready: true }),
        Some(Err(error)) => Err(given_up(args, claims, &id, error).await),
        None => Err(Failure::new(format!("interrupted; request {id} stays in the queue"))
            .advice(format!("sandbar release {id} ends it; {} waits on", again(args, &id)))
            .code(130)),
    }
}

/// The command that waits for the same run again.
fn again(args: &Args, id: &str) -> String {
    let snapshot = args.snapshot.as_ref().map(|name| format!(" --snapshot {name}")).unwrap_or_default();
    let app = args.app.as_ref().map(|name| format!(" --app {name}")).unwrap_or_default();
    format!("sandbar claim {} --id {id}{snapshot}{app}", args.pool)
}

/// A wait that failed. A request that the person did not name is taken back: nobody would look for it.
async fn given_up(args: &Args, claims: &Claims, id: &str, error: WaitError) -> Failure {
    let timed_out = matches!(error, WaitError::TimedOut { .. });
    if args.id.is_some() {
        let waits = match &error {
            WaitError::TimedOut { .. } | WaitError::NoFiles { .. } => again(args, id),
            _ => return error.into(),
        };
        let stays = format!("the request stays: {waits} waits on; sandbar release {id} ends it");
        return Failure::from(error).advice(stays);
    }
    match claims.release(id).await {
        Ok(_) if timed_out && args.snapshot.is_some() => {
            let what = format!("no sandbox of pool {} with its files after {}", args.pool, args.wait);
            Failure::new(format!("{what}; the request was taken back"))
                .advice("wait longer with --wait, or give the run a name with --id and it stays")
        }
        Ok(_) if timed_out => {
            Failure::new(format!("no sandbox of pool {} after {}; the request was taken back", args.pool, args.wait))
                .advice("wait longer with --wait, or raise the pool's warm.target or limits.maxSandboxes")
        }
        Ok(_) => Failure::new(error.to_string()),
        Err(_) => Failure::new(error.to_string()).advice(format!("sandbar release {id} ends the request that is left")),
    }
}

fn report(args: &Args, got: &Got, started: Instant) -> Result<(), Failure> {
    let millis = started.elapsed().as_millis();
    match args.output.output {
        Format::Json => print(&got.sandbox, false)?,
        Format::Yaml => print(&got.sandbox, true)?,
        Format::Name => println!("{}", got.id),
        Format::Table => lines(got, millis),
    }
    if args.verbose {
        eprintln!("{} write{} by this command, {millis} ms", got.writes, if got.writes == 1 { "" } else { "s" });
    }
    Ok(())
}

fn lines(got: &Got, millis: u128) {
    let status = got.sandbox.status.clone().unwrap_or_default();
    let ttl = got.sandbox.spec.claim.as_ref().and_then(|claim| claim.ttl);
    println!("run      {}", got.id);
    if !got.ready {
        println!("request  {} (in the queue)", got.sandbox.name_any());
        return;
    }
    println!("sandbox  {}", got.sandbox.name_any());
    println!("url      {}", status.url.as_deref().unwrap_or("-"));
    match (&status.expires_at, ttl) {
        (Some(end), _) => println!("expires  {} ({})", from_now(Some(end), Timestamp::now()), end.0),
        (None, Some(ttl)) => println!("expires  in {ttl}"),
        (None, None) => {}
    }
    println!("took     {millis} ms");
}
