//! The operator's flags about consoles.

use crate::failure::Failure;
use reqwest::Url;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where people reach the consoles of sandboxes in mode Worker.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Consoles")]
pub struct ConsoleArgs {
    /// Serve consoles of sandboxes in mode Worker here [default: nowhere]
    #[arg(id = "console_listen", long = "console-listen", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The address at which people reach --console-listen, such as https://consoles.example.com
    #[arg(id = "console_url", long = "console-url", value_name = "URL")]
    pub url: Option<String>,
    /// Certificate chain (PEM) for --console-listen; without one something in front of it has to do TLS
    #[arg(id = "console_tls_cert", long = "console-tls-cert", value_name = "FILE", requires = "console_tls_key")]
    pub certificate: Option<PathBuf>,
    /// Private key (PEM) of --console-tls-cert
    #[arg(id = "console_tls_key", long = "console-tls-key", value_name = "FILE", requires = "console_tls_cert")]
    pub key: Option<PathBuf>,
}

impl ConsoleArgs {
    /// The same, if it can be used: people's tokens go to that address.
    ///
    /// # Errors
    /// When the address is none, or one at which tokens would travel in the clear.
    pub fn checked(self) -> Result<Self, Failure> {
        let Some(text) = &self.url else { return Ok(self) };
        match Url::parse(text) {
            Ok(url) if is_safe(&url) && url.query().is_none() && url.fragment().is_none() => Ok(self),
            _ => Err(Failure::new(format!("--console-url: {text:?} is not an https address"))
                .advice("--console-url https://consoles.example.com; http only for this very machine")),
        }
    }
}

/// Whether a token may be sent there: over TLS, or not over any network.
pub fn is_safe(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let here = address.map_or(host == "localhost", |address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_in_the_clear_to_this_machine_only() {
        let checked = |url: &str| ConsoleArgs { url: Some(url.to_owned()), ..ConsoleArgs::default() }.checked();
        for good in
            ["https://consoles.example.com", "https://c/x", "http://127.0.0.1:80", "http://[::1]", "http://localhost"]
        {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["http://consoles.example.com", "http://10.0.0.1", "wss://c", "console", "https://c?x=1"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
