//! `sandbar gateway`.

use super::{CONNECTIONS, Gateway, Limits, Settings};
use crate::controllers::runtime::client::build_client;
use crate::controllers::runtime::clock::ServerClock;
use crate::controllers::runtime::ticks::Ticks;
use crate::failure::{Failure, chain};
use crate::telemetry::logging::{self, LogArgs};
use http::HeaderValue;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::Url;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// File descriptors for other things than connections.
const OTHER_FILES: u64 = 256;
/// How long requests may take to end when it is told to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(12);

/// Serves the HTTP API of one namespace: launch apps, watch them, stop them. Who asks and what they may is the API
/// server's answer. It speaks plain HTTP: put something with TLS in front of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The namespace that it serves; else the context's own
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    /// Let callers without a token launch the listed apps, and see and stop what was launched like that
    #[arg(long)]
    demo: bool,
    /// Runs that may be launched within an hour, in all [default: any number]
    #[arg(long, env = "MAX_RUNS_PER_HOUR", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_runs_per_hour: Option<u32>,
    /// Runs that one caller may launch within an hour; all those without a token are one [default: any number]
    #[arg(long, env = "MAX_RUNS_PER_HOUR_PER_CALLER", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_runs_per_hour_per_caller: Option<u32>,
    /// Origin of pages elsewhere that may use it, such as https://play.example.com; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// Connections at once, streams and tunnels too; further ones are told to come again. Fewer where the system has not
    /// two file descriptors for each
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS, value_parser = connections)]
    max_connections: usize,
    #[command(flatten)]
    log: LogArgs,
}

/// Runs the gateway until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot start, or its listener fails.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    logging::init(&args.log)?;
    let cors = args.cors_origin.iter().map(|origin| checked(origin)).collect::<Result<_, _>>()?;
    let config = kube::Config::infer().await.map_err(|error| {
        Failure::new(format!("no way to an API server: {}", chain(&error))).advice("set KUBECONFIG, or run in a Pod")
    })?;
    let settings = Settings {
        namespace: args.namespace.unwrap_or_else(|| config.default_namespace.clone()),
        demo: args.demo,
        limits: Limits { in_all: args.max_runs_per_hour, per_caller: args.max_runs_per_hour_per_caller },
        cors,
        connections: Some(args.max_connections.min(affordable())),
    };
    let client = build_client(config, "gateway", &ServerClock::new(Ticks::real()))?;
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Failure::new(format!("--listen: cannot listen on {}: {error}", args.listen))
            .advice("another address, such as --listen 127.0.0.1:0")
    })?;
    announce(&listener)?;
    let stop = CancellationToken::new();
    tokio::spawn(crate::controllers::run::stop_on_signal(stop.clone()));
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(STOP_PATIENCE).await;
    };
    tokio::select! {
        served = Gateway::new(client, settings).serve(listener, stop.clone()) => served?,
        () = overdue => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Connections for which there are file descriptors: each may need another one, to an agent. As many are asked for as the
/// system gives.
fn affordable() -> usize {
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return CONNECTIONS };
    // What is there may be enough.
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return CONNECTIONS };
    usize::try_from(limit.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX).max(1)
}

fn connections(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_000_000).contains(count));
    count.ok_or_else(|| "use 1 to 1000000".to_owned())
}

/// One line that a parent process can wait for.
fn announce(listener: &TcpListener) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "gateway listening on http://{}", listener.local_addr()?)?;
    out.flush()
}

/// An origin as browsers send it.
fn checked(origin: &str) -> Result<HeaderValue, Failure> {
    let parsed = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let exact = parsed.is_some_and(|url| url.origin().ascii_serialization() == origin);
    let value = HeaderValue::from_str(origin).ok().filter(|_| exact);
    value.ok_or_else(|| {
        Failure::new(format!("--cors-origin: {origin:?} is no origin"))
            .advice("--cors-origin https://play.example.com, without a path; each origin by itself, never *")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_given_one_by_one_as_browsers_send_them() {
        assert!(checked("https://play.example.com").is_ok() && checked("http://localhost:3000").is_ok());
        for bad in
            ["*", "play.example.com", "https://play.example.com/", "https://a.b/c", "null", "https://A.b", "file:///x"]
        {
            let error = checked(bad).expect_err(bad).to_string();
            assert!(error.contains(&format!("{bad:?}")), "{error}");
        }
    }
}
