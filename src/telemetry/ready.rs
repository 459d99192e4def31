//! `sandbar ready`: asks operators and gateways whether they are ready.

use crate::api::Span;
use crate::failure::{Failure, chain};
use reqwest::{Client, Url};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks each address for /readyz until it says yes, and prints what is missing if it does not. The image has no shell
/// and no curl: probes, `helm test` and pipelines ask with this.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where an operator's metrics or a gateway are, such as http://sandbar-metrics.sandbar-system:8080
    #[arg(required = true, value_name = "URL")]
    addresses: Vec<Url>,
    /// How long to go on asking, in all; 0s asks once
    #[arg(long, value_name = "TIME", default_value = "0s")]
    timeout: Span,
}

/// Asks until all are ready.
///
/// # Errors
/// When one is not ready in time; it says what is missing.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let http = Client::builder().timeout(PATIENCE).build();
    let http = http.map_err(|error| Failure::new(format!("no HTTP client: {}", chain(&error))))?;
    let until = Instant::now() + args.timeout.duration();
    for address in &args.addresses {
        while let Err(missing) = ask(&http, address).await {
            if Instant::now() + PAUSE > until {
                return Err(Failure::new(format!("{address} is not ready:\n{missing}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
        anstream::println!("{address} is ready");
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks once; an error is what is missing.
async fn ask(http: &Client, address: &Url) -> Result<(), String> {
    let mut readyz = address.clone();
    readyz.set_path("/readyz");
    let answer = http.get(readyz).send().await.map_err(|error| chain(&error))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let report = answer.text().await.map_err(|error| chain(&error))?;
    let missing: Vec<&str> = report.lines().filter(|line| line.starts_with("[-]")).collect();
    Err(if missing.is_empty() { format!("{status}: {report}") } else { missing.join("\n") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{metrics::Metrics, readiness::Check, readiness::Readiness, server};
    use axum::{Router, http::StatusCode, routing::get};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio_util::sync::CancellationToken;

    #[tokio::test]
    async fn what_is_missing_is_printed_and_nothing_else() {
        let readiness = Readiness::new();
        readiness.set("leader", Check::Ok);
        readiness.set("permission get secrets", Check::Missing("not allowed".to_owned()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
        let stop = CancellationToken::new();
        let _ended = stop.clone().drop_guard();
        tokio::spawn(server::serve(listener, Metrics::new(), readiness, stop));
        let args = Args { addresses: vec![address], timeout: Span::seconds(0) };
        let said = run(args).await.expect_err("not ready").to_string();
        assert!(said.ends_with("is not ready:\n[-] permission get secrets: not allowed"), "{said}");
    }

    #[tokio::test]
    async fn it_asks_again_until_the_answer_is_yes() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let second_time = async move || match count.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting\n"),
            _ => (StatusCode::OK, "ready\n"),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
        let server = axum::serve(listener, Router::new().route("/readyz", get(second_time)));
        let args = Args { addresses: vec![address], timeout: Span::minutes(1) };
        tokio::select! {
            answer = run(args) => assert!(answer.is_ok()),
            ended = server.into_future() => panic!("{ended:?}"),
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn who_does_not_listen_is_not_ready() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let nobody = "http://127.0.0.1:1".parse().expect("a URL");
        let args = Args { addresses: vec![nobody], timeout: Span::seconds(0) };
        let said = run(args).await.expect_err("nobody is there").to_string();
        assert!(said.starts_with("http://127.0.0.1:1/ is not ready:\n"), "{said}");
    }
}
