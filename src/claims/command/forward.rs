//! `sandbar port-forward`.

use super::gateway::EntryArgs;
use super::names;
use crate::agent::client::{AgentClient, TunnelError};
use crate::claims::Left;
use crate::failure::{Failure, chain};
use clap_complete::engine::ArgValueCandidates;
use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// Reach TCP ports of a sandbox through ports of this machine, until Ctrl-C or the end of the run.
///
/// 8080:5000 is this machine's port 8080 and the sandbox's port 5000, 5000 is the same port on both, :5000 takes any
/// free port here. What listens in the sandbox may listen on its 127.0.0.1 only.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the run
    #[arg(add = ArgValueCandidates::new(names::waking_runs))]
    id: String,
    /// Ports: [LOCAL:]REMOTE
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    ports: Vec<Ports>,
    /// Address of this machine to listen on
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    #[command(flatten)]
    entry: EntryArgs,
}

/// A port here and a port there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ports {
    /// 0: any free one.
    local: u16,
    remote: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local, remote) = match text.split_once(':') {
            Some(("", remote)) => ("0", remote),
            Some(both) => both,
            None => (text, text),
        };
        match (local.parse(), remote.parse()) {
            (Ok(local), Ok(remote)) if remote > 0 => Ok(Self { local, remote }),
            _ => Err("write [LOCAL:]REMOTE with ports from 1 to 65535, such as 8080:5000, 5000 or :5000".to_owned()),
        }
    }
}

/// Forwards.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let entered = args.entry.enter_service(&args.id, "forward ports of").await?;
    // Before anything is said: whoever reads it may end this.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut forwards = JoinSet::new();
    let mut out = std::io::stdout();
    for ports in args.ports {
        let listener = listen(args.address, ports).await?;
        writeln!(out, "forwarding {} to port {} of {}", listener.local_addr()?, ports.remote, args.id)?;
        forwards.spawn(accept(listener, entered.agent.clone(), ports.remote));
    }
    out.flush()?;
    tokio::select! {
        _ = interrupt.recv() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        left = entered.until_left(&args.id) => Err(ended(&args.id, left)),
        Some(stopped) = forwards.join_next() => match stopped {
            Ok(Err(failure)) => Err(failure),
            Err(error) => Err(Failure::new(format!("forwarding stopped: {error}"))),
        },
    }
}

fn ended(id: &str, left: Left) -> Failure {
    match left {
        Left::Ended => Failure::new(format!("run {id} has ended")).advice("claim another one: sandbar claim POOL"),
        Left::Asleep => Failure::new(format!("run {id} was put to sleep")).advice(format!(
            "sandbar wake {id} makes it a new instance with its files; start what listens there again"
        )),
    }
}

async fn listen(address: IpAddr, ports: Ports) -> Result<TcpListener, Failure> {
    let place = SocketAddr::new(address, ports.local);
    TcpListener::bind(place).await.map_err(|error| {
        Failure::new(format!("cannot listen on {place}: {}", chain(&error)))
            .advice(format!("name another port of this machine, or none for any free one: :{}", ports.remote))
    })
}

/// Takes connections until the agent turns out to have no way for them.
async fn accept(listener: TcpListener, agent: AgentClient, remote: u16) -> Result<Infallible, Failure> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) => _ = connections.spawn(carry(agent.clone(), connection, remote)),
                Err(error) => {
                    eprintln!("port {remote}: cannot take a connection: {}", chain(&error));
                    // Out of descriptors, most likely: those in use are given back one by one.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            Some(done) = connections.join_next() => {
                if let Ok(Err(failure)) = done {
                    return Err(failure);
                }
            }
        }
    }
}

/// One connection. What goes wrong with it is told, and ends no other.
async fn carry(agent: AgentClient, connection: TcpStream, remote: u16) -> Result<(), Failure> {
    let _ = connection.set_nodelay(true);
    match agent.tunnel(remote).await {
        Ok(tunnel) => {
            if let Err(broken) = tunnel.carry(connection).await {
                eprintln!("port {remote}: {broken}");
            }
        }
        Err(TunnelError::Unsupported) => {
            return Err(Failure::new(TunnelError::Unsupported.to_string())
                .advice("use an image whose agent is that of this version of Sandbar"));
        }
        Err(error) => {
            let _ = connection.set_zero_linger();
            eprintln!("port {remote}: {error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_kubectl_has_them() {
        let ports = |local, remote| Ok(Ports { local, remote });
        assert_eq!("5000".parse(), ports(5000, 5000));
        assert_eq!("8080:5000".parse(), ports(8080, 5000));
        assert_eq!(":5000".parse(), ports(0, 5000));
        assert_eq!("0:5000".parse(), ports(0, 5000));
        for bad in ["", ":", "5000:", "5000:0", "0", "a:1", "1:2:3", "70000", "-1"] {
            assert!(bad.parse::<Ports>().is_err(), "{bad:?}");
        }
    }
}
