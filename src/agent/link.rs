//! Signed links: whoever holds one may open one port of one sandbox until it expires, and nothing else.
//!
//! A link is `BASE/open/PORT/EXPIRES/SIGNATURE/`: EXPIRES is in seconds since the epoch, SIGNATURE is HMAC-SHA256
//! over `open\nPORT\nEXPIRES` under the agent's token, as base64url without padding. So whoever has the token can
//! [`mint`] one without asking the sandbox, and no link tells anything about the token. A link is checked when a
//! request comes; a download or WebSocket that was begun in time goes on. One that must end sooner ends with its
//! sandbox only.
//!
//! Paths, not query strings, carry the signature, so that relative addresses in a page lead to the same app.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use reqwest::Url;
use ring::hmac;
use std::fmt;

/// First part of the path of every link.
pub const OPEN: &str = "open";

/// What signs and checks the links of one sandbox. It is made from the agent's token and does not hold it.
#[derive(Clone)]
pub struct LinkKey(hmac::Key);

// Whoever has the key can make links.
impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(..)")
    }
}

/// Why a link does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not signed by this sandbox's token, for this port, with this expiry.
    #[error("this link is not valid: its signature does not fit its port and expiry; ask for a new link")]
    Forged,
    /// It was valid until then.
    #[error("this link expired at {0}; ask for a new link")]
    Expired(Timestamp),
}

/// Why no link can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The sandbox has no address that a browser could open.
    #[error("{base:?} is not the address of a sandbox: {why}")]
    Base {
        /// As it was given.
        base: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing listens on port 0.
    #[error("port 0 cannot be opened; use 1 to 65535")]
    Port,
    /// Without a token everybody could sign.
    #[error("the sandbox has no token to sign a link with")]
    Token,
}

impl LinkKey {
    /// The key that belongs to an agent's token, which must not be empty.
    pub fn new(token: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()))
    }

    fn sign(&self, port: u16, expires: i64) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(&self.0, text(port, expires).as_bytes()).as_ref())
    }

    /// The port that a link opens at `now`, from the three parts of its path. The signature is compared in constant
    /// time, and before the expiry: strangers do not learn what would have been right.
    ///
    /// # Errors
    /// [`LinkError`]. Numbers are taken only as [`mint`] writes them, so every link has one spelling.
    pub fn check(&self, port: &str, expires: &str, signature: &str, now: Timestamp) -> Result<u16, LinkError> {
        let port_number: u16 = port.parse().map_err(|_| LinkError::Forged)?;
        let seconds: i64 = expires.parse().map_err(|_| LinkError::Forged)?;
        if port_number.to_string() != port || seconds.to_string() != expires {
            return Err(LinkError::Forged);
        }
        let tag = BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| LinkError::Forged)?;
        hmac::verify(&self.0, text(port_number, seconds).as_bytes(), &tag).map_err(|_| LinkError::Forged)?;
        let end = Timestamp::from_second(seconds).map_err(|_| LinkError::Forged)?;
        if now < end { Ok(port_number) } else { Err(LinkError::Expired(end)) }
    }
}

// The first word keeps these signatures apart from any other that the token may sign one day.
fn text(port: u16, expires: i64) -> String {
    format!("{OPEN}\n{port}\n{expires}")
}

/// A link that opens `port` of the sandbox at `base_url` until `expires` (whole seconds count), for a browser.
///
/// # Errors
/// [`MintError`] when the address is none, the port is 0, or the token is empty.
pub fn mint(base_url: &str, token: &str, port: u16, expires: Timestamp) -> Result<Url, MintError> {
    let bad = |why: &str| MintError::Base { base: base_url.to_owned(), why: why.to_owned() };
    if port == 0 {
        return Err(MintError::Port);
    }
    if token.is_empty() {
        return Err(MintError::Token);
    }
    let mut url = Url::parse(base_url).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("it begins with neither http: nor https:"));
    }
    url.set_query(None);
    url.set_fragment(None);
    let seconds = expires.as_second();
    let signature = LinkKey::new(token).sign(port, seconds);
    let parts = [OPEN, &port.to_string(), &seconds.to_string(), &signature, ""];
    url.path_segments_mut().map_err(|()| bad("it has no path"))?.pop_if_empty().extend(parts);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const END: i64 = 1_800_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("in range")
    }

    fn parts(url: &Url) -> [String; 3] {
        let all: Vec<_> = url.path_segments().expect("a path").map(str::to_owned).collect();
        let [_, port, expires, signature, _] = all.try_into().expect("five parts");
        [port, expires, signature]
    }

    fn check(token: &str, parts: [&str; 3], now: i64) -> Result<u16, LinkError> {
        LinkKey::new(token).check(parts[0], parts[1], parts[2], at(now))
    }

    #[test]
    fn a_minted_link_opens_its_port_until_its_last_second() {
        let url = mint("https://box.example/", "secret", 5000, at(END)).expect("minted");
        assert!(url.as_str().starts_with("https://box.example/open/5000/1800000000/"), "{url}");
        assert!(url.path().ends_with('/') && !url.as_str().contains("secret"), "{url}");
        let [port, expires, signature] = &parts(&url);
        let opens = |now| check("secret", [port, expires, signature], now);
        assert_eq!(opens(END - 1), Ok(5000));
        assert_eq!(opens(END), Err(LinkError::Expired(at(END))));
        assert!(opens(END + 9).unwrap_err().to_string().contains("expired at 2027-01-15T08:00:00Z"));
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // printf 'open\n5000\n1800000000' | openssl dgst -sha256 -hmac secret -binary | basenc --base64url
        let url = mint("http://127.0.0.1:8080", "secret", 5000, at(END)).expect("minted");
        assert_eq!(parts(&url)[2], "oo1kYiwvpXs9L2Ua2OU47h-w0LGTjh9PNg9UAIQICb0");
    }

    #[test]
    fn a_base_may_have_a_path_and_loses_its_query() {
        let url = mint("https://edge.example/box?x=1#y", "secret", 80, at(END)).expect("minted");
        assert!(url.as_str().starts_with("https://edge.example/box/open/80/1800000000/"), "{url}");
        assert_eq!((url.query(), url.fragment()), (None, None));
    }

    #[test]
    fn what_differs_from_the_minted_link_in_anything_is_forged() {
        let url = mint("http://127.0.0.1:8080", "secret", 5000, at(END)).expect("minted");
        let [port, expires, signature] = &parts(&url);
        let mut changed = signature.clone().into_bytes();
        changed[7] ^= 1;
        let changed = String::from_utf8(changed).expect("ascii");
        for [port, expires, signature] in [
            ["5001", expires, signature],
            [port, "1800000001", signature],
            [port, expires, &changed],
            [port, expires, &signature[..42]],
            [port, expires, &format!("{signature}=")],
            [port, expires, ""],
            ["05000", expires, signature],
            ["+5000", expires, signature],
            [port, "+1800000000", signature],
            [port, "", signature],
            ["70000", expires, signature],
        ] {
            assert_eq!(check("secret", [port, expires, signature], 0), Err(LinkError::Forged), "{port} {expires}");
        }
        assert_eq!(check("another", [port, expires, signature], 0), Err(LinkError::Forged));
        // An old and forged one is forged: the answer tells nothing about the signature.
        assert_eq!(check("another", [port, expires, signature], END + 1), Err(LinkError::Forged));
    }

    #[test]
    fn no_link_is_made_for_nothing() {
        assert_eq!(mint("http://h", "secret", 0, at(END)), Err(MintError::Port));
        assert_eq!(mint("http://h", "", 80, at(END)), Err(MintError::Token));
        for bad in ["", "h:80/", "ftp://h", "mailto:a@b"] {
            assert!(matches!(mint(bad, "secret", 80, at(END)), Err(MintError::Base { .. })), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_link_opens_what_it_was_minted_for(port in 1_u16.., seconds in 1_i64..250_000_000_000, token in "[!-~]{1,40}") {
            let url = mint("http://h", &token, port, at(seconds)).expect("minted");
            let [text, expires, signature] = &parts(&url);
            prop_assert_eq!(check(&token, [text, expires, signature], seconds - 1), Ok(port));
        }
    }
}
