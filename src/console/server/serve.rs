//! The listener, with TLS of its own where it is given a certificate.

use super::{Desk, router};
use crate::console::ConsoleArgs;
use crate::failure::{Failure, chain};
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a caller may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that have agreed and are not taken up yet.
const QUEUE: usize = 64;
/// After a connection that could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// A place that is listened at, before anything is served.
pub struct Listening {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

/// Listens where the arguments say; None where they do not.
///
/// # Errors
/// When the address is taken, or the certificate cannot be used.
pub async fn listen(args: &ConsoleArgs) -> Result<Option<Listening>, Failure> {
    let Some(address) = args.listen else { return Ok(None) };
    let tls = match (&args.certificate, &args.key) {
        (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
        _ => None,
    };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!("--console-listen: cannot listen on {address}: {error}"))
            .advice("another address, such as --console-listen 127.0.0.1:0")
    })?;
    Ok(Some(Listening { listener, tls }))
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Failure> {
    let bad = |flag: &str, file: &Path, why: String| Failure::new(format!("{flag}: {}: {why}", file.display()));
    let chain_of = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain_of = chain_of.map_err(|error| bad("--console-tls-cert", certificate, chain(&error)))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad("--console-tls-key", key, chain(&error)))?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain_of, private);
    let config = config.map_err(|error| bad("--console-tls-cert", certificate, chain(&error)))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listening {
    /// Serves until `stop`, then lets what runs come to its end as long as the process lives.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, desk: Desk, stop: CancellationToken) -> io::Result<()> {
        let router = router(desk);
        let stopped = stop.clone().cancelled_owned();
        match self.tls {
            None => axum::serve(self.listener, router).with_graceful_shutdown(stopped).await,
            Some(tls) => {
                let listener = Secured::new(self.listener, tls, stop)?;
                axum::serve(listener, router).with_graceful_shutdown(stopped).await
            }
        }
    }
}

/// Connections that have agreed on TLS. They do so beside each other: a slow one keeps nobody waiting.
struct Secured {
    address: SocketAddr,
    agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl Secured {
    fn new(listener: TcpListener, tls: TlsAcceptor, stop: CancellationToken) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, agreed) = mpsc::channel(QUEUE);
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            loop {
                let Ok((connection, from)) = listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let (tls, sender) = (tls.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(secured)) = tokio::time::timeout(HANDSHAKE, tls.accept(connection)).await {
                        let _ = sender.send((secured, from)).await;
                    }
                });
            }
        }));
        Ok(Self { address, agreed })
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.agreed.recv().await {
            Some(connection) => connection,
            // The process is stopping.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::server::{Consoles, Guard, Place, Refused};
    use crate::providers::ConsoleAddress;
    use async_trait::async_trait;

    struct Empty;

    #[async_trait]
    impl Consoles for Empty {
        async fn address(&self, place: &Place) -> Result<ConsoleAddress, Refused> {
            Err(Refused::NoSandbox(place.name.clone()))
        }
    }

    #[tokio::test]
    async fn with_a_certificate_it_speaks_tls_and_nothing_else() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).expect("a file");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
        let args = ConsoleArgs {
            listen: "127.0.0.1:0".parse().ok(),
            certificate: Some(certificate.clone()),
            key: Some(key),
            ..ConsoleArgs::default()
        };
        let listening = listen(&args).await.expect("it listens").expect("it was told to");
        let port = listening.listener.local_addr().expect("an address").port();
        let nobody = kube::Config::new("http://127.0.0.1:1".parse().expect("an address"));
        let guard = Guard::new(kube::Client::try_from(nobody).expect("a client"));
        let stop = CancellationToken::new();
        let served = tokio::spawn(listening.serve(Desk::new(Arc::new(Empty), guard), stop.clone()));
        let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_only([trusted]).build().expect("a client");
        let path = format!("localhost:{port}/v1/namespaces/n/sandboxes/s/u/health");
        let answer = client.get(format!("https://{path}")).send().await.expect("an answer over TLS");
        assert_eq!(answer.status(), 200);
        assert!(client.get(format!("http://{path}")).send().await.is_err(), "nothing is said in the clear");
        stop.cancel();
        drop(client);
        served.await.expect("no panic").expect("it ended well");
        let bad = ConsoleArgs { key: Some(certificate), ..args };
        let why = listen(&bad).await.err().expect("no key").to_string();
        assert!(why.contains("--console-tls-key") && why.contains("tls.crt"), "{why}");
    }
}
