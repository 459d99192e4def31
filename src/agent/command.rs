//! `sandbar agent`.

use super::server::{Config, Server, TOKEN_VARIABLE, Token};
use crate::failure::{Failure, chain};
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use std::io::{IsTerminal, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Port when neither `--listen` nor `PORT` says one.
const DEFAULT_PORT: u16 = 8080;

/// The daemon inside a sandbox: commands, processes and files over HTTP.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address and port to serve on; port 0 takes a free one. Default: 0.0.0.0 and $PORT, or 8080
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Port to serve on when there is no --listen
    #[arg(long, env = "PORT", hide = true)]
    port: Option<u16>,

    /// Folder that holds the sandbox's /workspace, /home/sandbox and /tmp (default: the machine's own)
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,

    /// Word shown in /health
    #[arg(long, env = "SANDBOX_MODE", default_value = "service")]
    mode: String,

    /// End, with everything started here, when the process that started the agent ends
    #[arg(long)]
    exit_with_parent: bool,

    /// Read the token from standard input instead of SANDBOX_API_TOKEN
    #[arg(long)]
    token_stdin: bool,

    /// Other sandboxes use the same ports: PORT of a program that is started with one is replaced by a free one, which
    /// stands for it
    #[arg(long, hide = true)]
    shared_ports: bool,

    /// Milliseconds of silence before a heartbeat on streams
    #[arg(long, hide = true, default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(1..))]
    heartbeat_ms: u64,

    /// Milliseconds of an app's silence before the head of its answer until a proxied request is given up
    #[arg(long, hide = true, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..))]
    answer_limit_ms: u64,
}

/// Serves until SIGTERM or SIGINT, or the end of the parent where that was asked for.
///
/// # Errors
/// When the address is taken, the folder cannot be made, or the token cannot be read.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let token = token(&args)?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    if args.exit_with_parent {
        stop_with_parent(&stop)?;
    }
    let address = args
        .listen
        .unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), args.port.unwrap_or(DEFAULT_PORT)));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!("cannot listen on {address}: {}", chain(&error)))
            .advice("choose another --listen, or port 0 for a free one")
    })?;
    let config = Config {
        token: Token::new(&token),
        mode: args.mode,
        root: args.root.clone(),
        heartbeat: Duration::from_millis(args.heartbeat_ms),
        answer_limit: Duration::from_millis(args.answer_limit_ms),
        die_with_agent: args.exit_with_parent,
        shared_ports: args.shared_ports,
    };
    let server = Server::new(config).map_err(|error| {
        let place = args.root.as_deref().unwrap_or("/".as_ref()).display().to_string();
        Failure::new(format!("the agent cannot run in {place}: {}", chain(&error)))
            .advice("give --root a folder that may be written to")
    })?;
    announce(listener.local_addr()?)?;
    server.run(listener, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// The token, from standard input or the environment; empty when there is none.
fn token(args: &Args) -> Result<String, Failure> {
    if args.token_stdin {
        if std::io::stdin().is_terminal() {
            return Err(Failure::new("--token-stdin wants the token from a pipe, and standard input is a terminal"));
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        forbid_inspection();
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
    if !token.is_empty() {
        // Does not come back when it works. When it does not, children still do not inherit the variable.
        let error = start_again_without_token(&token);
        anstream::eprintln!("warning: the token stays visible in the agent's /proc entry: {}", chain(&error));
        forbid_inspection();
    }
    Ok(token)
}

/// Every process of the same user may read the environment a process was *started* with, in `/proc`. So the agent
/// becomes a program that was started without the token, and gets it through a pipe.
fn start_again_without_token(token: &str) -> std::io::Error {
    let handed_over = || -> std::io::Result<()> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        // Fits the pipe, which nobody reads yet: 64 KiB at least, and an environment variable holds 128 KiB at most.
        if token.len() > 60 * 1024 {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        std::fs::File::from(writer).write_all(token.as_bytes())?;
        Ok(nix::unistd::dup2_stdin(reader)?)
    };
    if let Err(error) = handed_over() {
        return error;
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "sandbar".into());
    Command::new("/proc/self/exe").arg0(name).args(arguments).arg("--token-stdin").env_remove(TOKEN_VARIABLE).exec()
}

/// Keeps other processes of the same user away from the agent's memory. Not essential: root can look anyway.
fn forbid_inspection() {
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// One line that a parent process can wait for.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let reachable = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on http://{}", SocketAddr::new(reachable, address.port()))?;
    out.flush()
}

fn stop_on_signals(stop: &CancellationToken) -> std::io::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(())
}

/// The kernel sends the signal when the *thread* that started us ends, so it is only a hint to look.
fn stop_with_parent(stop: &CancellationToken) -> std::io::Result<()> {
    let parent = getppid();
    let (mut hints, stop) = (signal(SignalKind::user_defined1())?, stop.clone());
    nix::sys::prctl::set_pdeathsig(Signal::SIGUSR1)?;
    tokio::spawn(async move {
        while getppid() == parent {
            hints.recv().await;
        }
        stop.cancel();
    });
    Ok(())
}
